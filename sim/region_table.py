"""What the regions of a phantom are: their volumes, places and activities, whatever the grid."""

import numpy as np
from tqdm import tqdm

_ACROSS = 32  # points along each side of a region's box


def region_table(phantom, grid, *, lesions_only=False):
    """A row for each region name of a phantom.

    Volumes are those that no later region covers: exact of a solid that knows its own and is not
    touched by a later one's box, else counted with 32 points along each side of a region's box,
    which is right to some 1 %.

    Activities are nominal, as the regions state them: a phantom's texture moves the mean of a small
    organ by some per cent. Of a person that breathes, all is told at end-expiration, and images are
    means over the phases.

    Args:
        phantom: Phantom.
        grid: Grid; regions without an end are counted up to its faces.
        lesions_only: whether other regions are left out.
    Returns:
        List of dict: label, name, activity_bq_ml (nominal), material, mu_per_cm, hu, lesion,
        volume_ml, centre_mm and extent_mm (of what is not covered; null where all is), and
        inside, the part of the volume that the grid holds.
    """
    rows = {}
    regions = phantom.regions
    numbers = [n for n, region in enumerate(regions) if region.lesion or not lesions_only]
    for number in tqdm(numbers, desc="measuring regions", delay=1, leave=False):
        region, part = regions[number], _part(regions, number, grid)
        rows.setdefault(region.name, []).append((region, *part))
    return [
        _row(phantom.names.index(name) + 1, name, found) for name, found in rows.items()
    ]


def cut_off(table):
    """The part of the activity that the grid of a `region_table` leaves outside, 0 to 1."""
    held = [row["activity_bq_ml"] * row["volume_ml"] for row in table]
    inside = sum(row["inside"] * activity for row, activity in zip(table, held, strict=True))
    return 1 - inside / sum(held) if sum(held) > 0 else 0.0


def _part(regions, number, grid):
    """Of what no later region covers: mL, centre, box, and the part of it inside the grid."""
    solid, faces = regions[number].solid, np.array(grid.extent)
    box = np.array(solid.extent)
    box = np.where(np.isfinite(box), box, faces)
    step = (box[:, 1] - box[:, 0]) / _ACROSS
    if min(step) <= 0:
        return 0.0, None, None, 0.0
    axes = [low + d * (np.arange(_ACROSS) + 0.5) for low, d in zip(box[:, 0], step, strict=True)]
    inside = np.broadcast_to(solid.contains(*np.ix_(*axes)), (_ACROSS,) * 3).copy()
    covered = False
    for later in regions[number + 1 :]:
        near = tuple(
            slice(*np.searchsorted(axis, ends))
            for axis, ends in zip(axes, later.solid.extent, strict=True)
        )
        mesh = [axis[part] for axis, part in zip(axes, near, strict=True)]
        if all(map(len, mesh)):
            covered = True
            inside[near] &= ~later.solid.contains(*np.ix_(*mesh))
    if not inside.any():
        return 0.0, None, None, 0.0
    volume = np.count_nonzero(inside) * float(np.prod(step))
    if not covered and hasattr(solid, "volume_mm3") and np.isfinite(solid.volume_mm3):
        volume = solid.volume_mm3
    centre, extent, held = [], [], inside
    for axis, (places, d) in enumerate(zip(axes, step, strict=True)):
        counts = inside.sum(axis=tuple(a for a in range(3) if a != axis))
        centre.append(float(counts @ places / counts.sum()))
        ends = places[np.flatnonzero(counts)[[0, -1]]]
        extent.append((float(ends[0] - d / 2), float(ends[1] + d / 2)))
        within = (places >= faces[axis, 0]) & (places <= faces[axis, 1])
        held = held & np.expand_dims(within, [a for a in range(3) if a != axis])
    share = np.count_nonzero(held) / np.count_nonzero(inside)
    return volume / 1000, centre, extent, share


def _row(label, name, found):
    """One row of several regions of a name."""
    first, volumes = found[0][0], np.array([volume for _, volume, *_ in found])
    total = float(volumes.sum())
    weights = volumes / total if total else np.full(len(found), 1 / len(found))
    seen = [(volume, centre, box, share) for _, volume, centre, box, share in found if centre]
    row = {
        "label": label,
        "name": name,
        "activity_bq_ml": float(weights @ [region.activity_bq_ml for region, *_ in found]),
        "material": first.material.name,
        "mu_per_cm": first.material.mu_per_cm,
        "hu": first.material.hu,
        "lesion": first.lesion,
        "volume_ml": total,
        "centre_mm": None,
        "extent_mm": None,
        "inside": 0.0,
    }
    if seen:
        volume = np.array([volume for volume, *_ in seen])
        centres, boxes = (np.array([item[n] for item in seen]) for n in (1, 2))
        row["centre_mm"] = (volume @ centres / total).tolist()
        row["extent_mm"] = np.stack([boxes[..., 0].min(0), boxes[..., 1].max(0)], -1).tolist()
        row["inside"] = float(volume @ [share for *_, share in seen]) / total
    return row
