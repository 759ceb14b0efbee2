"""The memory that a process has had."""

import subprocess
import sys

import numpy as np

from recon import memory

PEAK = "from recon import memory; print(memory.peak())"


def test_the_peak_is_the_programs_own():
    held = np.ones(60 << 20)  # 480 MiB, of which a program that this one starts knows nothing
    ended = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert 10 << 20 < int(ended.stdout) < 200 << 20
    assert memory.peak() > held.nbytes


def test_what_was_given_back_counts():
    code = f"import numpy as np; np.ones(60 << 20); {PEAK}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 60 << 23 < int(ended.stdout) < 680 << 20
