"""Phantoms with rods: Derenzo's, Jaszczak's and the one of the American College of Radiology.

Sizes of rods and spheres, the cylinders' and the rods' heights: Data Spectrum's sheets of the
Deluxe phantoms, as users of them repeat. Where each rod lies is not published.
"""

import math

from sim.numbers import check_number
from sim.objects.parts import filled
from sim.phantoms import Phantom
from sim.shapes import ball, rod

RODS_MM = (4.8, 6.4, 7.9, 9.5, 11.1, 12.7)
SPHERES_MM = (9.5, 12.7, 15.9, 19.1, 25.4, 31.8)
HOT_MM = (8, 12, 16, 25)
HEIGHT_MM = 186.0  # inside
ROD_HEIGHT_MM = 88.0
_BASE = -HEIGHT_MM / 2


def derenzo(*, activity_bq_ml=20e3):
    """Hot rods in a disk of PMMA of 216 mm, 88 mm high: six sizes from 4.8 to 12.7 mm.

    Args:
        activity_bq_ml: of the rods.
    Returns:
        Phantom.
    Source: Derenzo's pattern, rods twice their diameter apart in six sectors, with the sizes of the
        Jaszczak phantom.
    """
    check_number("activity_bq_ml", activity_bq_ml)
    ends = -ROD_HEIGHT_MM / 2, ROD_HEIGHT_MM / 2
    disk = filled("disk", rod(0, 0, 216.0, ends), "PMMA")
    return Phantom(
        name="derenzo", regions=(disk, *_rods(108.0, ends, "water", activity_bq_ml))
    )


def jaszczak(*, contrast=0.0, background_bq_ml=5300.0):
    """Cold rods and six spheres in a warm cylinder of 216 mm: the Deluxe phantom.

    Args:
        contrast: of the spheres to the background; at 0 they are of solid PMMA, else hollow with
            walls of 1 mm.
        background_bq_ml: concentration of the water.
    Returns:
        Phantom; spheres count as lesions. The base is at z = -93 mm.
    Source: Data Spectrum, Flanged Jaszczak Deluxe: inside 216 mm wide and 186 mm high, rods 88 mm
        high, spheres 127 mm above the base. Ours: the circle of the spheres of 116 mm, ends as
        thick as the wall of 3.2 mm.
    """
    check_number("contrast", contrast)
    check_number("background_bq_ml", background_bq_ml)
    regions = _cylinder(216.0, 3.2, background_bq_ml)
    for number, diameter in enumerate(SPHERES_MM):
        angle = math.radians(60 * number + 30)
        centre = 58.0 * math.cos(angle), 58.0 * math.sin(angle), _BASE + 127.0
        if contrast > 0:
            regions.append(filled(f"sphere {diameter} mm, wall", ball(centre, diameter + 2.0),
                                   "PMMA"))
        regions.append(filled(f"sphere {diameter} mm", ball(centre, diameter),
                               "water" if contrast > 0 else "PMMA", contrast * background_bq_ml,
                               lesion=True))
    return Phantom(name="jaszczak", regions=tuple(regions))


def acr(*, contrast=2.5, background_bq_ml=5300.0):
    """The PET phantom of the American College of Radiology: cylinders in the lid, cold rods below.

    In a warm cylinder of 204 mm: hot cylinders of 8, 12, 16 and 25 mm, and cold ones of 25 mm,
    filled with air, with water, and of Teflon.

    Args:
        contrast: of hot cylinders to the background.
        background_bq_ml: concentration; 370 MBq in 70 kg.
    Returns:
        Phantom; hot cylinders count as lesions. The base is at z = -93 mm, the lid at 93 mm.
    Source: ACR, Phantom Testing: PET, 2024 (the flangeless Deluxe phantom without its spheres, and
        a lid for PET). The cylinder's and the inserts' diameters as in the PET example of
        TOPAS-imaging, inserts 38 mm high as in NiftyPET's design. Ours: the inserts' circle of 120
        mm, their order and walls of 1 mm; the wall of 6.4 mm, and ends as thick.
    """
    check_number("contrast", contrast)
    check_number("background_bq_ml", background_bq_ml)
    regions, ends = _cylinder(204.0, 6.4, background_bq_ml), (-_BASE - 38.0, -_BASE)
    hot = contrast * background_bq_ml
    inserts = [(f"hot {diameter} mm", diameter, "water", hot) for diameter in HOT_MM]
    inserts += [("cold air", 25, "air", 0.0), ("cold water", 25, "water", 0.0),
                ("cold Teflon", 25, "PTFE", 0.0)]
    for number, (name, diameter, material, activity) in enumerate(inserts):
        angle = 2 * math.pi * number / len(inserts)
        place = 60.0 * math.cos(angle), 60.0 * math.sin(angle)
        if material != "PTFE":  # which is solid
            regions.append(filled(f"{name}, wall", rod(*place, diameter + 2.0, ends), "PMMA"))
        regions.append(filled(name, rod(*place, diameter, ends), material, activity,
                               lesion=activity > 0))
    return Phantom(name="acr", regions=tuple(regions))


def rod_places(sector, diameter_mm, radius_mm):
    """Where the rods of one of six sectors lie: (x, y) of each, in mm.

    They stand twice their diameter apart in rows across the sector's middle line, and as far from
    the sector's sides as a row from the next.

    Args:
        sector: 0 to 5.
        diameter_mm: of the rods.
        radius_mm: inside which they lie whole.
    """
    middle, pitch = math.radians(60 * sector + 30), 2 * diameter_mm
    places = []
    for row in range(2, int(radius_mm / pitch * 2 / math.sqrt(3)) + 1):
        along = row * pitch * math.sqrt(3) / 2
        for number in range(row - 1):
            across = (number - (row - 2) / 2) * pitch
            if math.hypot(along, across) + diameter_mm / 2 <= radius_mm:
                cos, sin = math.cos(middle), math.sin(middle)
                places.append((along * cos - across * sin, along * sin + across * cos))
    return places


def _cylinder(diameter_mm, wall_mm, background_bq_ml):
    """Regions of a warm cylinder, its wall and its cold rods."""
    outside = _BASE - wall_mm, -_BASE + wall_mm
    return [
        filled("wall", rod(0, 0, diameter_mm + 2 * wall_mm, outside), "PMMA"),
        filled("background", rod(0, 0, diameter_mm, (_BASE, -_BASE)), "water", background_bq_ml),
        *_rods(diameter_mm / 2, (_BASE, _BASE + ROD_HEIGHT_MM), "PMMA", 0.0),
    ]


def _rods(radius_mm, ends, material, activity_bq_ml):
    """Regions of six sectors of rods, 5 mm from a cylinder's wall."""
    return [
        filled(f"rods {diameter} mm", rod(*place, diameter, ends), material, activity_bq_ml)
        for sector, diameter in enumerate(RODS_MM)
        for place in rod_places(sector, diameter, radius_mm - 5.0)
    ]

