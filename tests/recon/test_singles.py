"""Where a scan's singles are, and whose they are."""

import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.io import FileError, write_sinogram
from recon.singles import block_singles, singles_file

TINY, MMR = Scanner.preset("tiny"), Scanner.preset("mMR")


@pytest.fixture
def scan(tmp_path):
    """Writes scan.hs of the tiny scanner with these singles beside it."""

    def scan(rates):
        layout, path = SinogramLayout.of(TINY), tmp_path / "scan.hs"
        said = {"mean_singles_per_second_by_block": rates}
        write_sinogram(path, np.zeros(layout.shape, np.float32), layout, sidecar=said)
        return path

    return scan


def test_blocks_are_counted_around_the_scanner_first(scan):
    # tiny is one block of 5 rings long, and 8 of 4 crystals around.
    rates, why = block_singles(scan(list(range(8))), {}, TINY)
    assert (rates.tolist(), why) == ([list(range(8))], None)


def test_the_224_buckets_of_the_mmr_are_8_along_by_28_around():
    rates, _ = block_singles("scan.s.hdr", {"singles_per_s": list(range(224))}, MMR)
    assert (rates.shape, rates[1, 2]) == ((8, 28), 30)


def test_a_headers_own_singles_go_first(scan):
    path, info = scan([1.0] * 8), {"singles_per_s": [2.0] * 8}
    assert (block_singles(path, info, TINY)[0] == 2).all()
    assert singles_file(path, info) == path
    assert singles_file(path, {}) == path.with_suffix(".json")


def test_singles_of_another_number_of_blocks_are_refused(scan):
    with pytest.raises(FileError, match=r"scan.json has singles rates of shape \(7,\)"):
        block_singles(scan([1.0] * 7), {}, TINY)
