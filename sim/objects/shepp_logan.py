"""The head phantom of Shepp and Logan in three dimensions."""

from sim.materials import MATERIALS, Material
from sim.numbers import check_number
from sim.phantoms import Phantom, Region
from sim.shapes import Ellipsoid, Intersection

# Name; centre and half axes over the unit; turn in degrees; density over water's, and activity over
# the unit, that it adds to what lies around it.
_ELLIPSOIDS = (
    ("skull", (0, 0, 0), (0.69, 0.92, 0.90), 0, 2.00, 1.0),
    ("brain", (0, 0, 0), (0.6624, 0.874, 0.88), 0, -0.98, -0.8),
    ("right ventricle", (-0.22, 0, -0.25), (0.41, 0.16, 0.21), 108, -0.02, -0.2),
    ("left ventricle", (0.22, 0, -0.25), (0.31, 0.11, 0.22), 72, -0.02, -0.2),
    ("frontal tumour", (0, 0.35, -0.25), (0.21, 0.25, 0.50), 0, 0.02, 0.2),
    ("middle tumour", (0, 0.1, -0.25), (0.046, 0.046, 0.046), 0, 0.02, 0.2),
    ("right tumour", (-0.08, -0.65, -0.25), (0.046, 0.023, 0.02), 0, 0.01, 0.1),
    ("left tumour", (0.06, -0.65, -0.25), (0.046, 0.023, 0.02), 90, 0.01, 0.1),
    ("upper tumour", (0.06, -0.105, 0.625), (0.056, 0.040, 0.10), 90, 0.02, 0.2),
    ("upper cyst", (0, 0.1, 0.625), (0.056, 0.056, 0.10), 0, -0.02, -0.2),
)
# Where two overlap beside the skull and the brain that hold them all, their values add: the part's
# name, and the two.
_OVERLAPS = (
    ("brain", "right ventricle", "frontal tumour"),
    ("middle tumour", "middle tumour", "frontal tumour"),
)


def shepp_logan(*, unit_mm=100.0, activity_bq_ml=20e3):
    """Ten ellipsoids: a skull, a brain, two ventricles and six small ones.

    Its values are densities over water's: they make the attenuation, 0.096 1/cm times density for
    water, and CT numbers, 1000 (density - 1). In them the brain's parts differ by 2 %; activities
    are the tenfold contrasts that Yu, Ye and Wang gave the same ellipsoids: skull 1, brain 0.2,
    ventricles 0, tumours 0.3 or 0.4, times a unit. Its y leads to the front and its z to the top.

    Args:
        unit_mm: half the side of the cube it is drawn in; the head is 1.84 of them long.
        activity_bq_ml: of the skull.
    Returns:
        Phantom; tumours count as lesions.
    Source: Kak & Slaney, Principles of Computerized Tomographic Imaging, 1988, p. 102 and errata;
        Yu, Ye & Wang, Proc. SPIE 5535, 550-557, 2004. Both as tabulated by T. Sadakane (sl3d).
    """
    check_number("unit_mm", unit_mm, least=1, most=1000)
    check_number("activity_bq_ml", activity_bq_ml)
    solids, added = {}, {}
    for name, centre, radii, turn_deg, density, activity in _ELLIPSOIDS:
        solids[name] = _solid(unit_mm, centre, radii, turn_deg)
        added[name] = density, activity
    parts = [(name, solid, [name]) for name, solid in solids.items()]
    for name, *pair in _OVERLAPS:
        both = Intersection(solids=tuple(solids[one] for one in pair))
        parts.append((name, both, pair))
    regions = []
    for name, solid, names in parts:
        around = {"skull": [], "brain": ["skull"]}.get(names[0], ["skull", "brain"])
        values = [added[one] for one in (*around, *names)]
        regions.append(_region(name, solid, values, activity_bq_ml))
    return Phantom(name="shepp-logan", regions=tuple(regions))


def _solid(unit_mm, centre, radii, turn_deg):
    x, y, z = (unit_mm * value for value in centre)
    radii = tuple(unit_mm * value for value in radii)
    return Ellipsoid(centre_mm=(x, -y, -z), radii_mm=radii, turn_deg=-turn_deg)


def _region(name, solid, added, activity_bq_ml):
    # Rounded, and no -0: sums of decimal fractions.
    density, activity = (round(sum(values), 6) + 0.0 for values in zip(*added, strict=True))
    material = Material(
        name=f"water of density {density:g}",
        mu_per_cm=MATERIALS["water"].mu_per_cm * density,
        hu=round(1000 * (density - 1), 3),
        density_g_ml=density,
    )
    return Region(name=name, solid=solid, activity_bq_ml=activity * activity_bq_ml,
                  material=material, lesion="tumour" in name)
