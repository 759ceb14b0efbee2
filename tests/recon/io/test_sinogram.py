"""A scanner's own sinogram is read by the same functions as STIR's, and known by its suffix."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.io import provenance, read_layout, read_sinogram, write_sinogram
from tests.recon.io.mmr import SINOGRAM_HEADER, written

LAYOUT = SinogramLayout.of(Scanner.preset("mMR"), max_ring_difference=1, radial_bins=5)
COUNTS = np.arange(2 * 190 * 252 * 5, dtype="<i2").reshape(2, 190, 252, 5)


@pytest.fixture
def siemens(tmp_path):
    """scan.s.hdr with its two data sets."""
    return written(tmp_path / "scan.s.hdr", SINOGRAM_HEADER, data=COUNTS.tobytes())


@pytest.mark.parametrize(("dataset", "number"), [("prompts", 0), ("delayeds", 1)])
def test_each_data_set_is_read_by_its_name(siemens, dataset, number):
    array, layout, info = read_sinogram(siemens, dataset=dataset)
    assert layout == LAYOUT
    np.testing.assert_array_equal(array, COUNTS[number].transpose(1, 2, 0))
    assert (info["patient_position"], info["duration_s"], info["datasets"]) == ("HFS", 60, 2)


def test_a_file_of_stir_holds_one_sinogram_by_either_name(tmp_path):
    array = np.ones(LAYOUT.shape, np.float32)
    write_sinogram(tmp_path / "delayed.hs", array, LAYOUT)
    for dataset in ("prompts", "delayeds"):
        assert read_sinogram(tmp_path / "delayed.hs", dataset=dataset)[0].sum() == array.size


def test_another_data_set_is_refused(siemens):
    with pytest.raises(ValueError, match="dataset takes prompts or delayeds, got 'randoms'"):
        read_sinogram(siemens, dataset="randoms")


def test_a_layout_is_read_without_data_and_with_the_angles_asked_for(siemens):
    (siemens.parent / "scan.s").unlink()
    assert read_layout(siemens)[0] == LAYOUT
    assert read_layout(siemens, interleaved=False)[0] == LAYOUT.with_(interleaved=False)


def test_header_and_data_are_hashed_once_each(siemens):
    data = siemens.parent / "scan.s"
    inputs = provenance(command="", configuration={}, inputs=[siemens, data])["inputs"]
    assert [Path(entry["path"]).name for entry in inputs] == ["scan.s.hdr", "scan.s"]
    assert inputs[1]["sha256"] == hashlib.sha256(COUNTS.tobytes()).hexdigest()
