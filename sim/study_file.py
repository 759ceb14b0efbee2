"""A study's settings from a YAML file: a tree of dataclasses, with the line of what is wrong."""

import dataclasses
import types
import typing
from pathlib import Path

from recon.config import nearest, read_yaml
from recon.io import FileError
from recon.scanner import Scanner
from sim.study import Study

EXAMPLE = """\
# countless simulate study.yaml -o study
seed: 1
phantoms:
  kind: person           # any name that `countless phantom` knows
  count: 20
  options: {tracer: FDG}
  # Or instead images of labels, each a phantom, in scanner coordinates; from this file's folder:
  # labels: [one.nii.gz, two.nii.gz]
  # values: table.yaml   # label -> name, activity_bq_ml, material (or mu_per_cm and hu), lesion
scan:
  scanner: demo
  minutes: 4
  span: 3                # fewer bins take less time
  view_mashing: 2
ct:                      # its mu map is what images are reconstructed with
  simulated: true        # or false: CT numbers and mu map are the phantom's own, without noise
  kvp: 120
  photons: 1.0e+5        # in a ray that meets nothing: the CT's dose
  shift_mm: 0            # how far the patient lay elsewhere: standard deviation along each axis
doses:
  mode: time             # a shorter scan; or activity: randoms go with its square
  factors: [4, 20]       # a quarter and a twentieth of the standard dose, which is always there
  pairs: independent     # or thinned: counts of the standard-dose scan, whose noise they share
realisations: 1          # scans that differ in their noise
keep_scans: false        # or true: with their sinograms, to learn from (`countless train`)
reconstruction:
  voxel_mm: 4
  iterations: 3
  subsets: 8
  psf_mm: 6
  post_filter_mm: 5
split: {train: 0.8, validation: 0.1, test: 0.1}    # by phantom
"""


def read_study(path):
    """The Study of a YAML file; EXAMPLE shows its settings, which all but `scan` have defaults.

    Raises:
        FileError: it cannot be read, a setting is unknown or of the wrong kind, or a value does
            not fit; with the line.
    """
    root, settings = read_yaml(path)
    return _section(Study, root, settings, str(path), "the study")


def _section(kind, node, settings, path, name):
    """A dataclass from a mapping."""
    where = f"{path}, line {node.start_mark.line + 1}" if node else path
    if not isinstance(settings, dict):
        raise FileError(f"{where}: {name} takes lines `name: value`, got {settings!r}")
    if len(node.value) != len(settings):
        raise FileError(f"{where}: {name} has a setting twice; keep one of each")
    kinds, values = typing.get_type_hints(kind), {}
    known = [field.name for field in dataclasses.fields(kind)]
    for (key, said), (setting, value) in zip(node.value, settings.items(), strict=True):
        place = f"{path}, line {key.start_mark.line + 1}"
        if setting not in known:
            raise FileError(
                f"{place}: {name} has no setting `{setting}`; {nearest(str(setting), known)}"
            )
        if value is not None:
            values[setting] = _value(kinds[setting], said, value, path, setting)
    missing = [
        field.name for field in dataclasses.fields(kind)
        if field.name not in values and field.default is field.default_factory is
        dataclasses.MISSING
    ]
    if missing:
        raise FileError(f"{where}: {name} takes `{missing[0]}`, which is not there; add it")
    try:
        return kind(**values)
    except ValueError as reason:
        raise FileError(f"{where}: {reason}") from reason


def _value(kind, node, value, path, name):
    """A setting's value as its type in the dataclass wants it."""
    if dataclasses.is_dataclass(kind) and kind is not Scanner:
        return _section(kind, node, value, path, f"`{name}`")
    where = f"{path}, line {node.start_mark.line + 1}: `{name}`"
    if isinstance(kind, types.UnionType):  # X | None, which null stands for
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is tuple:
        inside = typing.get_args(kind)
        values = value if isinstance(value, list) else [value]
        if inside[-1] is not Ellipsis and len(values) != len(inside):
            raise FileError(f"{where} takes {len(inside)} values, got {len(values)}")
        nodes = node.value if isinstance(value, list) else [node]
        return tuple(
            _value(inside[0], each, item, path, name)
            for each, item in zip(nodes, values, strict=True)
        )
    if kind is Scanner:
        try:
            return Scanner.preset(str(value))
        except ValueError as reason:
            raise FileError(f"{where}: {reason}") from reason
    if kind is Path and isinstance(value, str):
        return Path(path).absolute().parent / value
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML takes 1e6 for text
        except ValueError:
            pass
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise FileError(f"{where} takes {_KINDS[kind]}, got {value!r}")
    return value


_KINDS = {int: "a whole number", float: "a number", str: "a name", bool: "true or false",
          dict: "lines `name: value`", Path: "a file's name"}
