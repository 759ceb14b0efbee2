"""A study of seconds: uniform cylinders in the tiny scanner."""

from sim.study_file import read_study
from sim.study_run import run_study

TEXT = """\
seed: 3
phantoms:
  kind: uniform
  count: 3
  options: {diameter_mm: 80, length_mm: 60}
scan:
  scanner: tiny
  minutes: 4
  photon_pairs: 2000
  split: 1
doses:
  factors: [4]
reconstruction:
  voxel_mm: 10
  iterations: 1
  subsets: 4
  psf_mm: 0
realisations: 1
split: {train: 0.4, validation: 0.3, test: 0.3}
"""


def make_scans(folder, **changes):
    """Simulates the study with its scans in a folder, some pieces of its text replaced.

    Returns:
        The data set's folder.
    """
    study = read_study(write(folder, TEXT + "keep_scans: true\n", **changes))
    run_study(study, folder / "data", made={}, workers=0)
    return folder / "data"


def write(folder, text=TEXT, **changes):
    """study.yaml in a folder, with some pieces of its text replaced; returns its path."""
    for old, new in changes.items():
        text = text.replace(f"{old}: ", f"{old}: {new} #", 1)
    path = folder / "study.yaml"
    path.write_text(text)
    return path
