"""Phantoms of one source: a uniform cylinder, a line, a point."""

from sim.numbers import check_number, check_size
from sim.objects.parts import concentration, filled
from sim.phantoms import Phantom
from sim.shapes import ball, rod


def uniform(*, diameter_mm=200.0, length_mm=300.0, activity_bq_ml=5300.0):
    """A cylinder of active water without walls, as calibration phantoms are.

    Args:
        diameter_mm: across; 200 mm and
        length_mm: 300 mm along are usual.
        activity_bq_ml: concentration.
    Returns:
        Phantom.
    """
    check_size("diameter_mm", diameter_mm)
    check_size("length_mm", length_mm)
    check_number("activity_bq_ml", activity_bq_ml)
    solid = rod(0.0, 0.0, diameter_mm, (-length_mm / 2, length_mm / 2))
    return Phantom(name="uniform", regions=(filled("cylinder", solid, "water", activity_bq_ml),))


def line_source(*, activity_mbq=1.0, diameter_mm=1.0, length_mm=700.0, x_mm=0.0, y_mm=0.0):
    """A line of active water in air, along the scanner's axis.

    Args:
        activity_mbq: of the whole line.
        diameter_mm, length_mm: of the line.
        x_mm, y_mm: where it lies.
    Returns:
        Phantom.
    """
    check_number("activity_mbq", activity_mbq)
    check_size("diameter_mm", diameter_mm)
    check_size("length_mm", length_mm)
    _check_place(x_mm=x_mm, y_mm=y_mm)
    solid = rod(x_mm, y_mm, diameter_mm, (-length_mm / 2, length_mm / 2))
    region = filled("line", solid, "water", concentration(activity_mbq, solid))
    return Phantom(name="line-source", regions=(region,))


def point_source(*, activity_mbq=1.0, diameter_mm=1.0, x_mm=0.0, y_mm=0.0, z_mm=0.0):
    """A drop of active water in air.

    Args:
        activity_mbq: of the drop.
        diameter_mm: of the drop.
        x_mm, y_mm, z_mm: where it lies.
    Returns:
        Phantom.
    """
    check_number("activity_mbq", activity_mbq)
    check_size("diameter_mm", diameter_mm)
    _check_place(x_mm=x_mm, y_mm=y_mm, z_mm=z_mm)
    solid = ball((x_mm, y_mm, z_mm), diameter_mm)
    region = filled("point", solid, "water", concentration(activity_mbq, solid))
    return Phantom(name="point-source", regions=(region,))


def _check_place(**places):
    for name, value in places.items():
        check_number(name, value, least=-5000, most=5000)
