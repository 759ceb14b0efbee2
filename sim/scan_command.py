"""The command `countless scan`: a phantom's folder in, what a scanner counts of it out."""

import contextlib
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from tqdm import tqdm

from recon import Scanner, backend, text
from recon.command_line import command_line, flag_of
from recon.corrections.calibration import isotope as known_isotope
from recon.field_of_view import same_place
from recon.io import FileError, provenance, read_image
from recon.io.outputs import make_folder
from recon.io.petsird import petsird
from recon.io.provenance import read_json
from sim import scan as scans
from sim import scan_preview
from sim.acquire import expect
from sim.numbers import check_seed
from sim.protocol import Protocol, check_memory, check_place

MOST_PER_CM = 3.0  # lead has 1.7
Three = Annotated[tuple[float, float, float], Parameter(negative_iterable=())]


def scan(
    phantom: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    scanner: str = "demo",
    minutes: float = 10.0,
    drf: float = 1.0,
    mode: Literal["time", "activity"] = "time",
    seed: int = 1,
    isotope: str | None = None,
    bed_mm: float = 0.0,
    span: int | None = None,
    max_ring_difference: int | None = None,
    view_mashing: int = 1,
    tof_mashing: int = 0,
    split: int = 2,
    dead_blocks: int = 0,
    mu_noise: float = 0.0,
    mu_shift_mm: Three = (0.0, 0.0, 0.0),
    list_mode: Annotated[Literal["petsird", "castor"] | None, Parameter(name="--list")] = None,
    truth: bool = False,
    halves: bool = False,
    inverse_crime: bool = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    config: Path | None = None,
):
    """Simulate the scan of a phantom, and write it as the scanner would.

    Writes prompts.hs, delayeds.hs, efficiency.hs, mu-map.nii.gz, truth.nii.gz, scan.json and
    preview.png: all that `countless recon` takes for an image in Bq/mL at the scan's start.

    Args:
        phantom: Folder that `countless phantom` wrote: activity.nii.gz in Bq/mL and mu-map.nii.gz
            in 1/cm on the same voxels; phantom.json says the isotope.
        output: Folder for the scan; made where there is none.
        scanner: Preset: mMR, Vision 600, Discovery MI, uEXPLORER or demo.
        minutes: How long the standard-dose scan takes.
        drf: Dose reduction factor: 20 is a twentieth of the standard dose.
        mode: How the dose is reduced: time is a shorter scan; activity is less of it for as long,
            with randoms that go with the square, and less dead time.
        seed: Of the crystals' efficiencies, the Monte Carlo simulations and the counts.
        isotope: In place of that in phantom.json, such as F-18.
        bed_mm: z of the phantom that lies at the scanner's middle, such as an organ's; see
            centre_mm in phantom.json.
        span: Ring differences per segment, odd; without it 11 for scanners of more than 40 rings,
            else 1.
        max_ring_difference: Largest ring difference; without it, all.
        view_mashing: Neighbouring views summed into one.
        tof_mashing: Time-of-flight bins summed into one; 0 for no time of flight.
        split: Parts of a crystal along each side; a crystal pair gets split ** 4 rays.
        dead_blocks: Blocks of crystals that count nothing.
        mu_noise: Standard deviation of the noise in mu-map.nii.gz as a fraction of water's 0.096
            1/cm; the scan is made with the true one.
        mu_shift_mm: How far mu-map.nii.gz lies from the phantom, in scanner coordinates.
        list_mode: Write list mode, too: petsird (prompts and delayeds) or castor (prompts).
        truth: Write what was expected, too: trues.hs, scatter.hs and randoms.hs.
        halves: Write two independent scans of half the counts each, too, in half-1 and half-2:
            Noise2Noise trains with them.
        inverse_crime: Simulate with the reconstruction's own model, for debugging. All outputs
            say so.
        device: Where kernels run: auto takes a GPU where there is one. Its counts are drawn from
            what a CPU would expect to rounding, so that a few differ.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    _check(drf, mu_noise, mu_shift_mm)
    check_seed(seed)
    preset = Scanner.preset(scanner)
    protocol = Protocol(
        scanner=preset, minutes=minutes / drf if mode == "time" else minutes, bed_mm=bed_mm,
        span=span, max_ring_difference=max_ring_difference, view_mashing=view_mashing,
        tof_mashing=tof_mashing, split=split, dead_blocks=dead_blocks, inverse_crime=inverse_crime,
    )
    activity, mu, grid, isotope, inputs = _images(phantom, isotope)
    if mode == "activity":
        activity /= np.float32(drf)
    check_place(protocol, activity, grid, setting=flag_of("bed_mm"))
    if list_mode == "petsird":
        petsird()  # missing packages are said now
    device, reason = backend.find_device(device)
    folder = _folder(output)
    _check_size(folder, protocol, mu, truth=truth, halved=halves)
    made = provenance(
        command=command_line(scan, settings), seed=seed,
        configuration=settings | {"device": device},
        inputs=[*inputs, *([config] if config else [])],
    )
    print(text.table([
        ("phantom", f"{phantom}, {isotope}, {text.grid(grid)}"),
        ("scanner", text.scanner(preset)),
        ("bins", text.layout(protocol.layout)),
        ("device", f"{device} ({reason})"),
        *([("NOTE", "inverse crime: the reconstruction's own model makes these data; use them for "
                    "debugging alone")] if inverse_crime else []),
    ]), flush=True)
    model_rng, counts_rng, mu_rng = np.random.default_rng(seed).spawn(3)
    with _bar() as watch:
        expected = expect(activity, mu, grid, protocol, isotope=isotope, rng=model_rng,
                          device=device, watch=watch)
    placed = protocol.placed(grid)
    known, known_grid = scans.known_mu_map(mu, placed, noise=mu_noise, shift_mm=mu_shift_mm,
                                           rng=mu_rng)
    scans.check_space(folder, scans.needed_bytes(
        protocol.layout, mu, prompts=expected.counts["prompts"] + expected.counts["randoms"],
        truth=truth, listed=bool(list_mode), halved=halves))
    made |= {"dose_reduction_factor": drf, "mode": mode}
    counts, said = scans.write_scan(
        folder, expected, activity=activity, mu_per_cm=known, grid=placed, mu_grid=known_grid,
        rng=counts_rng, made=made, truth=truth, list_format=list_mode, halved=halves,
    )
    scan_preview.draw(folder / "preview.png", expected, counts)
    print(text.table(_rows(folder, expected, said)))


def _images(folder, isotope):
    """Activity, mu map, their Grid, the isotope and the files of a phantom's folder.

    Raises:
        FileError: a file is missing or cannot be used, or no isotope is said.
        ValueError: the isotope is not known.
    """
    paths = [folder / "activity.nii.gz", folder / "mu-map.nii.gz"]
    for path in paths:
        if not path.is_file():
            raise FileError(
                f"{path} is not there; give the folder that `countless phantom NAME -o {folder}` "
                "writes"
            )
    (activity, grid, _), (mu, other, _) = map(read_image, paths)
    if not same_place(grid, other):
        raise FileError(
            f"{paths[1]} takes the voxels of {paths[0]}, got {text.grid(other)} instead of "
            f"{text.grid(grid)}; resample it"
        )
    for path, image, most, unit in (
        (paths[0], activity, np.inf, "Bq/mL"), (paths[1], mu, MOST_PER_CM, "1/cm")
    ):
        if not (image.min() >= 0 and image.max() < most):  # NaN, too
            raise FileError(
                f"{path} takes values of at least 0 in {unit}, found {image.min():g} to "
                f"{image.max():g}; correct the image"
            )
    said = folder / "phantom.json"
    isotope = isotope or read_json(said).get("isotope")
    if not isotope:
        raise FileError(f"{said} does not say the isotope; give --isotope, such as F-18")
    isotope = known_isotope(isotope).name
    return activity, mu, grid, isotope, [*paths, *([said] if said.is_file() else [])]


def _check(drf, mu_noise, mu_shift_mm):
    for flag, good, takes, value in (
        ("--drf", 1 <= drf < np.inf, "a factor of 1 or more", drf),
        ("--mu-noise", 0 <= mu_noise < np.inf, "a fraction of 0 or more", mu_noise),
        ("--mu-shift-mm", np.isfinite(mu_shift_mm).all(), "three numbers of mm", mu_shift_mm),
    ):
        if not good:
            raise ValueError(f"{flag} takes {takes}, got {value}")


def _folder(path):
    """The output's folder: new, empty, or of an earlier scan, which is replaced."""
    if path.is_dir() and any(path.iterdir()) and not (path / "scan.json").is_file():
        raise FileError(
            f"{path} holds files and no scan.json of an earlier scan; give --output another name, "
            "or empty it"
        )
    return make_folder(path)


def _check_size(folder, protocol, mu, **options):
    """Refuses what fits neither the disk nor the memory, before anything is simulated."""
    scans.check_space(folder, scans.needed_bytes(protocol.layout, mu, prompts=0, **options))
    check_memory(protocol, "a smaller --max-ring-difference, a larger --tof-mashing or "
                           "--tof-mashing 0")


@contextlib.contextmanager
def _bar():
    """A bar of what is being simulated; gives the `watch` of `sim.acquire.expect`."""
    with tqdm(total=1, bar_format="{l_bar}{bar}| [{elapsed}]", delay=1, file=sys.stderr,
              dynamic_ncols=True) as bar:

        def watch(stage, done):
            bar.set_description_str(stage, refresh=False)
            bar.n = done
            bar.refresh()

        yield watch


def _rows(folder, expected, said):
    totals, protocol = expected.counts, expected.protocol
    blur = said["resolution_fwhm_mm"]
    told = [f"{value['radial']['total']:.1f} × {value['axial']['total']:.1f} mm {place}"
            for place, value in (blur or {}).items()]
    next_step = shlex.join(map(str, (
        "countless", "recon", folder / "prompts.hs", "-o", folder / "image.nii.gz",
        "--efficiency", folder / "efficiency.hs", "--mu-map", folder / "mu-map.nii.gz",
        "--randoms", "delayed", "--delayed", folder / "delayeds.hs", "--scatter", "on",
        "--preview", folder / "image.png",
    )))
    rows = [
        ("trues", f"{totals['trues']:,.0f} expected"),
        ("scatter", f"{totals['scatter']:,.0f}, {expected.scatter_fraction:.1%} of trues and "
                    f"scatter ({expected.multiple_to_single:.2f} multiple for each single)"),
        ("randoms", f"{totals['randoms']:,.0f}, {expected.randoms_fraction:.1%} of prompts"),
        ("prompts", f"{totals['prompts']:,.0f} expected, {said['drawn']['prompts']:,} drawn; "
                    f"{totals['prompts'] / protocol.seconds:,.0f} per second"),
        ("dead time", f"leaves {expected.live:.1%} of the pairs"),
        ("resolution", f"radial × axial FWHM {', '.join(told)}" if told else "none: inverse crime"),
        ("written", f"{folder}: {', '.join(sorted(p.name for p in folder.glob('*.hs')))}, "
                    f"mu-map.nii.gz, truth.nii.gz, scan.json, preview.png"),
    ]
    if "halves" in said:
        rows.append(("halves", f"{' and '.join(said['halves'])}: prompts.hs, delayeds.hs and "
                               "efficiency.hs of each"))
    if "list" in said:
        rows.append(("list", f"{said['list']['events']:,} events"))
    return [*rows, ("next", next_step)]
