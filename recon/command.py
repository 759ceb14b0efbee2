"""The command `countless recon`: one function is its schema, help, YAML and command line."""

import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Group, Parameter

from recon import backend, text
from recon.algorithms.subsets import divisor_nearest
from recon.chain import OFF, ON, Raw, prepare
from recon.command_line import command_line, flag_of
from recon.field_of_view import image_grid
from recon.io import FileError, check_output, check_picture, provenance, write_image
from recon.io.image import is_interfile
from recon.io.provenance import sidecar_path
from recon.measurement import Measurement
from recon.method import ALGORITHMS, LEARNED, PRIORS, Method
from recon.plan import Plan
from recon.quantity import COUNTS, activity_record, calibration_of, factor_of
from recon.reconstruction import counts_of, ended, reconstruct


def _whole(_, tokens):
    """A whole number; int() of a float would cut it short in silence."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"takes a whole number, got {tokens[0].value}") from None


LISTS, CORRECTIONS, IMAGE, PRIOR = (Group(name, sort_key=key) for key, name in enumerate(
    ("List mode", "Corrections", "Image and algorithm", "Priors, networks and anatomy")
))
WHOLE = Parameter(converter=_whole)
Listed = Annotated[int | None, WHOLE, Parameter(group=LISTS)]
Correction = Annotated[Path | None, Parameter(group=CORRECTIONS)]
OneOrThree = Annotated[
    tuple[float, ...] | None,
    Parameter(consume_multiple=(1, 3), negative_iterable=(), group=IMAGE),
]
Three = Annotated[tuple[float, float, float] | None, Parameter(negative_iterable=())]


def recon(
    scan: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    span: Listed = None,
    max_ring_difference: Listed = None,
    tof_mashing: Listed = None,
    seconds: Annotated[
        tuple[float, float] | None, Parameter(negative_iterable=(), group=LISTS)
    ] = None,
    norm: Correction = None,
    efficiency: Correction = None,
    correction: Correction = None,
    ct: Correction = None,
    kvp: Annotated[float | None, Parameter(group=CORRECTIONS)] = None,
    scanner_centre_mm: Annotated[Three, Parameter(group=CORRECTIONS)] = None,
    mu_map: Correction = None,
    randoms: Annotated[str | None, Parameter(group=CORRECTIONS)] = None,
    delayed: Correction = None,
    scatter: Annotated[str, Parameter(group=CORRECTIONS)] = OFF,
    scatter_rounds: Annotated[int, WHOLE, Parameter(group=CORRECTIONS)] = 2,
    background: Correction = None,
    additive: Correction = None,
    calibration_factor: Annotated[float | Path | None, Parameter(group=CORRECTIONS)] = None,
    isotope: Annotated[str | None, Parameter(group=CORRECTIONS)] = None,
    algorithm: Annotated[Literal[ALGORITHMS], Parameter(group=IMAGE)] = "osem",
    subsets: Annotated[int | None, WHOLE, Parameter(group=IMAGE)] = None,
    iterations: Annotated[int | None, WHOLE, Parameter(group=IMAGE)] = None,
    tolerance: Annotated[float | None, Parameter(group=IMAGE)] = None,
    prior: Annotated[Literal[tuple(PRIORS)] | None, Parameter(group=PRIOR)] = None,
    strength: Annotated[float | None, Parameter(group=PRIOR)] = None,
    gamma: Annotated[float, Parameter(group=PRIOR)] = 2.0,
    epsilon: Annotated[float | None, Parameter(group=PRIOR)] = None,
    anatomy: Annotated[Path | None, Parameter(group=PRIOR)] = None,
    model: Annotated[str | None, Parameter(group=PRIOR)] = None,
    network: Annotated[str | None, Parameter(group=PRIOR)] = None,
    psf_mm: OneOrThree = None,
    post_filter_mm: OneOrThree = None,
    start: Annotated[Path | None, Parameter(group=IMAGE)] = None,
    tof: Annotated[bool, Parameter(group=IMAGE)] = True,
    voxel_mm: Annotated[Three, Parameter(group=IMAGE)] = None,
    grid_like: Annotated[Path | None, Parameter(group=IMAGE)] = None,
    lor_angles: Annotated[Literal["crystals", "stir"], Parameter(group=IMAGE)] = "crystals",
    subset_order: Annotated[
        Literal["spread", "sequential"], Parameter(group=IMAGE)
    ] = "spread",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    save_every: Annotated[int | None, WHOLE] = None,
    work: Path | None = None,
    preview: Path | None = None,
    quality: Path | None = None,
    config: Path | None = None,
):
    """Reconstruct a scan by OSEM or with a prior, with the model y = m (A x) + b.

    From a sinogram, or from list mode. What is missing of m and b is made first, by the commands
    histogram, norm, mu-map, randoms and scatter, and kept in a work folder: it is made again only
    when something changed. With scatter the image is reconstructed several times.

    Args:
        scan: Prompts as counted, a header of STIR (.hs) or Siemens (.s.hdr), or list mode.
        output: Image to write (.nii.gz, .nii or .hv), with a .json beside it that says how.
        span: Ring differences per segment of the sinogram that the list is counted into.
        max_ring_difference: The largest that counts, by default the list's.
        tof_mashing: Time-of-flight bins of the list that are summed into one.
        seconds: From when to when events count; by default all.
        norm: Component normalization to expand to the scan's bins (`countless norm`).
        efficiency: Sinogram that multiplies expected counts, m; it holds the number of crystal
            pairs per bin, too. `%unit := X` in its header says that m turns an image in X into
            counts, so the image is in X; else it is in counts/mm.
        correction: Its inverse, as STIR writes it; infinite or 1e20 in gaps.
        ct: CT to turn into a mu map (`countless mu-map`): folder of a DICOM series, or image in HU.
        kvp: Its tube voltage, where it does not say so itself.
        scanner_centre_mm: Where the scanner's centre lies in the CT's world (right, anterior,
            superior).
        mu_map: Attenuation in 1/cm (.hv, .nii, .nii.gz), applied as a factor.
        randoms: 'delayed' or 'singles', from which `countless randoms` estimates them, or a
            sinogram of expected randoms.
        delayed: Sinogram of delayed coincidences, for --randoms delayed and a scan that is no list.
        scatter: 'on' to estimate it (`countless scatter`), 'off', or a sinogram of it.
        scatter_rounds: Estimates of scatter, each from the image that the one before corrected.
        background: Sinogram of expected randoms and scatter together, b, in place of both.
        additive: The same divided by all factors, as STIR writes it: b = additive × m.
        calibration_factor: C, which makes the image's unit Bq/mL: a number, or the file that
            `countless calibrate` wrote.
        isotope: Such as F-18, where the scan does not say its own.
        algorithm: osem; kem, which is osem whose voxels are means over those alike in --anatomy; or
            one that takes a prior: svrg and saga (fastest), bsrem, mapem (with --subsets 1) and
            spdhg (total variation without --epsilon), which end at their objective's minimum, or
            osl, which does not. Learned ones, not for clinical use: fbsem, learned-gradient and
            primal-dual are networks with the scan inside (`countless train --unrolled`); pnp pulls
            the image to what a denoiser makes of it; dip fits a network to this scan alone.
        subsets: Of the views, view k, k + subsets, …; by default the divisor of the number of
            views nearest 21.
        iterations: Passes over all subsets; by default 3, and at most 20 with a prior, after one
            of osem.
        tolerance: End when a pass changes the image by less than this part of it (root mean
            square); by default 0.001 with a prior.
        prior: What smooths: rdp, the relative difference; quadratic; log-cosh; tv, total variation;
            pls, parallel level sets, total variation that spares the edges of --anatomy. By
            default rdp, and tv with spdhg.
        strength: Of the prior; the same number smooths alike at any dose and in any unit; by
            default 0.01. Of pnp and dip, how far the image is pulled to the network's.
        gamma: Of rdp: the larger, the better edges are kept.
        epsilon: Where rdp, log-cosh, tv and pls become smooth, as a part of the image's typical
            activity; by default 0.001, 0.1, 0.01 and 0.01.
        anatomy: CT or MR in register with the scan (.nii, .nii.gz, .hv); on other voxels it is
            resampled. With rdp, quadratic and log-cosh, neighbours that are alike there count; dip
            and networks that see a CT take it in HU.
        model: Trained network: a file that `countless train` made, or the name of one that comes
            with Countless; fbsem and pnp have one by default.
        network: Import path `package.module:Class` of a model's network, where it is your own.
        psf_mm: FWHM of a Gaussian point spread function, one value or three (x, y, z).
        post_filter_mm: FWHM of a Gaussian that smooths what is written, one value or three.
        start: First image, on the output's grid; by default flat in a cylinder, 0 outside.
        tof: Use time of flight where the scan has it, or sum its bins.
        voxel_mm: Sides of a voxel; by default half the ring spacing along z, and near that across.
        grid_like: Image whose voxels, index order and affine to take.
        lor_angles: 'stir' leaves interleaving out, for data that STIR simulated.
        subset_order: 'spread' keeps successive subsets far apart in angle.
        device: Where to compute; 'auto' is the GPU where there is one.
        save_every: Keep the image of every so many passes, as image.pass2.nii.gz.
        work: Folder for what is made on the way; by default image.work beside the output.
        preview: Picture to draw of the image (.png, .pdf, .svg, .jpg).
        quality: Page to draw of what was counted, estimated and reconstructed (the same); by
            default quality.png in the work folder, where there is one.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    is_interfile(output)  # refuses a name that is no image's
    learned = _learned(algorithm, model=model, network=network, strength=strength)
    method = Method.of(algorithm=algorithm, prior=prior, strength=strength, gamma=gamma,
                       epsilon=epsilon, anatomy=anatomy, tolerance=tolerance, learned=learned)
    if method.blocks:
        order = None if subset_order == "spread" else subset_order
        for name, value in (("subsets", subsets), ("iterations", iterations),
                            ("tolerance", tolerance), ("subset_order", order)):
            if value is not None:
                raise ValueError(
                    f"{flag_of(name)} is the network's own with {algorithm}, got {value}; leave it "
                    "out"
                )
        subsets = 1  # an update is a block
    raw = Raw(
        **{field.name: settings[field.name] for field in fields(Raw) if field.name != "work"},
        work=work or sidecar_path(output).with_suffix(".work"),
    )
    if lor_angles == "stir" and scatter == ON:
        raise ValueError(
            "--scatter on is estimated at the crystals' own angles, got --lor-angles stir; give a "
            "sinogram of the scatter, or leave one of the two out"
        )
    factor = calibration_factor if isinstance(calibration_factor, Path) else None
    read = (start, grid_like, anatomy, factor, config, learned and learned.path)
    given = (*raw.paths, *filter(None, read))
    check_output(output, given)
    for flag, path in (("--preview", preview), ("--quality", quality)):
        if path:
            check_picture(path, flag, given)
    device, reason = backend.find_device(device)

    def planned(**known):
        measurement = Measurement(**known, tof=tof, interleaved=lor_angles == "crystals")
        layout, position = measurement.layout, measurement.info["patient_position"]
        grid, frame = image_grid(layout, position, voxel_mm=voxel_mm, grid_like=grid_like)
        return Plan(
            measurement=measurement,
            output=output,
            grid=grid,
            frame=frame,
            start=start,
            subsets=divisor_nearest(layout.views) if subsets is None else subsets,
            method=method,
            iterations=method.passes if iterations is None else iterations,
            order=subset_order,
            psf_mm=_three("psf_mm", psf_mm),
            post_filter_mm=_three("post_filter_mm", post_filter_mm),
            save_every=save_every,
            preview=preview,
            quality=quality or (raw.work / "quality.png" if raw.steps else None),
            calibration=_calibration(measurement, calibration_factor, isotope),
            device=device,
            device_reason=reason,
            inputs=tuple(dict.fromkeys([*measurement.paths, *given])),
        )

    # What cannot be is refused as soon as the sinogram is there, before the long steps.
    files = prepare(raw, check=planned)
    plan = planned(**vars(files), additive=additive)
    if raw.steps:
        print(f"\n{raw.steps} of {raw.steps}  the image from all of these")
    print(plan, flush=True)
    _run(plan, settings)


def _run(plan, settings):
    """Loads the data, reconstructs and writes what the plan says."""
    data = plan.measurement.load(plan.device)
    counts, unit, calibration = counts_of(*data), plan.unit, plan.calibration
    print(text.table(counts.rows()), flush=True)
    record = provenance(
        command=command_line(recon, settings),
        configuration=settings,
        inputs=plan.inputs,
        unit=unit,
        quantity=plan.measurement.quantity,
        factors=plan.measurement.factor_names(),
        background=plan.measurement.background_name(),
        counts=asdict(counts),
        subsets=plan.subsets,
        tof_sigmas=plan.projector.tof_sigmas if plan.measurement.layout.tof else None,
        grid=asdict(plan.grid),
        scanner=plan.measurement.layout.scanner.name,
        device=f"{plan.device} ({plan.device_reason})",
    ) | (activity_record(calibration) if calibration else {})
    log, began = [], time.perf_counter()
    for done in reconstruct(plan, *data):
        image = backend.to_device(done.image, "cpu")
        shown = calibration(image) if calibration else image
        seconds = round(time.perf_counter() - began, 3)
        sums = {"sum": float(shown.sum(dtype=float)), "maximum": float(shown.max())}
        log.append({"pass": done.number, "seconds": seconds, **sums, "change": done.change})
        if done.last or done.number in plan.kept_passes:
            name = plan.algorithm(done.number)
            more = {"algorithm": name, "pass": done.number, "passes": log} | done.settled
            if plan.method.learned:
                more |= plan.method.learned.told()
            path = plan.output if done.last else plan.image_path(done.number)
            write_image(path, shown, plan.grid, unit=unit, frame=plan.frame,
                        info=plan.measurement.info, sidecar=record | more)
    for warning in done.settled.get("warnings", ()):
        print(text.table([("WARNING", warning)]))
    if plan.method.tolerance:
        print(text.table([("ended", ended(done, plan.method.tolerance))]))
    print(text.table([("written", f"{plan.output} after {seconds:.1f} s, in {unit}")]))
    title = f"{plan.output.name}   {plan.algorithm(done.number)}"
    if plan.preview:
        from recon.preview import draw

        draw(shown, plan.grid, plan.preview, title=title, unit=unit)
    if plan.quality:
        from recon.quality import Quality, draw

        draw(Quality.of(plan, image, *data), plan.quality, title=title)
        print(text.table([("quality", plan.quality)]))


def _learned(algorithm, *, model, network, strength):
    """What makes images by a learned algorithm; None of another.

    Raises:
        ValueError: a model goes with an algorithm that takes none.
    """
    if algorithm not in LEARNED:
        for flag, value in (("--model", model), ("--network", network)):
            if value is not None:
                raise ValueError(
                    f"{flag} takes an algorithm with a network ({', '.join(LEARNED)}), got "
                    f"{algorithm}; add --algorithm fbsem, or leave it out"
                )
        return None
    # The one door from here to networks, which stand above: opened where they are asked for.
    from denoise.reconstruction import find_algorithm

    return find_algorithm(algorithm, model=model, network=network, strength=strength)


def _calibration(measurement, factor, isotope):
    """The Calibration of a scan's image, None without a factor.

    Raises:
        FileError, ValueError: a fact is missing, or the factors make another unit.
    """
    if factor is None:
        if isotope:
            raise ValueError("--isotope takes --calibration-factor beside it; give it, or neither")
        return None
    scan, info = measurement.scan, measurement.info
    if measurement.unit != COUNTS:
        raise FileError(
            f"the factors of {scan} make an image in {measurement.unit} already; leave out "
            "--calibration-factor"
        )
    if "duration_s" not in info:
        raise FileError(
            f"{scan} does not say how long its frame took; reconstruct without "
            "--calibration-factor, and give it to `countless quantify` with --duration-s"
        )
    return calibration_of(info, scan, factor_of(factor), isotope=isotope)


def _three(name, values):
    """Widths along x, y, z, of one, three or none."""
    if values is None:
        return (0.0, 0.0, 0.0)
    values = np.ravel(values)
    if values.size not in (1, 3) or not (np.isfinite(values).all() and (values >= 0).all()):
        flag = flag_of(name)
        raise ValueError(f"{flag} takes one or three widths of 0 mm or more, got {values.tolist()}")
    return tuple(map(float, np.broadcast_to(values, 3)))
