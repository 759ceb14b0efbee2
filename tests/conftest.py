"""Fixtures that every test may ask for, and the order of the files."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
LONG = ("test_readme.py", "test_real_scan.py")  # files of which one test takes minutes
# Workers share the cores: a thread that waits for others shall sleep. OpenMP, not loaded yet, reads
# it once.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_collection_modifyitems(items):
    """Long files come first: workers, who get a file at a time, are then done together."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of data that others made: $COUNTLESS_REFERENCE, by default ../shared/reference.

    A relative path counts from the repository's root. Without the folder a test skips, and where
    CI is set it fails, or a green run could have compared with nothing.
    """
    value = os.environ.get("COUNTLESS_REFERENCE") or "../shared/reference"
    folder = (ROOT / value).resolve()
    if folder.is_dir():
        return folder
    reason = f"COUNTLESS_REFERENCE takes a folder of data, found none at {folder}; name it"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run and for every test."""
    return np.random.default_rng(20260)
