"""Whether an image is of the kind that a network was trained on."""

from denoise.network_input import SAME
from recon import text
from recon.names import plain_name

ALIKE = 1.25  # times the noise trained on: half as much dose again is no other kind of image


def outside(settings, scaling, voxel_mm, tracer=None, scanner=None):
    """Sentences on where an image lies outside what a network was trained on.

    Args:
        settings: of a `denoise.checkpoint.Denoiser`.
        scaling: Scaling of the image.
        voxel_mm: sides of its voxels, before they were resampled to the network's.
        tracer, scanner: of the image, None where they are not known.
    Returns:
        List of sentences, empty where all that is known fits.
    """
    domain, found = settings["domain"], []
    least, most = domain["noise"]
    if not least / ALIKE <= scaling.noise <= most * ALIKE:
        found.append(
            f"the image's relative noise is {scaling.noise:.3g}, and the network was trained on "
            f"{least:.3g} to {most:.3g}: " + (
                "detail may be taken for noise"
                if scaling.noise < least else "noise may stay, or be taken for uptake"
            )
        )
    sides = domain["voxels_mm"]
    if any(not min(known) / SAME <= side <= max(known) * SAME
           for side, *known in zip(voxel_mm, *sides, strict=True)):
        found.append(
            f"the image's voxels are of {text.sides(voxel_mm)}, and the network was trained on "
            f"{', '.join(map(text.sides, sides))} alone"
        )
    for name, value, known in (("tracer", tracer, domain["tracers"]),
                               ("scanner", scanner, domain["scanners"])):
        if value and plain_name(value) not in map(plain_name, known):
            found.append(
                f"the image's {name} is {value}, and the network was trained on "
                f"{', '.join(known)} alone"
            )
    return found


def unknown(settings, tracer=None, scanner=None):
    """A sentence on what could not be compared, None where tracer and scanner are known."""
    missing = [name for name, value in (("tracer", tracer), ("scanner", scanner)) if not value]
    if not missing:
        return None
    domain = settings["domain"]
    known = "; ".join(f"{name} {', '.join(domain[name + 's'])}" for name in missing)
    return f"the image does not say its {' and '.join(missing)}; the network was trained on {known}"
