"""The house rules: which way imports run, what loads what, and how long a file may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A package imports itself and those to its left.
PACKAGES = ("recon", "sim", "denoise", "benchmarks")

# Inside recon a module imports its own level and those above. A module not named here is free.
RECON_LEVELS = (
    ("version",),
    ("grid", "scanner", "presets", "segments", "pairs", "layout", "events", "backend"),
    ("operators", "io", "resampling"),
    ("frames", "head_curve"),
    ("histogram",),
    ("chunks",),
    ("projectors",),
    ("listmode",),
    ("acquisition",),
    ("algorithms", "corrections"),
    ("quantity",),
    ("learned",),
)

SUFFIXES = (".py", ".cu", ".cuh", ".h")
MAXIMUM_LINES = 350


def source_files(*folders, suffixes=(".py",)):
    found = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return sorted(path for path in found if path.suffix in suffixes)


def imports(path, source=None):
    """Dotted names that a file imports anywhere, in functions too; `a.b` for `from a import b`."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(source or path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *filter(None, [node.module])))
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else None
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value)


def lies_in(name, *packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def importers(*packages):
    """Source files, relative to the root, that import one of the packages."""
    files = [*source_files(*PACKAGES), *ROOT.glob("*.py")]
    return [
        path.relative_to(ROOT)
        for path in files
        if any(lies_in(name, *packages) for name in imports(path))
    ]


def recon_level(parts):
    """Level of a module of recon, given ("recon", module, ...); None where it has none."""
    named = parts[1].removesuffix(".py") if len(parts) > 1 and parts[0] == "recon" else None
    return next((i for i, modules in enumerate(RECON_LEVELS) if named in modules), None)


def test_imports_in_functions_and_relative_and_by_name_are_seen():
    source = (
        "def f():\n import torch.nn\n from . import grid\n from ..io import nifti\n"
        " importlib.import_module('cupy')\n"
    )
    path = ROOT / "recon" / "algorithms" / "em.py"
    expected = {"torch.nn", "recon.algorithms.grid", "recon.io.nifti", "cupy"}
    assert set(imports(path, source)) == expected


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_none_that_stands_above_it(package):
    above = PACKAGES[PACKAGES.index(package) + 1 :]
    offenders = [path for path in importers(*above, "countless") if path.parts[0] == package]
    # The command is a door of the house and no room: it opens to networks when they are asked for.
    assert offenders == ([Path("recon/command.py")] if package == "recon" else [])
    door = "    from denoise.reconstruction import find_algorithm\n"
    assert (ROOT / "recon/command.py").read_text().count(door) == 1


def test_modules_of_recon_import_none_of_a_later_level():
    offenders = []
    for path in source_files("recon"):
        own = recon_level(path.relative_to(ROOT).parts)
        for name in imports(path):
            other = recon_level(name.split("."))
            if own is not None and other is not None and other > own:
                offenders.append(f"{path.relative_to(ROOT)} imports {name}")
    assert offenders == []


def test_torch_enters_only_in_learned_and_denoise_and_what_uses_them():
    users = set(importers("recon.learned", "denoise"))
    rooms = (Path("recon/learned"), Path("denoise"))
    offenders = [
        path
        for path in importers("torch")
        if path not in users and not any(path.is_relative_to(room) for room in rooms)
    ]
    assert offenders == []


def test_lightning_enters_only_in_files_named_training():
    paths = importers("pytorch_lightning", "lightning")
    assert [path for path in paths if not path.name.startswith("training")] == []


def test_cupy_enters_only_in_the_backend():
    assert [path for path in importers("cupy", "cupyx") if path != Path("recon/backend.py")] == []


@pytest.fixture(scope="module")
def import_of_recon():
    code = (
        "import recon, sys; heavy = {'torch', 'cupy', 'nibabel', 'matplotlib', 'pydicom'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_importing_recon_loads_no_torch_cupy_nibabel_or_matplotlib(import_of_recon):
    assert import_of_recon.returncode == 0, import_of_recon.stderr


def test_importing_recon_prints_nothing(import_of_recon):
    assert (import_of_recon.stdout, import_of_recon.stderr) == ("", "")


def test_no_source_file_is_longer_than_a_reader_holds_in_mind():
    files = [*source_files(*PACKAGES, "tests", suffixes=SUFFIXES), *ROOT.glob("*.py")]
    lengths = {path.relative_to(ROOT): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {path: n for path, n in lengths.items() if n > MAXIMUM_LINES} == {}


def test_a_source_distribution_holds_every_test_and_picture():
    lines = [line.split() for line in (ROOT / "MANIFEST.in").read_text("utf-8").splitlines()]
    packed = {words[1]: words[2:] for words in lines if words[0] == "recursive-include"}
    left_out = [
        path.relative_to(ROOT)
        for folder in ("docs", "tests")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix != ".pyc" and not any(path.match(name) for name in packed.get(folder, ()))
    ]
    assert left_out == []
