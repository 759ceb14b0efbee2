"""Solids from few numbers: curves, turned ellipsoids, solids of a given volume."""

import numpy as np
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator

from sim.people.combined import Union
from sim.people.surfaces import Blob, Cone


def curve(points, count):
    """A smooth curve through points (n, 3), at `count` places evenly spaced in its parameter.

    Catmull-Rom's, of centripetal parameter: without loops between close points.
    """
    points = np.asarray(points, float)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.r_[0, np.cumsum(np.sqrt(steps))]
    slopes = np.gradient(points, along, axis=0)
    return CubicHermiteSpline(along, points, slopes)(np.linspace(0, along[-1], count))


def tube(points, radii, count=None):
    """A tube along points (n, 3) of radii (n,) or one; through `count` places of a smooth curve."""
    points = np.asarray(points, float)
    radii = np.broadcast_to(np.asarray(radii, float), len(points))
    if count:
        smooth = curve(points, count)
        places = np.linspace(0, len(points) - 1, count)
        points, radii = smooth, PchipInterpolator(np.arange(len(radii)), radii)(places)
    parts = tuple(
        Cone(ends_mm=(tuple(a), tuple(b)), radii_mm=(r, s))
        for a, b, r, s in zip(
            points[:-1].tolist(), points[1:].tolist(), radii[:-1].tolist(), radii[1:].tolist(),
            strict=True,
        )
    )
    return Union(parts=parts)


def turned(centre, radii, turns_deg=(0.0, 0.0, 0.0), power=2.0):
    """A Blob turned about x, then y, then z, in degrees."""
    axes = np.eye(3)
    for axis, angle in enumerate(np.radians(turns_deg)):
        a, b = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[[a, b], [a, b]] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        axes = turn @ axes
    return Blob(
        centre_mm=tuple(map(float, centre)), radii_mm=tuple(map(float, radii)),
        axes=tuple(map(tuple, axes.T.tolist())), power=power,
    )


def volume_ml(solid, step_mm=4.0):
    """A solid's volume, from points on a lattice."""
    axes = [np.arange(low + step_mm / 2, high, step_mm) for low, high in solid.extent]
    if not all(map(len, axes)):
        return 0.0
    return float(np.count_nonzero(solid.contains(*np.ix_(*axes)))) * step_mm**3 / 1000


def of_volume(make, volume):
    """The solid make(s) of a volume in mL, s from 0.5 to 1.6; see scale_to_volume."""
    return make(scale_to_volume(make, volume))


def scale_to_volume(make, volume, low=0.5, high=1.6):
    """The scale s between low and high for which the solid make(s) has the volume given in mL.

    make's volume must grow with s; where no s gives the volume, the nearest does.
    """
    step_mm = (1000 * volume) ** (1 / 3) / 18
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if volume_ml(make(middle), step_mm) < volume else (low, middle)
        )
    return (low + high) / 2
