"""Lesions at random: where they lie, how large they are, how much of the tracer they take up."""

from dataclasses import dataclass

import numpy as np

from recon.grid import Grid
from recon.names import most_alike
from sim.people.combined import Union
from sim.people.shaping import scale_to_volume, turned
from sim.shapes import paint
from sim.uptake import draw_within

MOST = 12
SIZES_MM = (4.0, 40.0)
TRIES = 300  # points of a host's box, some of which lie inside
REDRAWS = 20  # lesions that are drawn anew when one does not fit
CONTRAST = 1.6  # least activity over the host's


@dataclass(frozen=True, kw_only=True)
class Site:
    """A kind of place for lesions.

    Attributes:
        hosts: names of the tissues that a lesion lies in, whole.
        sizes_mm: diameters, low to high.
        box: least and most |x|, y and depth in the reference man (mm), or None: anywhere.
        material: of lesions, a name in `sim.materials`.
    """

    hosts: tuple[str, ...]
    sizes_mm: tuple[float, float]
    box: tuple | None = None
    material: str = "soft tissue"


SITES = {
    "lung": Site(hosts=("lung",), sizes_mm=(4, 40)),
    "liver": Site(hosts=("liver",), sizes_mm=(6, 40)),
    "bone": Site(hosts=("marrow", "bone", "skull"), sizes_mm=(5, 30), material="marrow"),
    "chest node": Site(hosts=("mediastinum",), sizes_mm=(5, 25),
                       box=((0, 60), (-60, 45), (310, 450))),
    "abdominal node": Site(hosts=("abdominal fat",), sizes_mm=(5, 30),
                           box=((0, 45), (-40, 45), (560, 730))),
    "pelvic node": Site(hosts=("abdominal fat",), sizes_mm=(4, 22),
                        box=((20, 75), (-40, 50), (735, 880))),
    "pancreas": Site(hosts=("pancreas",), sizes_mm=(5, 22)),
    "prostate": Site(hosts=("prostate",), sizes_mm=(5, 20)),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """A lesion that is asked for; what is None is drawn.

    Attributes:
        site: a name out of SITES.
        diameter_mm: of the ball of the same volume.
        suv: uptake.
    """

    site: str
    diameter_mm: float | None = None
    suv: float | None = None

    def __post_init__(self):
        if self.site not in SITES:
            raise ValueError(
                f"Lesion takes a site out of {', '.join(SITES)}, got {self.site!r}; "
                f"the nearest is {most_alike(self.site, SITES)!r}"
            )
        low, high = SIZES_MM
        if self.diameter_mm is not None and not low <= self.diameter_mm <= high:
            raise ValueError(
                f"Lesion takes a diameter_mm from {low:g} to {high:g}, got {self.diameter_mm:g}"
            )
        if self.suv is not None and not 0 <= self.suv < np.inf:
            raise ValueError(f"Lesion takes a suv of 0 or more, got {self.suv:g}")


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A lesion that found its place.

    Attributes:
        solid: Surface.
        host: number of the region that holds its middle.
        site: Site.
        suv: uptake.
    """

    solid: object
    host: int
    site: Site
    suv: float


def place_lesions(rng, frame, regions, wanted, tracer, suv):
    """Lesions within their hosts, apart from each other.

    Args:
        rng: Generator.
        frame: Frame of the person.
        regions: tuple of Region without lesions.
        wanted: how many, or Lesions.
        tracer: Tracer, whose lesions they are.
        suv: uptake of each region.
    Returns:
        list of Placed.
    Raises:
        ValueError: a lesion does not fit.
    """
    solids = [region.solid for region in regions]
    names = [region.name for region in regions]
    sites = {s: n for s, n in tracer.lesion_sites.items() if set(SITES[s].hosts) & set(names)}
    chances = np.array(list(sites.values()), float) / sum(sites.values())
    placed = []
    for number in range(1, 1 + (wanted if isinstance(wanted, int) else len(wanted))):
        for _ in range(REDRAWS):
            lesion = (
                Lesion(site=str(rng.choice(list(sites), p=chances)))
                if isinstance(wanted, int) else wanted[number - 1]
            )
            found = _place(rng, frame, lesion, solids, names, placed, tracer, suv)
            if found:
                break
        else:
            size = f"of {lesion.diameter_mm:g} mm " if lesion.diameter_mm else ""
            raise ValueError(
                f"person takes lesions that fit, got lesion {number} {size}in {lesion.site}, "
                "which finds no room; make it smaller, ask for fewer or take another seed"
            )
        placed.append(found)
    return placed


def _place(rng, frame, lesion, solids, names, placed, tracer, suv):
    """The lesion Placed, or None where no place is found."""
    site = SITES[lesion.site]
    size = lesion.diameter_mm or draw_within(rng, site.sizes_mm)
    shape = _shape(rng, size)
    uptake = draw_within(rng, tracer.lesion_suv) if lesion.suv is None else lesion.suv
    for middle in _middles(rng, frame, site, solids, names):
        solid = shape(middle)
        host = _host(solid, site, [*solids, *(other.solid for other in placed)], names)
        if host is not None:
            if lesion.suv is None:
                uptake = max(uptake, CONTRAST * suv[host])
            return Placed(solid=solid, host=host, site=site, suv=float(uptake))
    return None


def _shape(rng, diameter_mm):
    """Callable of a middle that returns a ball of uneven radii, every other one with two lobes."""
    radii = diameter_mm / 2 * np.exp(rng.normal(0, 0.1, 3).clip(-0.2, 0.2))
    turns = tuple(rng.uniform(-90, 90, 3).tolist())
    lobes = []
    if rng.random() < 0.5:
        ways = rng.normal(0, 1, (2, 3))
        ways *= 0.27 * diameter_mm / np.linalg.norm(ways, axis=1, keepdims=True)
        lobes = [(way, 0.36 * diameter_mm) for way in ways]

    def at(middle, s):
        ball = turned(middle, radii * s, turns)
        parts = [turned(middle + way * s, (radius * s,) * 3) for way, radius in lobes]
        return Union(parts=(ball, *parts), rounding_mm=0.15 * diameter_mm) if parts else ball

    size = scale_to_volume(lambda s: at(np.zeros(3), s), np.pi / 6 * diameter_mm**3 / 1000)
    return lambda middle: at(np.array(middle), size)


def _middles(rng, frame, site, solids, names):
    """Places in mm that lie in one of a site's hosts and in its box."""
    hosts = [i for i, name in enumerate(names) if name in site.hosts]
    for host in rng.permutation(hosts).tolist():
        solid = solids[host]
        box = np.array(solid.extent)
        if site.box:
            (near, far), (front, back), (high, low) = site.box
            limits = frame.place([-far, far], [front, back], [high, low]).T
            box = np.stack([np.maximum(box[:, 0], limits[:, 0]),
                            np.minimum(box[:, 1], limits[:, 1])], axis=1)
            if (box[:, 0] >= box[:, 1]).any():
                continue
        points = rng.uniform(box[:, 0], box[:, 1], (TRIES, 3))
        inside = solid.contains(*points.T)
        if site.box:
            inside &= np.abs(points[:, 0]) >= near
        yield from points[inside][:8].tolist()


def _host(solid, site, solids, names):
    """Number of the region at a lesion's middle if all of the lesion lies in the site's hosts."""
    box = np.array(solid.extent)
    sides = box[:, 1] - box[:, 0] + 1.0
    count = 2 * int(np.clip(sides.max() / 3, 5, 13)) + 1
    grid = Grid.centred(shape=(count,) * 3, voxel_mm=sides / count, centre_mm=box.mean(axis=1))
    at = paint(solids, [np.arange(1, len(solids) + 1)], grid, 1)[0].astype(int)
    inside = solid.contains(*np.ix_(*(grid.centres(axis) for axis in range(3))))
    fits = [False] + [name in site.hosts for name in names] + [False] * (len(solids) - len(names))
    return int(at[(count // 2,) * 3]) - 1 if np.array(fits)[at[inside]].all() else None
