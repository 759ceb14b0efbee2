"""Where images of a phantom are measured: body, organs, lesions with their background, a liver."""

import json
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

ORGAN_ML = 5.0  # smaller organs are left out
LEAST_UPTAKE = 0.2  # times the body's mean; in what has less, such as air, all is spill from others
MARGIN_MM = 8.0  # what is nearer to an organ's end, or to a lesion, takes part in another's blur
BACKGROUND_MM = 24.0  # as far reaches a lesion's background
LEAST_VOXELS = 10  # of a background, or of an organ's inside
UNIFORM = "liver"


@dataclass(frozen=True, kw_only=True, eq=False)
class Lesion:
    """A lesion that lies in the images.

    Attributes:
        name, diameter_mm: of the ball of its volume.
        mask: bool (x, y, z), voxels whose middles it holds; of a lesion that holds none, `at`.
        background: bool (x, y, z), MARGIN_MM to BACKGROUND_MM away, of the tissue of which most is
            nearer than that; None where there is too little of any.
        at: voxel (x, y, z) in which its middle lies.
    """

    name: str
    diameter_mm: float
    mask: np.ndarray
    background: np.ndarray | None
    at: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """What is measured in images of a phantom.

    Attributes:
        truth: (x, y, z) in Bq/mL.
        voxel_mm: sides of a voxel.
        body: bool (x, y, z): all but the air around.
        organs: dict from a name to the voxels of a tissue that takes up activity.
        lesions: list of Lesion.
        uniform: name of the organ in which noise is measured: the liver, or else the largest.
        inside: its voxels at least MARGIN_MM from its end; None where no organ has any.
    """

    truth: np.ndarray
    voxel_mm: tuple[float, float, float]
    body: np.ndarray
    organs: dict
    lesions: list
    uniform: str
    inside: np.ndarray | None

    @classmethod
    def of(cls, data, number):
        """The Regions of a phantom of a StoredStudy."""
        file = data.file(number)
        names = json.loads(file.attrs["label_names"])
        return cls.from_labels(
            file["truth"][:], file["labels"][:], names, data.lesions(number), data.grid(number)
        )

    @classmethod
    def from_labels(cls, truth, labels, names, lesions, grid):
        """The Regions of labels.

        Args:
            truth: (x, y, z) in Bq/mL.
            labels: uint16 (x, y, z), indices into `names`; 0 is air.
            names: of the labels.
            lesions: structured array, `sim.dataset_file.LESIONS`.
            grid: Grid.
        """
        body = labels > 0
        least = ORGAN_ML * 1000 / np.prod(grid.voxel_mm)
        hot = np.setdiff1d(np.flatnonzero(np.bincount(labels.ravel()) >= least),
                           [0, *lesions["label"]])
        # Air within the body has the name of that around it.
        organs = {names[label]: labels == label for label in hot if names[label] != names[0]}
        least = LEAST_UPTAKE * truth[body].mean(dtype=float)
        organs = {name: mask for name, mask in organs.items() if truth[mask].mean() >= least}
        uniform, inside = _uniform(organs, grid.voxel_mm)
        rows = [row for row in lesions if row["inside"] > 0.99]
        places = [tuple(map(grid.nearest, range(3), row["centre_mm"])) for row in rows]
        masks = [_mask(row["label"], at, labels) for row, at in zip(rows, places, strict=True)]
        any_lesion = np.isin(labels, lesions["label"]) | np.any([np.zeros_like(body), *masks], 0)
        return cls(
            truth=truth, voxel_mm=grid.voxel_mm, body=body, organs=organs, uniform=uniform,
            inside=inside, lesions=[
                _lesion(row, at, mask, labels, any_lesion, grid.voxel_mm)
                for row, at, mask in zip(rows, places, masks, strict=True)
            ],
        )


def eroded(mask, voxel_mm, margin_mm):
    """The voxels of a mask whose middles are farther than a margin from any that is not in it."""
    padded = np.pad(mask, 1)  # the image's end is an end, too
    return ndimage.distance_transform_edt(padded, voxel_mm)[1:-1, 1:-1, 1:-1] > margin_mm


def _uniform(organs, voxel_mm):
    """Name and inside of the liver, or of the largest organ."""
    sizes = {name: np.count_nonzero(mask) for name, mask in organs.items()}
    for name in sorted(sizes, key=lambda name: (name != UNIFORM, -sizes[name])):
        inside = eroded(organs[name], voxel_mm, MARGIN_MM)
        if np.count_nonzero(inside) >= LEAST_VOXELS:
            return name, inside
    return "", None


def _mask(label, at, labels):
    mask = labels == label
    if not mask.any():
        mask[at] = True
    return mask


def _lesion(row, at, mask, labels, any_lesion, voxel_mm):
    away = ndimage.distance_transform_edt(~mask, voxel_mm)
    shell = (away >= MARGIN_MM) & (away <= BACKGROUND_MM) & (labels > 0)
    shell &= ndimage.distance_transform_edt(~any_lesion, voxel_mm) >= MARGIN_MM
    touching = (away > 0) & (away < MARGIN_MM) & ~any_lesion & (labels > 0)
    near, farther = (np.bincount(labels[part], minlength=int(labels.max()) + 1)
                     for part in (touching, shell))
    for counts in (near, farther):
        counts[farther < LEAST_VOXELS] = 0  # such as a sphere's wall
    counts = near if near.any() else farther
    background = shell & (labels == counts.argmax()) if counts.any() else None
    diameter_mm = float(np.cbrt(6000 * row["volume_ml"] / np.pi))
    return Lesion(
        name=row["name"].decode(), diameter_mm=round(diameter_mm, 3), mask=mask,
        background=background, at=at,
    )
