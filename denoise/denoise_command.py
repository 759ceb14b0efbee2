"""The command `countless denoise`: an image with less noise, and how far that can be trusted."""

import time
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from denoise.scaling import check_finite
from denoise.shipped import find_model
from denoise.tiling import Tiling
from recon import text
from recon.command_line import command_line
from recon.io import (
    check_output,
    check_picture,
    like,
    provenance,
    read_image,
    write_image,
)
from recon.io.image import is_interfile
from recon.io.provenance import read_sidecar

Models = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative_iterable=())]

# What was measured of the networks that are shipped (models/README.md) holds for others as well.
LIMITS = (
    "not for clinical use: a network can erase small, faint lesions, and those that come with "
    "Countless do; look at the image as it is beside it"
)


def denoise(
    image: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    model: Models = (),
    ct: Path | None = None,
    uncertainty: Path | None = None,
    preview: Path | None = None,
    tracer: str | None = None,
    scanner: str | None = None,
    network: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["float32", "bfloat16"] = "float32",
    tile_voxels: int = Tiling.voxels,
    config: Path | None = None,
):
    """Take noise out of a PET image by a trained network. Not for clinical use.

    The image is divided by the activity of common tissue in it and shown to the network tile by
    tile, with how noisy it is. It keeps its unit, voxels and place. Where it is of another kind
    than what the network was trained on, that is said and written into the .json.

    Args:
        image: Image (.nii.gz, .nii or .hv) in any unit.
        output: Image to write (.nii.gz, .nii or .hv), with a .json beside it that says how.
        model: Trained networks: files that `countless train` made, or names of those that come with
            Countless; the results of several are averaged.
        ct: Image in HU, in the PET image's frame of reference, for a network that sees a CT.
        uncertainty: Image to write of the standard deviation over several networks or, of one,
            over the image turned over in all eight ways, whose results are then averaged: how far
            the answer is arbitrary, not how far it is from the truth.
        preview: Picture to draw, before and after.
        tracer: Of the image, to compare with those that the network was trained on.
        scanner: In the same way; an image that `countless recon` made says it itself.
        network: Import path `package.module:Class` of a model's network, where it is your own.
        device: Where the network runs: auto takes a GPU where torch sees one.
        precision: Of the network's features; bfloat16 is for machines with instructions for it.
        tile_voxels: Most voxels of a tile; an image of more is cut, which takes longer.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    from denoise import inference
    from denoise import preview as picture
    from denoise.checkpoint import load_denoiser
    from denoise.domain import unknown

    paths = [find_model(name) for name in model] or [find_model()]
    inputs = [image, *paths, *filter(None, (ct, config))]
    _check_outputs(output, uncertainty, preview, inputs)
    said = read_sidecar(image)
    position = (said.get("study") or {}).get("patient_position", "HFS")  # NIfTI does not say
    grid, frame = like(image, position)
    array, _, info = read_image(image, position)
    check_finite(array, image)
    ct_image, ct_grid = read_image(ct, position)[:2] if ct else (None, None)
    if ct:
        check_finite(ct_image, ct)
    denoisers = [load_denoiser(path, network) for path in paths]
    tiling, scanner = Tiling(voxels=tile_voxels), scanner or _first(said, "scanner")
    began = time.perf_counter()
    found = inference.denoise(
        array, grid, denoisers, ct=ct_image, ct_grid=ct_grid, tracer=tracer, scanner=scanner,
        uncertainty=uncertainty is not None, device=device, precision=precision, tiling=tiling,
    )
    seconds, unit = time.perf_counter() - began, info.get("unit") or ""
    again = "the image was denoised before" if _first(said, "models") else None
    notes = [*found.notes, *filter(None, [again, unknown(denoisers[0].settings, tracer, scanner)])]
    kept = {key: said[key] for key in ("calibration", "suv", "quantity", "study") if key in said}
    record = kept | provenance(
        command=command_line(denoise, settings),
        configuration=settings,
        inputs=inputs,
        source=said or None,
        unit=unit,
        models=[{"path": str(path), **each.settings}
                for path, each in zip(paths, denoisers, strict=True)],
        scaling={"level": found.scaling.level, "noise": found.scaling.noise},
        network_voxel_mm=found.network_grid.voxel_mm,
        device=found.device,
        notes=notes,
        limits=LIMITS,
        warnings=found.warnings,
    )
    more = {"unit": unit, "frame": frame, "info": info}
    write_image(output, found.image, grid, sidecar=record, **more)
    written = [output]
    if uncertainty:
        kind = {"quantity": "standard deviation of the denoised image over "
                            f"{'networks' if len(paths) > 1 else 'flips of the image'}"}
        write_image(uncertainty, found.uncertainty, grid, sidecar=record | kind, **more)
        written.append(uncertainty)
    if preview:
        picture.draw(preview, {"before": array, "after": found.image}, grid,
                     level=found.scaling.level, unit=unit,
                     title=f"{image.name}, denoised by {', '.join(p.stem for p in paths)}")
        written.append(preview)
    print(text.table([
        ("image", f"{image}{f' in {unit}' if unit else ''}, {text.grid(grid)}"),
        *(("model", _model(path, each.settings))
          for path, each in zip(paths, denoisers, strict=True)),
        ("measured", f"common tissue {found.scaling.level:.4g} {unit}".rstrip()
                     + f", relative noise {found.scaling.noise:.3g} at 8 mm"),
        ("device", found.device),
        *(("note", note) for note in notes),
        *(("WARNING", warning) for warning in found.warnings),
        ("note", LIMITS),
        ("written", f"{', '.join(map(str, written))} after {seconds:.1f} s"),
    ]))


def _first(said, key):
    """What an image's .json says of a key, or that of the image it was made from, and so on."""
    while said and key not in said:
        said = said.get("source")
    return said[key] if said else None


def _check_outputs(output, uncertainty, preview, inputs):
    """Refuses outputs that cannot be written, or would replace an input or one another."""
    for path in filter(None, (output, uncertainty)):
        is_interfile(path)  # refuses a name that is no image's
        check_output(path, inputs)
    if preview:
        check_picture(preview, "--preview", inputs)
    if uncertainty and uncertainty.resolve() == output.resolve():
        raise ValueError(f"--uncertainty and --output are both {output}; give two names")


def _model(path, settings):
    domain, trained = settings["domain"], settings["training"]
    doses = ", ".join(f"1/{factor:g}" for factor in domain["factors"])
    phantoms = sum(len(study["phantoms"]) for study in trained["studies"])
    return (
        f"{path}: {settings['network']} of {text.plural(phantoms, 'phantom')} "
        f"({', '.join(domain['tracers'])}; {', '.join(domain['scanners'])}; {doses} of the dose), "
        f"trained towards {settings['target']}"
    )
