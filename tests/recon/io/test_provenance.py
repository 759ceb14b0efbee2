import datetime
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from recon.io import FileError, provenance
from recon.io.provenance import read_sidecar, sha256, sidecar_path, write_json
from recon.version import __version__
from tests.recon.io.castor import written


def test_everything_that_made_an_output_is_recorded(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc")
    made = provenance(
        command=["countless", "recon"],
        configuration={"subsets": 21},
        inputs=[tmp_path / "a.bin"],
        unit="Bq/mL",
        seed=7,
        counts=5.0,
    )
    # SHA-256 of "abc" is the standard's own example (FIPS 180-2, B.1).
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert made["inputs"] == [{"path": str(tmp_path / "a.bin"), "sha256": digest}]
    assert (made["version"], made["command"]) == (__version__, "countless recon")
    assert (made["unit"], made["seed"], made["counts"]) == ("Bq/mL", 7, 5.0)
    assert datetime.datetime.fromisoformat(made["date"]).utcoffset() == datetime.timedelta(0)


def test_a_header_stands_for_its_data_too(sinogram_header):
    path = sinogram_header(data=b"data")
    inputs = provenance(command="", configuration={}, inputs=[path])["inputs"]
    assert [Path(i["path"]).name for i in inputs] == ["scan.hs", "scan.s"]
    assert inputs[1]["sha256"] == hashlib.sha256(b"data").hexdigest()


def test_an_input_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileError, match="absent cannot be read"):
        provenance(command="", configuration={}, inputs=[tmp_path / "absent"])


def test_numbers_of_numpy_paths_and_infinities_become_plain_json(tmp_path):
    content = {
        "counts": np.float32(1.5),
        "shape": np.array([2, 3]),
        "ok": np.True_,
        "path": Path("a"),
        "psnr": float("inf"),
        3: None,
    }
    write_json(tmp_path / "image.json", content)
    assert json.loads((tmp_path / "image.json").read_text()) == {
        "counts": 1.5,
        "shape": [2, 3],
        "ok": True,
        "path": "a",
        "psnr": None,
        "3": None,
    }


def test_an_image_without_a_sidecar_has_an_empty_one(tmp_path):
    assert read_sidecar(tmp_path / "image.nii") == {}


@pytest.mark.parametrize("text", ["{", "[1]", "1"])
def test_a_sidecar_that_is_no_json_of_names_is_refused(tmp_path, text):
    (tmp_path / "image.json").write_text(text)
    with pytest.raises(FileError, match=r"image\.json is not JSON"):
        read_sidecar(tmp_path / "image.nii")


def test_a_castor_header_stands_for_its_data_and_each_file_counts_once(tmp_path):
    path = written(tmp_path, data=b"data")
    given = [path, tmp_path / "scan.cdf", tmp_path / "PET_hand.geom"]
    inputs = provenance(command="", configuration={}, inputs=given)["inputs"]
    assert [Path(i["path"]).name for i in inputs] == ["scan.cdh", "scan.cdf", "PET_hand.geom"]


def test_a_scan_in_another_format_has_a_sidecar_of_its_own():
    names = {"scan.hs": "scan.json", "scan.cdh": "scan.cdh.json", "a.petsird": "a.petsird.json",
             "image.nii.gz": "image.json"}
    assert {name: sidecar_path(name).name for name in names} == names


@pytest.mark.parametrize(("size", "told"), [(7, False), (8, True)])
def test_the_hash_of_a_large_file_shows_how_far_it_is(tmp_path, monkeypatch, capsys, size, told):
    module = sys.modules["recon.io.provenance"]  # by that name recon.io has its function
    monkeypatch.setattr(module, "LARGE_BYTES", 8)
    monkeypatch.setattr(module, "_PART_BYTES", 3)
    (tmp_path / "scan.l").write_bytes(bytes(size))
    assert sha256(tmp_path / "scan.l") == hashlib.sha256(bytes(size)).hexdigest()
    assert ("hash of scan.l: 100%" in capsys.readouterr().err) == told
