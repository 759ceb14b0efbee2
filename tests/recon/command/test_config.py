"""Settings from YAML: the same names as the flags, and flags go over them."""

import pytest

from recon.config import read_settings
from recon.io import FileError
from recon.io.provenance import read_sidecar
from tests.recon.io.mmr import LIST_HEADER, as_bytes, event, tag, written

KNOWN = ["subsets", "tof", "voxel_mm", "psf_mm"]


COMMANDS = ["recon", "histogram", "norm", "randoms", "scatter", "mu-map", "quantify", "calibrate",
            "efficiencies", "convert"]


@pytest.fixture
def settings_of(tmp_path):
    def settings_of(text):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return read_settings(path, KNOWN, ["tof"])

    return settings_of


def test_a_file_may_write_hyphens_or_underscores(settings_of):
    assert settings_of("voxel-mm: [2, 2, 3]\npsf_mm: 4.5\n") == {
        "voxel_mm": [2, 2, 3], "psf_mm": 4.5
    }


def test_no_tof_is_tof_without(settings_of):
    assert settings_of("no-tof: true\n") == {"tof": False}


def test_null_and_an_empty_file_set_nothing(settings_of):
    assert settings_of("subsets:\n") == {}
    assert settings_of("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tof: true\nsubset: 3\n", "line 2: unknown setting `subset`; the nearest known one is "
                                   "`subsets`"),
        ("recon:\n  subsets: 3\n", "line 1: unknown setting `recon`; known are subsets, tof, "),
        ("tof: true\npsf_mm: false\n", "line 2: `psf_mm` takes a value, got false; leave the line"),
        ("- subsets\n", "takes lines `name: value`, got list"),
        ("subsets: 3\nsubsets: 4\n", "has a setting twice"),
        ("subsets: [1\n", "line 2 is not YAML: expected"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(settings_of, text, message):
    with pytest.raises(FileError, match=message):
        settings_of(text)


def test_a_whole_run_can_be_in_a_file_and_flags_go_over_it(run, scan, monkeypatch):
    monkeypatch.chdir(scan)
    (scan / "run.yaml").write_text(
        "scan: prompts.hs\noutput: image.nii\ngrid_like: truth.hv\nsubsets: 8\niterations: 5\n"
        "psf_mm: [4, 4, 0]\n"
    )
    result = run("recon", "--config", "run.yaml", "--iterations", 2)
    assert result.code == 0, result.err
    used = read_sidecar(scan / "image.nii")["configuration"]
    assert (used["subsets"], used["iterations"], used["psf_mm"]) == (8, 2, [4, 4, 0])


@pytest.mark.parametrize("setting", ["scatter", "randoms", "norm", "mu-map"])
def test_a_setting_of_the_name_of_a_command_is_a_setting(run, scan, setting):
    (scan / "run.yaml").write_text(f"{setting}: none.hs\n")
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii", "--config", scan / "run.yaml")
    assert result.code == 2
    assert "none.hs" in result.err


def test_an_unknown_setting_ends_the_command_with_one_sentence(run, scan):
    (scan / "run.yaml").write_text("itertions: 2\n")
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii", "--config", scan / "run.yaml")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "unknown setting `itertions`; the nearest known one is `iterations`" in result.err


def test_a_short_flag_is_no_setting_and_is_named_with_its_line(run, scan):
    (scan / "run.yaml").write_text("subsets: 8\no: x.nii\n")
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii", "--config", scan / "run.yaml")
    assert result.code == 2
    assert "run.yaml, line 2: unknown setting `o`; known are scan, output, span" in result.err


@pytest.mark.parametrize("setting", ["iterations: 1.5", "subsets: 4.4", "save_every: 1.5"])
def test_a_setting_that_counts_takes_whole_numbers(run, scan, setting):
    (scan / "run.yaml").write_text(setting + "\n")
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii", "--config", scan / "run.yaml")
    assert result.code == 2
    assert f"takes a whole number, got {setting.split()[-1]}" in result.err


def test_a_value_of_the_wrong_kind_names_the_setting(run, scan):
    (scan / "run.yaml").write_text("voxel_mm: [2, 2]\n")
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii", "--config", scan / "run.yaml")
    assert result.code == 2
    assert "--voxel-mm: Incorrect number of arguments: expected 3 but got 2" in result.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_many_options_takes_a_file_of_them(run, scan, command):
    (scan / "run.yaml").write_text("no_such: 1\n")
    result = run(command, "--config", scan / "run.yaml")
    assert result.code == 2
    assert "run.yaml, line 1: unknown setting `no_such`; known are" in result.err


def test_a_commands_file_of_settings_is_among_its_inputs_and_not_its_settings(
    run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "scan.l.hdr", LIST_HEADER, data=as_bytes([tag(0), event(1, 172, 5), tag(9)]))
    (tmp_path / "run.yaml").write_text(
        "list_mode: scan.l.hdr\noutput: scan.hs\nspan: 1\nmax-ring-difference: 1\n"
        "frames: [0, 0.004, 0.01]\n"
    )
    result = run("histogram", "--config", "run.yaml", "--span", 3)
    assert result.code == 0, result.err
    said = read_sidecar(tmp_path / "scan.frame2.hs")
    assert [entry["path"] for entry in said["inputs"]] == ["scan.l.hdr", "scan.l", "run.yaml"]
    assert said["configuration"]["span"] == 3
    assert said["configuration"]["frames"] == ["0", "0.004", "0.01"]
    assert "config" not in said["configuration"]
