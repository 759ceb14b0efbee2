"""What test objects are put together from."""

from sim.materials import MATERIALS
from sim.phantoms import Region


def filled(name, solid, material, activity_bq_ml=0.0, *, lesion=False):
    """A Region of one of MATERIALS, by its name."""
    return Region(name=name, solid=solid, activity_bq_ml=activity_bq_ml, lesion=lesion,
                  material=MATERIALS[material])


def concentration(activity_mbq, *solids):
    """Bq/mL of so many MBq that fill solids with a `volume_mm3`."""
    return activity_mbq * 1e6 / (sum(solid.volume_mm3 for solid in solids) / 1000)
