"""Any labelled volume as a Phantom: an image of whole numbers, and a table of what they are."""

from dataclasses import dataclass

import numpy as np

from recon.config import nearest, read_yaml
from recon.grid import Grid
from recon.io import FileError, read_image
from recon.names import most_alike
from sim.materials import MATERIALS, Material
from sim.phantoms import Phantom, Region

KEYS = ("name", "activity_bq_ml", "material", "mu_per_cm", "hu", "lesion")
_NAMED = 12  # labels in a message, at most


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelSolid:
    """The voxels of a label, as a Solid: a point is inside where the nearest voxel has the label.

    Attributes:
        labels: image (x, y, z) of whole numbers, shared by the solids of a volume.
        grid: Grid of the labels.
        label: whose voxels these are.
        box: ((first, end) of x, of y, of z) around them, in voxels.
    """

    labels: np.ndarray
    grid: Grid
    label: int
    box: tuple

    def contains(self, x, y, z):
        """Which points lie inside; coordinates in mm that broadcast."""
        indices, inside = [], True
        for axis, values in enumerate((x, y, z)):
            index = np.rint((values - self.grid.origin_mm[axis]) / self.grid.voxel_mm[axis])
            inside = inside & (index >= 0) & (index < self.grid.shape[axis])
            indices.append(np.clip(index, 0, self.grid.shape[axis] - 1).astype(np.intp))
        return inside & (self.labels[tuple(indices)] == self.label)

    @property
    def extent(self):
        """The box around it in mm, ((low, high) of x, of y, of z)."""
        return tuple(
            (origin + (first - 0.5) * side, origin + (end - 0.5) * side)
            for origin, side, (first, end) in zip(
                self.grid.origin_mm, self.grid.voxel_mm, self.box, strict=True
            )
        )


def labelled(path, table):
    """A Phantom of a labelled volume.

    On any grid, a voxel has the mean of the labels nearest to its sample points.

    Args:
        path: image of whole numbers (.nii, .nii.gz, .hv); 0 is air around, unless the table says
            otherwise.
        table: YAML file: label -> name, activity_bq_ml, material (or mu_per_cm and hu), lesion.
    Returns:
        Phantom, whose activity is of F-18, and the Grid of the labels.
    Raises:
        FileError: labels are no whole numbers or not in the table; the table has keys, materials
            or values that mean nothing.
    """
    numbers, grid, _ = read_image(path)
    if not np.array_equal(numbers, np.rint(numbers)):
        where = np.argwhere(numbers != np.rint(numbers))[0]
        raise FileError(
            f"{path} takes whole numbers as labels, found {numbers[tuple(where)]:g} at voxel "
            f"{tuple(where.tolist())}; give a segmentation, not an image of activity or HU"
        )
    labels, rows = numbers.astype(np.int32), read_values(table)
    there = [int(label) for label in np.unique(labels)]
    missing = [label for label in there if label not in rows and label != 0]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise FileError(
            f"{path} has labels that {table} lacks: {', '.join(map(str, missing[:_NAMED]))}{more}; "
            "add a row for each"
        )
    regions = []
    for label in there:
        if label in rows:
            solid = LabelSolid(labels=labels, grid=grid, label=label, box=_box(labels == label))
            regions.append(Region(solid=solid, **rows[label]))
    if not regions:
        raise FileError(f"{path} holds label 0 alone, which is air; give a segmentation")
    return Phantom(name="labelled", regions=tuple(regions)), grid


def read_values(path):
    """What labels stand for: dict from each to name, activity_bq_ml, material and lesion.

    Raises:
        FileError: see `labelled`; with the label.
    """
    root, rows = read_yaml(path)
    if not isinstance(rows, dict) or not all(type(label) is int for label in rows):
        raise FileError(
            f"{path} takes rows `label: {{name: …, activity_bq_ml: …, material: …}}`, each label a "
            f"whole number, got {rows if not isinstance(rows, dict) else list(rows)[:_NAMED]}"
        )
    if len(root.value) > len(rows):
        raise FileError(f"{path} has a label twice; keep one row of each")
    return {label: _checked(f"{path}, label {label}", row) for label, row in rows.items()}


def _checked(where, row):
    if not isinstance(row, dict):
        raise FileError(f"{where} takes {', '.join(KEYS)}, got {row!r}")
    for key in row:
        if key not in KEYS:
            raise FileError(f"{where}: unknown key `{key}`; {nearest(str(key), KEYS)}")
    for key in ("name", "activity_bq_ml"):
        if key not in row:
            raise FileError(f"{where} lacks `{key}`; add it")
    for key, low, high in (("activity_bq_ml", 0, 1e12), ("mu_per_cm", 0, 20), ("hu", -1024, 32767)):
        value = row.get(key, low)
        if type(value) not in (int, float) or not low <= value <= high:
            raise FileError(f"{where}: `{key}` takes a number from {low:g} to {high:g}, got "
                            f"{value!r}")
    if not isinstance(row.get("lesion", False), bool):
        raise FileError(f"{where}: `lesion` takes true or false, got {row['lesion']!r}")
    return {
        "name": str(row["name"]),
        "activity_bq_ml": float(row["activity_bq_ml"]),
        "material": _material(where, row),
        "lesion": row.get("lesion", False),
    }


def _material(where, row):
    if "material" not in row:
        if "mu_per_cm" not in row or "hu" not in row:
            raise FileError(f"{where} lacks `material`; give it, or `mu_per_cm` and `hu` instead")
        return Material(name="as given", mu_per_cm=float(row["mu_per_cm"]), hu=float(row["hu"]))
    if "mu_per_cm" in row or "hu" in row:
        raise FileError(f"{where} has `material` and `mu_per_cm` or `hu`; give one or the other")
    name = str(row["material"])
    if name not in MATERIALS:
        raise FileError(
            f"{where}: `material` takes one of {', '.join(MATERIALS)}, got {name!r}; the nearest "
            f"is {most_alike(name, MATERIALS)!r}"
        )
    return MATERIALS[name]


def _box(inside):
    ends = []
    for axis in range(3):
        there = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        ends.append((int(there[0]), int(there[-1]) + 1))
    return tuple(ends)
