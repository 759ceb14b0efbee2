"""Singles rates of a scan's blocks: beside a sinogram that `countless histogram` made, or in it."""

import numpy as np

from recon.io import FileError
from recon.io.provenance import read_sidecar, sidecar_path

KEY = "mean_singles_per_second_by_block"


def singles_file(scan, info):
    """The file that says the singles rates of a scan, if there are any: its header or .json."""
    return scan if "singles_per_s" in info else sidecar_path(scan)


def block_singles(scan, info, scanner):
    """Mean singles rate of each block or bucket of a scan.

    Blocks are numbered around the scanner first and then along it, and tile it: the mMR's 224 are
    8 along by 28 around, each of 8 rings by 18 crystals, as NiftyPET (Markiewicz et al.,
    Neuroinformatics 16, 2018) and APIRL (Belzunce) number them. It has not been tried on a real
    list: the one at hand ends before the mMR's first report of singles, after 2 s.

    Args:
        scan: header of a sinogram; the .json beside it holds the rates.
        info: dict of the header's facts; `singles_per_s` in it, as Siemens writes it, goes first.
        scanner: Scanner.
    Returns:
        float64 (axial, transaxial) in 1/s, or None where they are not all known; and a sentence on
        why, or None.
    Raises:
        FileError: their number does not fit the scanner, or they cannot be rates.
    """
    file, said = singles_file(scan, info), {}
    rates = info.get("singles_per_s")
    if rates is None:
        said = read_sidecar(scan)
        rates = said.get(KEY)
    if rates is None:
        why = "the list held no singles in the scan's time" if KEY in said else (
            f"no {file} beside the scan says them, as countless histogram does"
        )
        return None, f"no singles rates are known: {why}"
    try:
        rates = np.array(rates, np.float64)  # None becomes NaN
    except (TypeError, ValueError):
        rates = np.zeros((0, 0))
    axial = scanner.rings // scanner.block_crystals[1]
    if rates.ndim != 1 or not rates.size or rates.size % axial or (
        scanner.crystals % (rates.size // axial)
    ):
        raise FileError(
            f"{file} has singles rates of shape {rates.shape}, which is no number of blocks of "
            f"{scanner.name}; histogram the scan again"
        )
    if (rates < 0).any() or np.isinf(rates).any():
        raise FileError(f"{file} has singles rates that cannot be; histogram the scan again")
    missing = int(np.isnan(rates).sum())
    if missing:
        return None, (
            f"the singles rates of {missing} of {rates.size} blocks are not known: the scan is too "
            "short for all to report"
        )
    return rates.reshape(axial, -1), None
