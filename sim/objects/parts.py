"""What test objects are put together from: regions, and numbers that were checked."""

from math import inf
from numbers import Real

from sim.materials import MATERIALS
from sim.phantoms import Region


def filled(name, solid, material, activity_bq_ml=0.0, *, lesion=False):
    """A Region of one of MATERIALS, by its name."""
    return Region(name=name, solid=solid, activity_bq_ml=activity_bq_ml, lesion=lesion,
                  material=MATERIALS[material])


def check_number(name, value, *, least=0.0, most=inf):
    """Refuses a value that is no number from `least` to `most`.

    Raises:
        ValueError: with what it takes.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not least <= value <= most or value == inf:
        ends = f"from {least:g} to {most:g}" if most < inf else f"of {least:g} or more"
        raise ValueError(f"{name} takes a number {ends}, got {value!r}")


def check_size(name, value):
    """Refuses a value that is no length above 0 mm.

    Raises:
        ValueError: with what it takes.
    """
    check_number(name, value)
    if value == 0:
        raise ValueError(f"{name} takes a length above 0 mm, got {value!r}")


def concentration(activity_mbq, *solids):
    """Bq/mL of so many MBq that fill solids with a `volume_mm3`."""
    return activity_mbq * 1e6 / (sum(solid.volume_mm3 for solid in solids) / 1000)

