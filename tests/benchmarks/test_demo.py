"""What the demo runs, and what it says of images. The whole of it takes minutes: `make demo`."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmarks import demo as module
from benchmarks.demo import demo
from countless import app
from recon import Grid
from recon.io import write_image
from recon.io.provenance import read_json
from sim.phantom_files import StoredPhantom


@pytest.fixture
def commands(monkeypatch):
    """The command lines that the demo runs, recorded instead of run."""
    found = []

    def record(words):
        found.append(words[words.index("countless") + 1 :])
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(module.subprocess, "run", record)
    monkeypatch.setattr(module, "_compare", lambda *_: None)
    return found


@pytest.mark.parametrize("networks", [{}, {"unet": "unet.pt"}])
def test_the_demo_makes_a_person_two_scans_and_their_images(
    networks, commands, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(module, "shipped", lambda: networks)
    demo(output=tmp_path / "out", drf=20, minutes=3)
    assert [words[0] for words in commands] == [
        "phantom", "scan", "scan", "recon", "recon", *(["denoise"] if networks else [])
    ]
    assert ("Not denoised: no trained network" in capsys.readouterr().out) == (not networks)
    drf = [words[words.index("--drf") + 1] for words in commands[1:3]]
    assert drf == ["20", "1"]


def test_every_command_of_the_demo_is_one_that_countless_takes(commands, tmp_path):
    demo(output=tmp_path / "out")
    for words in commands:
        _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
        assert bound.arguments


def test_files_that_a_command_reads_were_written_by_one_before(commands, tmp_path):
    demo(output=tmp_path / "out")
    folders = {Path(words[words.index("-o") + 1]) for words in commands[:3]}
    for words in commands[1:]:
        assert Path(words[1]) in folders or Path(words[1]).parent in folders


def test_a_command_that_fails_ends_the_demo(monkeypatch, tmp_path):
    monkeypatch.setattr(
        module.subprocess, "run", lambda words: subprocess.CompletedProcess(words, 2)
    )
    with pytest.raises(RuntimeError, match="ended with exit code 2, so the demo ends too"):
        demo(output=tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drf": 0.5}, "--drf takes a factor of 1 or more, got 0.5"),
        ({"minutes": 0}, "--minutes takes a positive number, got 0"),
        ({"voxel_mm": 11}, "--voxel-mm takes 1 to 10 mm, got 11"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        demo(output=tmp_path, **settings)


def test_an_output_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ValueError, match="cannot be made a folder"):
        demo(output=file)


def test_images_are_measured_drawn_and_reported(tmp_path, monkeypatch, capsys):
    grid = Grid.centred(shape=(20, 16, 12), voxel_mm=(4, 4, 4))
    labels = np.zeros(grid.shape, np.uint16)
    labels[2:12, 2:12, 2:10], labels[5:8, 5:8, 5:8] = 1, 2
    truth = np.array([0, 1000, 5000], np.float32)[labels]
    rows = [{"name": name, "label": label, "lesion": label == 2, "centre_mm": [-14, -4, 6],
             "volume_ml": 1.7} for name, label in (("liver", 1), ("lesion 1", 2))]
    stored = StoredPhantom(activity=truth, mu_per_cm=truth, hu=truth, labels=labels, grid=grid,
                           said={"regions": rows})
    monkeypatch.setattr(module, "read_phantom", lambda _: stored)
    images = {}
    for title, factor in (("Standard dose", 1.1), ("1/10 of the dose", 1.2)):
        images[title] = tmp_path / f"{factor}.nii.gz"
        write_image(images[title], truth * np.float32(factor), grid, unit="Bq/mL")
    write_image(images["1/10 of the dose"], truth * np.float32(1.2), grid, unit="Bq/mL",
                sidecar={"warnings": ["the image is odd & <old>"]})
    module._compare(tmp_path, tmp_path, images, ["countless phantom person"], {"seed": 7}, 12.0)
    numbers = read_json(tmp_path / "numbers.json")
    assert numbers["images"]["Standard dose"]["nrmse"] == pytest.approx(0.1, rel=1e-5)
    page = (tmp_path / "report.html").read_text()
    assert "<td>20.0%" in page  # NRMSE of the low dose
    assert "the image is odd &amp; &lt;old&gt;" in page
    assert page.count("data:image/png;base64,") == 3
    assert "countless phantom person" in page
    assert (tmp_path / "comparison.png").stat().st_size > 10_000
    assert "Standard dose" in capsys.readouterr().out
