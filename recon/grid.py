"""Where an image lies, and the one statement of axis order and handedness.

Scanner coordinates, in mm: x and y transaxial, z along the axis, origin at the scanner's centre.
They are STIR's numbers: seen by someone at the bed who looks into the gantry, x points right,
y down and z towards them (out along the bed), a left-handed triple. A line of response is

    X = s cos(phi) + a sin(phi),  Y = s sin(phi) - a cos(phi),  Z = m - a tan(theta),

with a from -A to A, A = sqrt(R^2 - s^2), R the radius at which photons interact. Its first point
is at a = +A; time of flight is positive towards it. `recon.layout` says which crystals these are.

An image is an array (x, y, z), float32, z fastest; the centre of voxel i is at
origin_mm + i * voxel_mm. Where growing x, y, z lead in the patient depends on how they lie:

    HFS  left,  posterior, inferior        FFS  right, posterior, superior
    HFP  right, anterior,  inferior        FFP  left,  anterior,  superior

NIfTI's world is (right, anterior, superior); scanner (0, 0, 0) is its (0, 0, 0).
"""

from dataclasses import dataclass

import numpy as np

# +1 where growing x, y, z lead right, anterior, superior.
PATIENT_AXES = {
    "HFS": (-1, -1, -1),
    "HFP": (1, 1, -1),
    "FFS": (1, -1, 1),
    "FFP": (-1, 1, 1),
}


@dataclass(frozen=True)
class IndexOrder:
    """How another image's index axes follow from a Grid's (x, y, z): permutation, then flips.

    Attributes:
        axes: for each of x, y, z, the image axis that runs along it.
        flipped: for each of x, y, z, whether the image runs against it.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    def to_grid(self, array):
        """The image's array in Grid order (x, y, z, …); later axes stay where they are."""
        return np.transpose(array, (*self.axes, *range(3, np.ndim(array))))[self._flip()]

    def from_grid(self, array):
        """A Grid-ordered array in the image's own index order; the inverse of `to_grid`."""
        back = np.argsort(self.axes)
        return np.transpose(array[self._flip()], (*back, *range(3, np.ndim(array))))

    def _flip(self):
        return tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flipped)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The voxels of an image (x, y, z) in scanner coordinates (this module's docstring).

    Attributes:
        shape: voxels along x, y, z.
        voxel_mm: sides of a voxel, all positive.
        origin_mm: centre of voxel (0, 0, 0).
        patient_position: HFS, HFP, FFS or FFP.
    Raises:
        ValueError: a size is not positive or the position is not one of the four.
    """

    shape: tuple[int, int, int]
    voxel_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    patient_position: str = "HFS"

    def __post_init__(self):
        for name, kind in (("shape", int), ("voxel_mm", float), ("origin_mm", float)):
            object.__setattr__(self, name, _triple(name, getattr(self, name), kind))
        if min(self.shape) < 1:
            raise ValueError(
                f"Grid takes a shape of three positive numbers, got {self.shape}; "
                "give the voxels along x, y and z"
            )
        if min(self.voxel_mm) <= 0:
            raise ValueError(
                f"Grid takes positive voxel_mm, got {self.voxel_mm}; directions belong to "
                "patient_position, and Grid.from_affine says which axes to flip"
            )
        _signs(self.patient_position)

    @classmethod
    def centred(cls, *, shape, voxel_mm, centre_mm=(0.0, 0.0, 0.0), patient_position="HFS"):
        """The Grid whose middle is at centre_mm: between two voxels along axes of even size."""
        shape = _triple("shape", shape, int)
        voxel_mm = _triple("voxel_mm", voxel_mm, float)
        centre_mm = _triple("centre_mm", centre_mm, float)
        origin_mm = tuple(
            c - (n - 1) / 2 * v for c, n, v in zip(centre_mm, shape, voxel_mm, strict=True)
        )
        return cls(
            shape=shape, voxel_mm=voxel_mm, origin_mm=origin_mm, patient_position=patient_position
        )

    @classmethod
    def from_affine(cls, shape, affine, patient_position="HFS"):
        """The Grid whose voxels coincide with a NIfTI image's, and that image's index order.

        Args:
            shape: the image's first three sizes.
            affine: (4, 4) from its indices to mm (right, anterior, superior).
            patient_position: how the patient lay; NIfTI does not say.
        Returns:
            Grid, IndexOrder.
        Raises:
            ValueError: the image's axes are not the patient's (to 1e-4 of a voxel per voxel).
        """
        shape = _triple("shape", shape, int)
        affine = np.asarray(affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError(
                f"Grid.from_affine takes a finite 4 x 4 affine, got shape {affine.shape} with "
                f"values {affine.tolist()}; check the image's qform and sform"
            )
        signs = _signs(patient_position)
        steps = affine[:3, :3]
        axes = np.argmax(np.abs(steps), axis=1)
        along = steps[range(3), axes]
        rest = steps.copy()
        rest[range(3), axes] = 0
        if sorted(axes) != [0, 1, 2] or np.any(np.abs(rest).max(0)[axes] > 1e-4 * np.abs(along)):
            raise ValueError(
                "Grid.from_affine takes axes along the patient's, got the affine "
                f"{steps.tolist()}; resample the image first, for instance with "
                "nibabel.processing.resample_to_output"
            )
        flipped = np.sign(along) != signs
        sizes = np.array(shape)[axes]
        first = signs * affine[:3, 3]
        origin_mm = np.where(flipped, first - (sizes - 1) * np.abs(along), first)
        grid = cls(shape=sizes, voxel_mm=np.abs(along), origin_mm=origin_mm,
                   patient_position=patient_position)
        return grid, IndexOrder(tuple(axes.tolist()), tuple(flipped.tolist()))

    @property
    def affine(self):
        """From voxel indices to NIfTI's mm (right, anterior, superior): (4, 4) float64."""
        signs = _signs(self.patient_position)
        affine = np.diag([*(signs * self.voxel_mm), 1.0])
        affine[:3, 3] = signs * self.origin_mm
        return affine

    @property
    def extent(self):
        """Outer faces of the first and last voxel in mm, ((low, high) of x, of y, of z)."""
        return tuple(
            (o - v / 2, o + (n - 0.5) * v)
            for n, v, o in zip(self.shape, self.voxel_mm, self.origin_mm, strict=True)
        )

    @property
    def centre(self):
        """The middle of the grid in mm (x, y, z)."""
        return tuple((low + high) / 2 for low, high in self.extent)

    def centres(self, axis):
        """Voxel centres along axis 0, 1 or 2 (x, y, z) in mm, float64."""
        return self.origin_mm[axis] + self.voxel_mm[axis] * np.arange(self.shape[axis])

    def nearest(self, axis, mm):
        """Index of the voxel along an axis whose centre is nearest to a place; ends beyond them."""
        return int(np.argmin(np.abs(self.centres(axis) - mm)))

    def cylinder(self, radius_mm=None):
        """Which voxel centres lie in a cylinder along z.

        Args:
            radius_mm: about the scanner's axis; without it, a circle as wide as the grid's longer
                side, about the grid's own centre.
        Returns:
            (x, y, 1) bool.
        """
        x, y = (0.0, 0.0) if radius_mm is not None else self.centre[:2]
        if radius_mm is None:
            radius_mm = max(n * v for n, v in zip(self.shape[:2], self.voxel_mm[:2], strict=True))
            radius_mm /= 2
        inside = np.hypot(self.centres(0)[:, None] - x, self.centres(1)[None] - y) <= radius_mm
        return inside[:, :, None]


def _signs(patient_position):
    if patient_position not in PATIENT_AXES:
        raise ValueError(
            f"Grid takes patient_position {', '.join(PATIENT_AXES)}, got {patient_position!r}; "
            "H or F is head or feet first, S or P supine or prone"
        )
    return np.array(PATIENT_AXES[patient_position], dtype=np.float64)


def _triple(name, values, kind):
    """Three plain numbers, so that a Grid's repr is its constructor."""
    values = np.ravel(values)
    if values.size != 3 or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ValueError(
            f"Grid takes three finite numbers (x, y, z) as {name}, got {values.tolist()}"
        )
    if kind is int and np.any(values != np.round(values)):
        raise ValueError(f"Grid takes whole numbers as {name}, got {values.tolist()}")
    return tuple(kind(value) for value in values)
