"""The front door: quick, and it knows the rooms."""

import subprocess
import sys
from pathlib import Path

import pytest

import countless
from recon.version import __version__

ROOT = Path(__file__).resolve().parents[1]


def test_help_names_the_commands_and_loads_none_of_them():
    code = (
        "import countless, sys; countless.main(['--help']);"
        "print(sorted({'recon', 'sim', 'numpy', 'torch'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT,
                            capture_output=True, text=True, timeout=60)
    for name in ("recon", "info", "benchmark", "demo"):
        assert name in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"
    assert result.stderr == ""


def test_version_is_the_packages(capsys):
    assert countless.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize(
    "command",
    [["recon"], ["info"], ["demo"], ["quantify"], ["calibrate"], ["efficiencies"],
     ["benchmark", "projector"]],
)
def test_every_command_can_be_loaded_and_has_help(command, capsys):
    assert countless.main([*command, "--help"]) == 0
    assert "Usage: countless" in capsys.readouterr().out


def test_a_command_that_is_not_there_is_answered_with_the_nearest(capsys):
    assert countless.main(["recn"]) == 2
    assert 'Did you mean "recon"?' in capsys.readouterr().err


def test_running_out_of_memory_is_told_without_a_traceback(capsys, monkeypatch):
    def hungry(*_, **__):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(countless, "app", hungry)
    assert countless.main(["recon"]) == 2
    assert "Unable to allocate 9 TiB; close other programs" in capsys.readouterr().err


def test_a_commands_help_says_all_that_its_docstring_does(capsys):
    assert countless.main(["recon", "--help"]) == 0
    assert "kept in a work" in capsys.readouterr().out
    assert countless.main(["--help"]) == 0
