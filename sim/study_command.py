"""`countless simulate`: a data set of low-dose and standard-dose images, with the truth."""

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from recon import backend, text
from recon.command_line import command_line
from recon.io import FileError
from recon.io.provenance import provenance
from sim.study import SPLITS
from sim.study_file import EXAMPLE, read_study

FAIR = {
    "independent": "scans of their own, so their noise is independent: fair to train with",
    "thinned": "counts of the standard-dose scan, whose noise they share: a network trained on "
               "these pairs learns to keep part of it",
}


def simulate(
    study: Path | None = None,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    only: Annotated[tuple[Literal["train", "validation", "test"], ...],
                    Parameter(consume_multiple=True, negative_iterable=())] = SPLITS,
    workers: int | None = None,
    scheduler: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    check: bool = False,
    example: bool = False,
):
    """Simulate a study: many phantoms at several doses, reconstructed, as a data set.

    Each phantom becomes one HDF5 file with its images (low dose, standard dose, truth, CT, labels)
    and tables of its scans and lesions. Phantoms are those of `countless phantom`, or label images
    of your own with a table of their values. study.json says which phantoms are for training,
    validation and testing, and contact-sheet.png shows them. A run that was stopped goes on where
    it was.

    Args:
        study: YAML file of the study's settings; --example prints one.
        output: Folder for the data set; made where there is none.
        only: Make the phantoms of these splits alone: train and validation on the machine that
            trains, test where results are made. Files may be copied between folders of one study.
        workers: Processes on this machine; 0 for none but this one. By default as many as there
            are cores, and as memory holds.
        scheduler: Address of a Dask scheduler to work on instead, whose workers see the same
            folder.
        device: Where kernels run: auto takes a GPU where there is one. Its images differ from a
            CPU's by rounding; a few counts differ for it. A scheduler's workers are
            taken to have what this machine has.
        check: Verify the data set in the folder, and make nothing.
        example: Print an example of the settings.
    """
    settings = dict(locals())
    if example:
        print(EXAMPLE, end="")
        return
    if output is None:
        raise ValueError("--output takes the folder of the data set, got none; add -o study")
    if check:
        _check(output)
        return
    if study is None:
        raise ValueError("simulate takes a YAML file of settings, got none; --example prints one")
    _simulate(study, output, settings)


def _simulate(path, output, settings):
    from sim.contact_sheet import SHEET, draw_sheet
    from sim.dataset import open_study
    from sim.study_run import in_mb, raw_bytes, run_study

    study = read_study(path)
    device, reason = backend.find_device(settings["device"])
    size = in_mb(study.phantoms.count * raw_bytes(study))
    print(text.table([*rows(study, size), ("device", f"{device} ({reason})")]), flush=True)
    files = [*(study.phantoms.labels or ()), *filter(None, [study.phantoms.values])]
    made = provenance(
        command=command_line(simulate, settings),
        configuration=study.settings() | {"device": device},
        inputs=[path, *files], seed=study.seed, unit="Bq/mL",
    )
    options = {name: settings[name] for name in ("only", "workers", "scheduler")}
    index = run_study(study, output, made=made, device=device, **options)
    with open_study(output) as data:
        draw_sheet(output / SHEET, data)
    size = sum(record["bytes"] for record in index["phantoms"])
    print(text.table([
        ("written", f"{text.plural(len(index['phantoms']), 'phantom')}, {in_mb(size)}: "
                    f"{output}{os.sep}phantom-0001.h5 …, study.json"),
        ("look at", str(output / SHEET)),
        ("next", f"`countless simulate -o {output} --check` verifies it; "
                 f"sim.dataset.open_study({str(output)!r}) reads it"),
    ]))


def rows(study, size):
    """What a study will do, as rows for `recon.text.table`."""
    from sim.study_phantom import image_grid

    scan, ct, doses, made = study.scan, study.ct, study.doses, study.reconstruction
    yield "phantoms", f"{_phantoms(study.phantoms)}; seed {study.seed}"
    yield "scanner", text.scanner(scan.scanner)
    yield "scan", f"{scan.minutes:g} min, {text.layout(scan.layout)}"
    if scan.inverse_crime:
        yield "note", "inverse crime: simulated with the reconstruction's own model; no result"
    yield "CT", (
        f"{ct.kvp:g} kVp, {ct.photons:,.0f} photons in a ray"
        + (f", {ct.shift_mm:g} mm out of place" if ct.shift_mm else "")
        + "; images are reconstructed with its mu map" if study.simulates_ct
        else "the phantom's own, without noise, as is the mu map"
    )
    yield "doses", (
        f"1 / {', 1 / '.join(f'{factor:g}' for factor in doses.factors)} of the standard dose, "
        + ("shorter scans" if doses.mode == "time" else "less activity: randoms go with its square")
        + f"; {text.plural(study.realisations, 'realisation')} of each"
    )
    yield "low doses", FAIR[doses.pairs]
    yield "images", (
        f"{text.grid(image_grid(study))}; OSEM {made.iterations} × {made.subsets}, randoms and "
        "scatter estimated from the noisy scan"
    )
    given = study.split.of(study.phantoms.count)
    yield "split", ", ".join(
        f"{given.count(name)} for {purpose}" for name, purpose in
        (("train", "training"), ("validation", "validation"), ("test", "testing"))
    ) + ", by phantom"
    yield "size", f"at most {size} of disk; time is measured on the first phantom"


def _phantoms(asked):
    if asked.labels:
        what = f"{text.plural(asked.count, 'image')} of labels, values of {asked.values}"
    else:
        what = f"{asked.count} × {asked.kind}"
    options = asked.options | ({"isotope": asked.isotope} if asked.isotope else {})
    return what + "".join(f", {name} {value}" for name, value in options.items())


def _check(folder):
    from sim.study_check import problems

    found = problems(folder)
    if found:
        raise FileError(
            f"{folder} has {text.plural(len(found), 'problem')}: {'; '.join(found[:5])}"
            + ("; …" if len(found) > 5 else "")
        )
    print(text.table([("checked", f"{folder}: all files are whole, and their numbers agree")]))
