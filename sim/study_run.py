"""Makes a study's files: what a folder lacks of them, on every core, the same wherever it runs."""

import math
import shutil
import sys
from pathlib import Path

from tqdm import tqdm

from recon import text
from recon.corrections.multiple_scatter import PRECISION
from recon.io import FileError
from recon.io.outputs import make_folder
from recon.io.provenance import plain, read_json, write_json
from sim import dataset_file
from sim.protocol import check_memory
from sim.study import SPLITS
from sim.study_lock import locked
from sim.study_phantom import ARRAYS, check_phantoms, image_grid, phantom_path
from sim.study_pool import pool

INDEX = "study.json"
LEAST_CUT = 1e-3  # part of the activity beyond the images' sides from which on it is said
KEPT = "what is made is kept, and the same command goes on from there"


def run_study(study, folder, *, made, only=SPLITS, workers=None, scheduler=None,
              device="cpu"):
    """Makes the phantoms' files that a folder lacks, and its index, study.json.

    The first phantom is made by itself, on all cores, to measure what the others will take. One
    that cannot be simulated keeps none of the others from being made.

    Args:
        study: Study.
        folder: Path; made where there is none.
        made: dict of `recon.io.provenance.provenance`, for all files.
        only: splits whose phantoms are made; what the folder has of the others is kept.
        workers, scheduler, device: see `study_pool.pool`.
    Returns:
        dict, as the index holds it.
    Raises:
        FileError: the folder is in use, holds another study, or its disk is too full; what was made
            is kept, and the same call goes on from there.
        ValueError: no phantom is of the splits; memory does not hold a scan; or phantoms or doses
            cannot be simulated, after all others were.
    """
    wanted = [number for number, split in enumerate(study.split.of(study.phantoms.count), 1)
              if split in only]
    if not wanted:
        raise ValueError(
            f"--only {' '.join(only)} takes phantoms of that split, got none of "
            f"{study.phantoms.count}; give other splits, or change the study's split"
        )
    check_phantoms(study)  # refused before anything is written
    if not scheduler:  # whose workers' memory is not known here
        check_memory(study.scan, "a smaller scan.max_ring_difference, or a larger scan.span, "
                                 "scan.view_mashing or scan.tof_mashing", arrays=ARRAYS)
    folder = make_folder(Path(folder).absolute())
    with locked(folder) as broken_off:
        if broken_off:
            print(text.table([("note", broken_off)]), flush=True)
        check_same(study, folder)
        _sweep(folder)
        records = whole_files(study, folder)
        missing = [n for n in wanted if n not in records]
        if len(missing) < len(wanted) and missing:
            print(text.table([("resumed", f"{text.plural(len(wanted) - len(missing), 'phantom')} "
                                          f"of {len(wanted)} are there, and whole")]))
        _check_disk(folder, len(missing) * raw_bytes(study))
        index = _write_index(study, folder, records, made)
        try:
            if missing:
                index = _make(study, folder, missing, records, made=made, workers=workers,
                              scheduler=scheduler, device=device)
        finally:
            _sweep(folder)
        return index


def _make(study, folder, missing, records, *, made, **options):
    """Makes the missing phantoms and adds their records; returns the index.

    Raises:
        ValueError: some cannot be simulated; all others are made.
    """
    index, failed = None, []
    with pool(study, folder, missing, made=made, **options) as results, tqdm(
        total=len(missing), unit=" phantoms", smoothing=0, file=sys.stderr, dynamic_ncols=True,
    ) as bar:
        for record in results:
            if "failed" in record:
                failed.append(record["failed"])
                bar.write(f"note        {record['failed']}")
                continue
            records[record["number"]] = record
            index = _write_index(study, folder, records, made)
            bar.update()
            if record["cut_off"] > LEAST_CUT:
                bar.write(f"note        the images' sides cut off {record['cut_off']:.1%} of the "
                          f"activity of phantom {record['number']}")
            if record["multiple_sd"] > PRECISION:
                bar.write(f"note        the scatter estimates of phantom {record['number']} have a "
                          f"noise of {record['multiple_sd']:.2%} of the scatter rather than "
                          f"{PRECISION:.2%}: multiple scatter's simulation ended at its most pairs")
            left = len(missing) - bar.n
            _check_disk(folder, left * max(r["bytes"] for r in records.values()))
    if failed:
        raise ValueError(
            f"{text.plural(len(failed), 'phantom')} of {study.phantoms.count} cannot be simulated "
            f"({'; '.join(failed)}); the other {len(records)} are made and kept, but the study is "
            "not complete: give another seed or other settings and another folder"
        )
    return index


def raw_bytes(study):
    """Bytes of a phantom's images and scans before they are packed, which make them fewer."""
    voxels, layout = math.prod(image_grid(study).shape), study.scan.layout
    scans = study.images * 8 * math.prod(layout.shape) + 4 * math.prod(layout.without_tof().shape)
    return voxels * (4 * study.images + 4 + 4 + 2) + study.keep_scans * scans


def check_same(study, folder):
    """Refuses a folder that holds a study of other settings.

    Raises:
        FileError: with the first setting that differs.
    """
    there = read_json(folder / INDEX).get("recipe")
    if there is None or there == plain(study.recipe()):
        return
    for name, ours in _flat(study.recipe()).items():
        theirs = _flat(there).get(name)
        if theirs != ours:
            raise FileError(
                f"{folder} holds a study made with {name} {theirs}, and this one has {ours}; give "
                "another folder"
            )
    raise FileError(f"{folder} holds a study of other settings; give another folder")


def whole_files(study, folder):
    """Records (number, sha256, bytes) of the phantoms' files that are whole, by their number.

    Raises:
        FileError: a file is another study's.
    """
    found = {}
    for number in range(1, study.phantoms.count + 1):
        path = phantom_path(folder, number)
        if path.is_file():
            with dataset_file.opened(path) as file:
                if file.attrs["study_hash"] != study.hash():
                    raise FileError(f"{path} belongs to another study; give another folder")
                digest = str(file.attrs["sha256"])
            found[number] = {"number": number, "sha256": digest, "bytes": path.stat().st_size}
    return found


def _write_index(study, folder, records, made):
    split = study.split.of(study.phantoms.count)
    index = made | {
        "hash": study.hash(), "recipe": study.recipe(),
        "complete": len(records) == study.phantoms.count,
        "phantoms": [
            {"file": phantom_path(folder, number).name, "split": split[number - 1]}
            | {name: record[name] for name in ("number", "sha256", "bytes")}
            for number, record in sorted(records.items())
        ],
    }
    write_json(folder / INDEX, index)
    return index


def _check_disk(folder, wanted):
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise FileError(
            f"the study takes up to {in_mb(wanted)} more, and {folder} has {in_mb(free)} free; "
            f"free space: {KEPT}"
        )


def in_mb(count):
    """Text of a number of bytes."""
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def _sweep(folder):
    """Removes what workers that were broken off left half written; the lock is held."""
    for path in folder.glob(".*.phantom-*.h5"):
        path.unlink()


def _flat(settings, before=""):
    """Settings of sections as {section.name: value}."""
    found = {}
    for name, value in plain(settings).items():
        part = _flat(value, f"{before}{name}.") if isinstance(value, dict) else None
        found |= part or {f"{before}{name}": value}
    return found
