"""Lesions of the brain: foci of cortex that take up less, and tumours that take up more."""

import numpy as np

from sim.brain_fields import LevelSet
from sim.brain_folding import GREY_MM
from sim.phantoms import Region
from sim.shapes import Ellipsoid, Intersection

KINDS = ("focus", "tumour")
TRIES = 400  # places tried for a lesion


def check_lesions(lesions, kind):
    """Refuse a number or a kind of lesions that `brain` does not make.

    Raises:
        ValueError: lesions is not 0 to 12, or there is no such kind.
    """
    if lesions not in range(13):
        raise ValueError(f"brain takes 0 to 12 lesions, got {lesions!r}")
    if kind not in (None, *KINDS):
        raise ValueError(f"brain takes a lesion out of {', '.join(KINDS)} or None, got {kind!r}")


def place_lesions(kinds, cortex, fold, room, holes, tumour_bq_ml, rng):
    """Lesions at random places, apart from each other.

    Args:
        kinds: of each lesion, out of KINDS.
        cortex: Regions of the cortex, of which a later one covers the earlier.
        fold: depth under the pia in mm, a Lattice.
        room: depth in the cranial cavity in mm, a Lattice.
        holes: Solids that hold no tumour.
        tumour_bq_ml: (low, high) of a tumour.
        rng: numpy Generator.
    Returns:
        The foci, to be painted over the cortex and under the white matter, and the tumours, to be
        painted last: two lists of Region.
    Raises:
        ValueError: they do not fit.
    """
    grey = np.flatnonzero((fold.values > 0.2 * GREY_MM) & (fold.values < 0.8 * GREY_MM))
    deep = np.flatnonzero(fold.values > 1.6 * GREY_MM)
    found, taken = {kind: [] for kind in KINDS}, []
    for number, kind in enumerate(kinds, start=1):
        for _ in range(TRIES):
            at = np.unravel_index(rng.choice(grey if kind == "focus" else deep), fold.values.shape)
            centre = np.array(fold.origin_mm) + fold.step_mm * np.array(at)
            radii = rng.uniform(*((7, 12) if kind == "focus" else (4, 11)), 3)
            apart = all(np.linalg.norm(centre - c) > max(radii) + r + 4 for c, r in taken)
            inside = kind == "focus" or (
                room(*centre) > max(radii) + 4
                and not any(hole.contains(*centre) for hole in holes)
            )
            here = [region for region in cortex if region.solid.contains(*centre)]
            if apart and inside and (here or kind == "tumour"):
                break
        else:
            raise ValueError(
                f"brain takes as many lesions as there is room for, got {len(kinds)} and found no "
                f"place for lesion {number}; ask for fewer"
            )
        taken.append((centre, max(radii)))
        solid = Ellipsoid(
            centre_mm=tuple(map(float, centre)),
            radii_mm=tuple(map(float, radii)),
            turn_deg=float(rng.uniform(0, 180)),
        )
        if kind == "focus":
            activity = here[-1].activity_bq_ml * rng.uniform(0.55, 0.8)
            solid = Intersection(solids=(LevelSet(field=fold), solid))
        else:
            activity = rng.uniform(*tumour_bq_ml)
        found[kind].append(
            Region(
                name=f"lesion {number}",
                solid=solid,
                activity_bq_ml=float(activity),
                material=cortex[0].material,
                lesion=True,
            )
        )
    return found["focus"], found["tumour"]
