"""The command `countless norm`: a scanner's normalization to the factors of a scan's bins."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from recon import progress, text
from recon.command_line import command_line
from recon.corrections.coincidences import real_crystals
from recon.corrections.normalization import QUANTITY, live_fractions, mmr_factors
from recon.corrections.petsird_efficiencies import petsird_factors, read_efficiencies
from recon.io import provenance, read_layout, write_sinogram
from recon.io.petsird import is_petsird
from recon.io.siemens_norm import read_norm
from recon.singles import block_singles, singles_file
from recon.sinogram_output import check_sinogram_output


def norm(
    normalization: Path,
    *,
    like: Path,
    output: Annotated[Path, Parameter(alias="-o")],
    dead_time: bool = True,
    config: Path | None = None,
):
    """Turn a normalization into factors m, for `countless recon --efficiency`.

    They multiply expected counts, hold the number of crystal pairs of each bin, and are 0 in gaps.

    Args:
        normalization: Siemens mMR's header of a component normalization (.n.hdr), or a PETSIRD file
            (.petsird, .bin), whose header holds the detection efficiencies.
        like: Sinogram whose bins to take (.hs, .s.hdr); its data need not be there. The .json
            beside it, where `countless histogram` wrote it, has the singles rates for dead time.
        output: Sinogram to write (.hs), with a .json beside it that says how.
        dead_time: Hold the part of the time in which the scanner is live, where singles are known.
        config: YAML file of these settings by name; flags go over it.
    """
    settings = {name: value for name, value in locals().items() if name != "config"}
    petsird = is_petsird(normalization)
    components = read_efficiencies(normalization) if petsird else read_norm(normalization)
    layout, info = read_layout(like)
    layout = layout.without_tof()
    inputs = [normalization, like, *filter(None, [config])]
    check_sinogram_output(output, layout, inputs, arrays=2)
    singles, why = None, "PETSIRD's is not used" if petsird else "left out, as asked"
    if dead_time and not petsird:
        singles, why = block_singles(like, info, layout.scanner)
        inputs += [path for path in [singles_file(like, info)] if path.is_file()]
    live = None
    if singles is not None:
        live = _live(components, singles)
        why = (
            f"{live['mean']:.4g} of singles pass on average, {live['least']:.4g} where it is "
            f"least, at {singles.mean():.4g} singles/s per block; a pair passes the product of two"
        )
    rows = [
        ("norm", f"{normalization}, {text.scanner(components.scanner)}"),
        ("layout", f"of {like}: {text.layout(layout)}"),
        ("dead time", why if live else f"not in the factors: {why}"),
        *(("note", note) for note in components.notes),
    ]
    print(text.table(rows), flush=True)
    if petsird:
        with progress.views(layout) as watch:
            factors = petsird_factors(components, layout, watch=watch)
    else:
        factors = mmr_factors(components, layout, singles_per_s=singles)
    counting = factors[factors > 0]
    found = {
        "least": float(counting.min(initial=np.inf)),
        "mean": float(counting.mean(dtype=np.float64)) if counting.size else 0.0,
        "most": float(counting.max(initial=0)),
        "gaps": factors.size - counting.size,
        "bins": factors.size,
    }
    record = provenance(
        command=command_line(norm, settings),
        configuration=settings,
        inputs=inputs,
        unit="1",
        quantity=QUANTITY,
        factors=found,
        dead_time=live is not None,
        live_fractions=live,
        dead_time_note=why,
        attenuation=False,
        calibration_factor=components.calibration_factor if petsird else None,
        notes=components.notes,
    )
    # The scan's duration and corrections are not the factors'; a unit here would be the image's.
    study = {"patient_position": info["patient_position"]}
    write_sinogram(output, factors, layout, study, sidecar=record)
    print(text.table([
        ("factors", f"{found['least']:.4g} to {found['most']:.4g}, mean {found['mean']:.4g}, of "
                    "all crystal pairs of a bin"),
        ("gaps", f"{found['gaps']:,} of {found['bins']:,} bins have no crystal pair: 0"),
        ("written", output),
    ]))


def _live(components, singles):
    """Which part of singles passes, over the crystals, a dict."""
    values = live_fractions(components, singles)[real_crystals(components.scanner)]
    return {"mean": float(values.mean(dtype=np.float64)), "least": float(values.min())}
