"""Which ring and crystal a detecting element is, by where it lies; and where crystals lie.

Files that say where each detecting element is leave it open what a sinogram needs: numbers of rings
and of crystals around them (`recon.layout`). Elements of a cylinder of blocks are put in order of
angle and of z; a step of more than one and a half times the usual one is a gap, and gets as many
virtual crystals or rings as fit. Flat blocks become arcs, and gaps narrower than that are spread
evenly; how far this moves elements is said.
"""

from dataclasses import dataclass

import numpy as np

from recon.scanner import Scanner

_SAME_MM = 0.02  # elements that differ by less in z, or along the circle, are of one ring or column
_SAID_MM = 0.01  # moving elements by less is not worth a sentence
_ROUNDNESS = 0.03  # of the radius: beyond that it is no cylinder
_FILLED = 0.75  # of the raster's real positions that must hold an element


def crystal_positions(scanner, radius_mm=None):
    """Where the real crystals of a scanner lie.

    Args:
        scanner: the Scanner.
        radius_mm: their distance from the axis, by default that at which lines of response end.
    Returns:
        Positions, float64 (crystals, 3) in mm, in scanner coordinates (recon.grid), their rings and
        crystals, int16 (crystals,); ring after ring, without virtual rings and crystals.
    """
    transaxial, axial = scanner.block_crystals
    crystal = np.arange(scanner.crystals)
    crystal = crystal[~np.isin(crystal % transaxial, scanner.virtual_crystals)]
    ring = np.arange(scanner.rings)
    ring = ring[~np.isin(ring % axial, scanner.virtual_rings)]
    ring, crystal = (array.ravel() for array in np.meshgrid(ring, crystal, indexing="ij"))
    radius_mm = scanner.effective_radius_mm if radius_mm is None else radius_mm
    positions = _positions(scanner, ring, crystal, radius_mm)
    return positions, ring.astype(np.int16), crystal.astype(np.int16)


def raster_of(positions_mm, *, name, depth_mm=0.0, zero_deg=None, **known):
    """The scanner whose crystals lie where elements do, and which crystal each element is.

    Args:
        positions_mm: where lines of response end at each element, (elements, 3), in any order, in
            scanner coordinates (recon.grid).
        name: what the scanner is called. A preset's name, with the preset's rings, crystals and
            gaps, gives what positions do not tell.
        depth_mm: from the crystals' inner face to these positions.
        zero_deg: crystal 0 is the one nearest to this angle from the vertical; by default 0, or a
            preset's tilt.
        known: other attributes of Scanner.
    Returns:
        Scanner; rings and crystals, int16 (elements,); and a sentence on by how much elements were
        moved, None where by less than 0.01 mm.
    Raises:
        ValueError: the elements are not those of a cylinder of equal steps.
    """
    positions = np.array(positions_mm, np.float64)
    if positions.shape[1:] != (3,) or not positions.size or not np.isfinite(positions).all():
        raise ValueError(f"positions take finite numbers (elements, 3), got {positions.shape}")
    radius = np.hypot(positions[:, 0], positions[:, 1])
    mean_radius = float(radius.mean())
    if not np.ptp(radius) <= 2 * _ROUNDNESS * mean_radius:
        raise ValueError(
            f"the detecting elements lie {radius.min():.5g} to {radius.max():.5g} mm from the axis "
            "and so on no cylinder about it"
        )
    preset = preset_or_none(name)
    if zero_deg is None:
        zero_deg = preset.tilt_deg if preset else 0.0
    around, along = _columns(positions, mean_radius, np.radians(zero_deg)), _rings(positions[:, 2])
    scanner = _scanner(preset, around, along, {
        "name": name, "radius_mm": round(mean_radius, 4) - depth_mm, "depth_mm": depth_mm,
    } | known)
    filled = np.bincount(along.index * scanner.crystals + around.index)
    if filled.max() > 1:
        raise ValueError(
            f"{np.count_nonzero(filled > 1):,} positions of a raster of {scanner.rings} rings of "
            f"{scanner.crystals} crystals hold more than one detecting element; scanners with "
            "layers of crystals cannot be used"
        )
    real = len(crystal_positions(scanner)[0])
    if len(positions) < _FILLED * real:
        raise ValueError(
            f"{len(positions):,} detecting elements fill a part of the {real:,} positions of "
            f"{scanner.rings} rings of {scanner.crystals} crystals, so they form no such raster"
        )
    there = _positions(scanner, along.index, around.index, scanner.effective_radius_mm)
    there[:, 2] += along.centre
    moved = np.linalg.norm(there - positions, axis=1)
    return (scanner, along.index.astype(np.int16), around.index.astype(np.int16),
            _note(scanner, moved, along.centre, real - len(positions)))


def preset_or_none(name):
    """The preset of a name that a file gives, None where there is none."""
    try:
        return Scanner.preset(name)
    except ValueError:
        return None


@dataclass
class _Axis:
    """Elements in order along one direction: index of each, and where index 0 lies.

    Attributes:
        index: of each element, (elements,) int.
        count: positions, virtual ones included.
        start, step: of the positions, in rad around, in mm along.
    """

    index: np.ndarray
    count: int
    start: float
    step: float

    @property
    def centre(self):
        """Middle of all positions."""
        return self.start + (self.count - 1) / 2 * self.step

    def virtual(self, ends):
        """Positions in the shortest block that repeats which hold no element, and its length.

        Args:
            ends: whether blocks may be cut off at the end.
        """
        empty = np.bincount(self.index, minlength=self.count) == 0
        if not empty.any():
            return (), 1
        for length in range(2, self.count + 1):
            if (ends or self.count % length == 0) and (empty[length:] == empty[:-length]).all():
                return tuple(np.flatnonzero(empty[:length]).tolist()), length
        raise AssertionError("a block of all positions repeats")


def _columns(positions, radius, zero):
    """Elements around the axis, numbered from the position nearest to the angle `zero`."""
    angle = np.arctan2(positions[:, 0], -positions[:, 1]) % (2 * np.pi)
    column, first = _grouped(angle, _SAME_MM / radius, period=2 * np.pi)
    if len(first) < 4:
        raise ValueError(f"the detecting elements lie at {len(first)} angles around the axis")
    steps = np.diff(first, append=first[0] + 2 * np.pi)
    whole = _whole(steps)
    count = int(whole.sum())
    if count % 2:
        raise ValueError(
            f"the detecting elements form {count} equal steps around the axis, an odd number, of "
            "which no two are opposite"
        )
    step = 2 * np.pi / count
    number = np.concatenate([[0], np.cumsum(whole[:-1])])
    start = float(np.mean(first - number * step))
    worst = np.abs(first - number * step - start).max() / step
    if worst >= 0.5:
        raise ValueError(
            f"the detecting elements around the axis are up to {worst:.2g} steps away from "
            f"{count} equal ones"
        )
    # The small number makes a tie, where `zero` is midway, no matter of rounding.
    shift = int(np.ceil((zero - start) / step - 0.5 + 1e-6))
    return _Axis(index=(number[column] - shift) % count, count=count, start=start + shift * step,
                 step=step)


def _rings(z):
    """Elements along the axis; virtual rings at an end, too, where the scanner's centre says so."""
    row, first = _grouped(z, _SAME_MM)
    if len(first) == 1:
        return _Axis(index=row, count=1, start=float(first[0]), step=0.0)
    number = np.concatenate([[0], np.cumsum(_whole(np.diff(first)))])
    step, start = np.polyfit(number, first, 1)
    worst = np.abs(first - number * step - start).max() / step
    if worst >= 0.5:
        raise ValueError(
            f"the detecting elements' rings are up to {worst:.2g} steps away from equal ones"
        )
    rings = _Axis(index=number[row], count=int(number[-1]) + 1, start=float(start),
                  step=float(step))
    off = 2 * rings.centre / rings.step
    more = round(off)
    if more and abs(off - more) < 1e-3 and abs(more) < rings.count:
        below = max(more, 0)
        whole = _Axis(index=rings.index + below, count=rings.count + abs(more),
                      start=rings.start - below * rings.step, step=rings.step)
        if whole.virtual(ends=True)[1] == rings.virtual(ends=True)[1]:
            return whole
    return rings


def _grouped(values, same, period=None):
    """Group of each value, and the ascending means of groups; values nearer than `same` are one."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    begins = np.flatnonzero(np.diff(ascending, prepend=-np.inf) > same)
    size = np.diff(begins, append=len(values))
    group = np.empty(len(values), int)
    group[order] = np.repeat(np.arange(len(begins)), size)
    means = np.add.reduceat(ascending, begins) / size
    if period and len(begins) > 1 and ascending[0] + period - ascending[-1] <= same:
        # One group that lies on both sides of the turn.
        last = group == len(begins) - 1
        means[0] = np.mean(np.concatenate([values[last] - period, values[group == 0]]))
        group[last] = 0
        means = means[:-1]
    return group, means


def _whole(steps):
    """Each step as a whole number of the usual one."""
    return np.maximum(np.rint(steps / np.quantile(steps, 0.25)), 1).astype(int)


def _scanner(preset, around, along, said):
    """The scanner of a raster; the preset, as far as it has the same raster.

    Args:
        preset: Scanner or None.
        around, along: _Axis.
        said: attributes that are known otherwise.
    """
    spacing = round(along.step, 6)
    if along.count == 1:
        spacing = preset.ring_spacing_mm if preset else said.get("crystal_mm", (0, 0))[1]
    virtual_crystals, transaxial = around.virtual(ends=False)
    virtual_rings, axial = along.virtual(ends=True)
    found = Scanner(**{
        "rings": along.count,
        "crystals": around.count,
        "block_crystals": (transaxial, axial),
        "virtual_crystals": virtual_crystals,
        "virtual_rings": virtual_rings,
        "radial_bins": 2 * (around.count // 3) + 1,
        "ring_spacing_mm": spacing,
        "tilt_deg": round(float(np.degrees(around.start)), 5) + 0.0,
        **said,
    })
    if preset is None or _pattern(preset) != _pattern(found):
        return found
    rounding = {  # of what positions tell
        abs(found.effective_radius_mm - preset.effective_radius_mm),
        abs(found.ring_spacing_mm - preset.ring_spacing_mm) * preset.rings / 2,
        abs(np.radians(found.tilt_deg - preset.tilt_deg)) * preset.effective_radius_mm,
    }
    geometry = {"radius_mm", "depth_mm", "ring_spacing_mm", "tilt_deg"}
    other = said.keys() - geometry if max(rounding) < _SAME_MM else said.keys() | geometry
    return preset.stating(**{name: getattr(found, name) for name in other})


def _pattern(scanner):
    """Positions around and along the scanner, True where they hold crystals."""
    transaxial, axial = scanner.block_crystals
    return (
        np.isin(np.arange(scanner.crystals) % transaxial, scanner.virtual_crystals).tolist(),
        np.isin(np.arange(scanner.rings) % axial, scanner.virtual_rings).tolist(),
    )


def _positions(scanner, ring, crystal, radius_mm):
    """Of crystals, float64 (crystals, 3): this is `recon.layout`'s geometry."""
    psi = 2 * np.pi * crystal / scanner.crystals + np.radians(scanner.tilt_deg)
    z = (ring - (scanner.rings - 1) / 2) * scanner.ring_spacing_mm
    return np.stack([radius_mm * np.sin(psi), -radius_mm * np.cos(psi), z], axis=-1)


def _note(scanner, moved, centre, empty):
    said = []
    if moved.max() >= _SAID_MM:
        said.append(f"detecting elements are taken as on a circle of {scanner.rings} rings of "
                    f"{scanner.crystals} equal steps, which moves them by up to "
                    f"{moved.max():.3g} mm ({np.sqrt(np.mean(moved**2)):.2g} mm RMS)")
    if abs(centre) >= _SAID_MM:
        said.append(f"z is counted from the middle of the rings, {abs(centre):.5g} mm from the "
                    "file's zero")
    if empty:
        said.append(f"{empty:,} positions between them hold no element and are taken as crystals "
                    "that detect nothing")
    return "; ".join(said) or None
