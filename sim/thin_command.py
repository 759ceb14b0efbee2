"""The command `countless thin`: a measured scan at a lower dose, by counts taken out of it."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from recon import progress, text
from recon.command_line import command_line
from recon.io import FileError, check_output, provenance, read_sinogram, write_sinogram
from recon.io.lists import WRITTEN, open_list, write_list
from recon.io.petsird import is_petsird
from recon.io.provenance import read_sidecar
from recon.io.sinogram import DATASETS, is_siemens, is_sinogram
from sim import dose
from sim.dose import Dose
from sim.numbers import check_seed

_KEPT = ("quantity", "inverse_crime")  # what thinning leaves true of what a .json says of a scan


def thin(
    scan: Path,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    drf: float,
    seed: int = 1,
    scanner: Path | None = None,
    dataset: Literal["prompts", "delayeds"] | None = None,
    config: Path | None = None,
):
    """Lower the dose of a measured scan: keep each of its counts with a chance of 1 / DRF.

    What is kept has the statistics of a scan of 1 / DRF of the time, randoms included. Times stay
    as they are, so that images of it are 1 / DRF of the activity.

    Args:
        scan: List (mMR's header .hdr, PETSIRD, CASToR's header .cdh), whose prompts and delayeds
            are thinned, or a sinogram of counts (.hs, .s.hdr): prompts and delayeds, each by
            itself.
        output: List to write (.cdh, .petsird), or sinogram (.hs). A .json beside it says how.
        drf: Dose reduction factor: 20 keeps a twentieth.
        seed: Of the draw, which is another one for each file.
        scanner: CASToR's file of the scanner (.geom, .hscan) where it is not beside the header nor
            in $CASTOR_CONFIG/scanner.
        dataset: Which of the two in a Siemens sinogram (.s.hdr); without it, prompts.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    keep = Dose(factor=drf).signal
    check_seed(seed)
    sinogram = is_sinogram(scan)
    events = None if sinogram else open_list(scan, scanner)  # or says what it is not
    suffixes = (".hs",) if sinogram else WRITTEN
    if output.suffix not in suffixes:
        raise FileError(
            f"{scan} is {'a sinogram' if sinogram else 'a list'} and is thinned to one, "
            f"{' or '.join(suffixes)}, got {output}"
        )
    if sinogram and scanner:
        raise ValueError(f"--scanner is of no use where {scan} is a sinogram; leave it out")
    both = sinogram and is_siemens(scan)
    if dataset and not both:
        raise ValueError(f"--dataset is of Siemens sinograms (.s.hdr), got {scan}; leave it out")
    dataset = dataset or DATASETS[0]

    def begin(inputs):
        check_output(output, inputs)
        said = {"quantity": dataset} if both else read_sidecar(scan)
        made = {name: said[name] for name in _KEPT if name in said} | provenance(
            command=command_line(thin, settings), configuration=settings, seed=seed,
            inputs=[*inputs, *filter(None, [config])], dose_reduction_factor=drf, mode="time",
        )
        # A draw of its own for each file and data set: their noise must not be shared.
        files = made["inputs"][: -1 if config else None]
        drawn = [DATASETS.index(dataset), *(int(file["sha256"], 16) for file in files)]
        rng = np.random.default_rng([seed, *drawn])
        return made, rng

    rows = (_sinogram(scan, dataset, output, keep, begin) if sinogram
            else _list(scan, events, output, keep, begin))
    print(text.table([
        ("scan", f"{scan}, of which each count is kept with a chance of 1 / {drf:g}"),
        *rows,
        ("note", f"times stay as they are, so images of it are 1 / {drf:g} of the activity"),
    ]))


def _sinogram(scan, dataset, output, keep, begin):
    counts, layout, info = read_sinogram(scan, dataset=dataset)
    made, rng = begin([scan])
    kept, _ = dose.thin(counts, keep, rng)
    if not kept.any():
        raise ValueError(f"{scan} has {counts.sum():.0f} counts, of which none is kept; give a "
                         "smaller --drf")
    write_sinogram(output, kept, layout, info, sidecar=made)
    total, left = (float(array.sum(dtype=np.float64)) for array in (counts, kept))
    return [("written", f"{output}, {left:,.0f} of {total:,.0f} counts")]


def _list(scan, events, output, keep, begin):
    made, rng = begin(events.inputs)
    kept = dose.thin_events(progress.events(events.chunks(), events.end_ms), keep, rng)
    counts = write_list(output, kept, events, sidecar=made)
    rows = [("written", f"{output}, {counts['events']:,} events")]
    if counts.get("delayeds"):
        rows.append(("left out", f"{counts['delayeds']:,} delayeds, which CASToR's lists cannot "
                                 "hold"))
    if is_petsird(scan):
        rows.append(("efficiencies", f"not in the list written; give recon --norm {scan}"))
    return rows
