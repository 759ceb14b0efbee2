"""What the README shows works: its Python runs, its commands parse, its links lead somewhere."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import countless
from recon import Scanner, SinogramLayout
from recon.io import read_image, write_sinogram

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands():
    """Command lines of all shell blocks, each a list of words."""
    lines = "".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


@pytest.fixture
def scan(tmp_path, monkeypatch, rng):
    """A folder with prompts.hs of a small scanner, in which the test runs."""
    layout = SinogramLayout.of(Scanner.preset("tiny"))
    prompts = rng.poisson(20, layout.shape).astype(np.float32)
    write_sinogram(tmp_path / "prompts.hs", prompts, layout, {"patient_position": "HFS"})
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_of_the_readme_writes_an_image(scan, code):
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    image, _, info = read_image("image.nii.gz")
    assert image.max() > 0
    assert info["unit"] == "counts/mm"


@pytest.mark.parametrize("words", [w for w in commands() if w[0] == "countless"], ids=shlex.join)
def test_a_command_of_the_readme_is_one(words):
    command, *_ = countless.app.parse_args(words[1:], exit_on_error=False, print_error=False)
    assert command.__name__.replace("_", "-") == words[1]


@pytest.mark.parametrize("words", [w for w in commands() if w[0] == "make"], ids=shlex.join)
def test_a_target_of_the_readme_is_the_makefiles(words):
    assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)


def test_the_readme_has_examples_of_each_kind():
    assert blocks("python")
    assert {words[0] for words in commands()} >= {"countless", "make"}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_a_link_of_the_readme_leads_to_a_file(link):
    assert (ROOT / link).is_file()
