"""PETSIRD files for tests, written by the package `petsird`."""

import numpy as np
import petsird

from recon.io.petsird import read_petsird
from recon.io.petsird_scanner import Bins, header_of
from recon.scanner import Scanner

TINY = Scanner.preset("tiny")  # 5 rings of 32, 9 time-of-flight bins of 100 ps, 8 blocks of 4 x 5
UNTIMED = Scanner(**vars(TINY) | {"name": "untimed", "tof_bins": 1, "tof_bin_ps": None})


def events(*listed):
    return [petsird.CoincidenceEvent(detection_bins=[a, b], tof_idx=k) for a, b, k in listed]


def block(start, stop, prompts=(), delayeds=(), **more):
    return petsird.TimeBlock.EventTimeBlock(petsird.EventTimeBlock(
        time_interval=petsird.TimeInterval(start=start, stop=stop),
        prompt_events=[[events(*prompts)]], delayed_events=[[events(*delayeds)]], **more,
    ))


def write(path, *blocks, scanner=TINY, info=None, change=lambda header: None):
    """Writes blocks after a header; `change` changes that before."""
    header = header_of(Bins(scanner), info or {})
    change(header)
    with petsird.BinaryPETSIRDWriter(str(path)) as writer:
        writer.write_header(header)
        writer.write_time_blocks(blocks)
    return path


def everything(path):
    """All Events of a file, as one row each."""
    rows = [np.zeros((0, 7), int)]
    for e in read_petsird(path).chunks():
        tof = np.full(len(e), -1) if e.tof_bin is None else e.tof_bin
        rows.append(np.stack([e.ring1, e.crystal1, e.ring2, e.crystal2, tof, e.time_ms, e.delayed],
                             axis=-1).astype(int))
    return np.concatenate(rows).tolist()
