"""The test objects of NEMA NU 2: image quality, scatter and sensitivity.

The standard's drawings were not at hand. Dimensions are those that the standard's users repeat: the
NU 2 body phantom of GATE 10 (opengate/contrib/phantoms/nemaiec.py) and the sheets of makers (PTW,
RAPP-ISO, Data Spectrum). A docstring says which of them are nobody's but ours.
"""

import math

from sim.numbers import check_number
from sim.objects.parts import concentration, filled
from sim.phantoms import Phantom
from sim.shapes import BodyOutline, Box, ball, rod

SPHERES_MM = (10, 13, 17, 22, 28, 37)
CIRCLE_MM = 114.4  # diameter of the circle of the spheres' centres
LID_MM = 70.0  # from the lid's inner face to the spheres' plane
BODY_MM = 180.0  # interior length
EDITIONS = (2012, 2018)
# Inside and outside diameter of the sensitivity phantom's sleeves.
SLEEVES_MM = ((3.9, 6.4), (7.0, 9.5), (10.2, 12.7), (13.4, 15.9), (16.6, 19.1))
LINE_MM = 700.0


def nema_iq(*, contrast=4.0, edition=2018, background_bq_ml=5300.0):
    """The image quality phantom: hot spheres and a cold lung in a warm body.

    The spheres' plane is z = 0 and the middle of their circle, which is that of the lung insert and
    of the outline's height, the scanner's axis. The sphere of 17 mm lies on the horizontal axis to
    the left (+x), the others by size around the circle. The lid is at z = 70 mm. Stems and screws
    are left out. Ours are the ends' 10 mm, the lung insert's wall of 2.5 mm, to which side the
    smaller spheres lie and at which end the lid.

    Args:
        contrast: of hot spheres to the background.
        edition: 2018, where all six spheres are hot, or 2012, where those of 28 and 37 mm are cold.
        background_bq_ml: the standard asks for 5.3 kBq/mL.
    Returns:
        Phantom; spheres count as lesions.
    Source: NEMA NU 2-2018 and NU 2-2012, section 7; IEC 61675-1 has the same body.
    """
    check_number("contrast", contrast)
    check_number("background_bq_ml", background_bq_ml)
    if edition not in EDITIONS:
        raise ValueError(f"edition takes {' or '.join(map(str, EDITIONS))}, got {edition!r}")
    ends = LID_MM - BODY_MM, LID_MM
    regions = [
        filled("wall", _body(ends, sides=3.0, plates=10.0), "PMMA"),
        filled("background", _body(ends), "water", background_bq_ml),
        filled("lung insert wall", rod(0, 0, 50.0, ends), "PMMA"),
        filled("lung insert", rod(0, 0, 45.0, ends), "lung insert"),
    ]
    for number, diameter in enumerate(SPHERES_MM):
        angle = math.radians(60 * (number - SPHERES_MM.index(17)))
        centre = CIRCLE_MM / 2 * math.cos(angle), CIRCLE_MM / 2 * math.sin(angle), 0.0
        hot = edition == 2018 or diameter < 28
        activity = contrast * background_bq_ml if hot else 0.0
        regions += [
            filled(f"sphere {diameter} mm, wall", ball(centre, diameter + 2.0), "PMMA"),
            filled(f"sphere {diameter} mm", ball(centre, diameter), "water", activity, lesion=True),
        ]
    return Phantom(name="nema-iq", regions=tuple(regions))


def _body(ends, sides=0.0, plates=0.0):
    """The body's inside, or with walls around it the outside."""
    middle = 0.0, 35.0, (ends[0] + ends[1]) / 2
    return BodyOutline(
        centre_mm=middle, radius_mm=147.0 + sides, corner_mm=77.0 + sides,
        length_mm=ends[1] - ends[0] + 2 * plates,
    )  # fmt: skip


def nema_scatter(*, activity_mbq=100.0, table_mm=0.0):
    """The scatter phantom: a line source in solid polyethylene, 45 mm from its axis, below it.

    Args:
        activity_mbq: of the line, 700 mm long.
        table_mm: thickness of water that attenuates as the patient table does: flat, 400 mm wide,
            touching the phantom from below, as long as it.
    Returns:
        Phantom.
    Source: NEMA NU 2-2018, section 4: diameter 203 mm, length 700 mm, 0.96 g/mL. Not checked: the
        hole of 6.4 mm, the tube of 3.2 mm inside and 4.8 mm outside. The table is ours.
    """
    check_number("activity_mbq", activity_mbq)
    check_number("table_mm", table_mm, most=200)
    ends = -LINE_MM / 2, LINE_MM / 2
    line = rod(0, 45.0, 3.2, ends)
    regions = [
        filled("cylinder", rod(0, 0, 203.0, ends), "polyethylene"),
        filled("hole", rod(0, 45.0, 6.4, ends), "air"),
        filled("tube", rod(0, 45.0, 4.8, ends), "polyethylene"),
        filled("line", line, "water", concentration(activity_mbq, line)),
    ]
    if table_mm > 0:
        table = Box(centre_mm=(0, 101.5 + table_mm / 2, 0), sides_mm=(400.0, table_mm, LINE_MM))
        regions.append(filled("table", table, "water"))
    return Phantom(name="nema-scatter", regions=tuple(regions))


def nema_sensitivity(*, sleeves=5, activity_mbq=5.0, x_mm=0.0, y_mm=0.0):
    """The sensitivity phantom: a line source of 700 mm in aluminium sleeves.

    Args:
        sleeves: how many of the five, from the innermost.
        activity_mbq: of the line; the standard asks for so little that 1 % is lost to dead time.
        x_mm, y_mm: where it hangs: on the axis, and 100 mm beside it.
    Returns:
        Phantom.
    Source: NEMA NU 2-2018, section 5; diameters of sleeves and line as RAPP-ISO lists them.
    """
    check_number("activity_mbq", activity_mbq)
    for name, value in (("x_mm", x_mm), ("y_mm", y_mm)):
        check_number(name, value, least=-500, most=500)
    if sleeves not in range(1, len(SLEEVES_MM) + 1):
        raise ValueError(f"sleeves takes 1 to {len(SLEEVES_MM)}, got {sleeves!r}")
    ends = -LINE_MM / 2, LINE_MM / 2
    regions = []
    for inside, outside in reversed(SLEEVES_MM[:sleeves]):
        regions += [
            filled("sleeve", rod(x_mm, y_mm, outside, ends), "aluminium"),
            filled("gap", rod(x_mm, y_mm, inside, ends), "air"),
        ]
    line = rod(x_mm, y_mm, 1.0, ends)
    regions += [
        filled("tube", rod(x_mm, y_mm, 3.2, ends), "polyethylene"),
        filled("line", line, "water", concentration(activity_mbq, line)),
    ]
    return Phantom(name="nema-sensitivity", regions=tuple(regions))

