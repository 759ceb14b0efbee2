"""Listed coincidences of any format, read by one function and written by another."""

from dataclasses import replace
from pathlib import Path

from recon.io.files import FileError, opened
from recon.io.petsird import is_petsird, read_petsird
from recon.io.siemens import read_list_mode

WRITTEN = (".cdh", ".petsird", ".bin")  # suffixes of lists that can be written
_HDF5 = b"\x89HDF"


def open_list(path, scanner_file=None):
    """Open list mode: Siemens mMR (.hdr), PETSIRD (.petsird, .bin) or CASToR (.cdh).

    Args:
        path: the header, or the file where it holds its own.
        scanner_file: CASToR's file of the scanner, see `recon.io.castor_list.read_castor_list`.
    Returns:
        A list: an object with path (of the data), inputs (all files that it reads), scanner,
        layout (SinogramLayout of span 1 with every pair of crystals that it can have, tof_mashing
        1 where it has time of flight), info (dict as of `recon.io.interfile_data.study_info`),
        known_notes and, after reading, notes (sentences), end_ms, last_ms (latest end of a
        frame), size (words), chunks() (iterator of recon.events.Events, from the beginning each
        time) and record(start_ms, stop_ms) (dict of what the last reading counted).
    Raises:
        FileError: it is of no kind that can be read, or damaged.
        ValueError: a file of the scanner for a list that says its scanner itself.
    """
    path = Path(path)
    castor = path.suffix.lower() == ".cdh"
    if scanner_file and not castor:
        raise ValueError(
            f"{path} takes no file of the scanner, which goes with CASToR's lists (.cdh) alone; "
            "leave --scanner out"
        )
    if path.suffix == ".hdr" or path.name.endswith(".hdr.STIR"):
        return read_list_mode(path)
    if castor:
        from recon.io.castor_list import read_castor_list

        return read_castor_list(path, scanner_file)
    if is_petsird(path):
        return read_petsird(path)
    with opened(path) as file:
        begins = file.read(64)
    if begins.startswith(_HDF5) or begins.lstrip().startswith(b'{"yardl"'):
        raise FileError(
            f"{path} is HDF5 or JSON, of which Countless reads no list mode; if it is PETSIRD, "
            "convert it to its binary form with the petsird package"
        )
    if b"interfile" in begins.lower():
        return read_list_mode(path)
    raise FileError(
        f"{path} is no list mode that Countless reads; give a Siemens mMR's header (.hdr), a "
        "PETSIRD file (.petsird, .bin) or a CASToR header (.cdh)"
    )


def write_list(path, chunks, source, *, sidecar=None):
    """Write events of a list as CASToR's or PETSIRD list mode, by the suffix.

    Args:
        path: one of WRITTEN.
        chunks: iterable of recon.events.Events.
        source: the list that they are of, see `open_list`.
        sidecar: dict of `recon.io.provenance`.
    Returns:
        dict: events written and, by the format, delayeds and impossible ones left out.
    Raises:
        FileError: the place cannot be written, or the format cannot hold such a list.
    """
    info = source.info | {"duration_s": source.last_ms / 1000}
    if Path(path).suffix == ".cdh":
        from recon.io.castor_list_writing import write_castor_list

        return write_castor_list(path, chunks, source.scanner, info=info, sidecar=sidecar,
                                 max_ring_difference=source.layout.max_ring_difference)
    from recon.io.petsird_writing import write_petsird

    # A scanner's bins of time of flight are not there where the list has none.
    bins = source.scanner.tof_bins if source.layout.tof else 1
    return write_petsird(path, chunks, replace(source.scanner, tof_bins=bins), info=info,
                         sidecar=sidecar)
