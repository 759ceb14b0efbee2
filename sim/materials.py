"""What phantoms are made of: how a material attenuates 511 keV, and its CT number.

Both follow from density and elements (`sim.attenuation`, `sim.ct_spectrum`), so that they fit each
other at every tube voltage.
"""

from dataclasses import dataclass

from sim.attenuation import attenuation_per_cm
from sim.ct_spectrum import hounsfield


@dataclass(frozen=True, kw_only=True)
class Material:
    """A material.

    Attributes:
        name: what it is called.
        mu_per_cm: linear attenuation coefficient at 511 keV.
        hu: CT number at 120 kVp.
        density_g_ml: None where it is not known.
    """

    name: str
    mu_per_cm: float
    hu: float
    density_g_ml: float | None = None


def _made(name, density, **fractions):
    """The Material of a density in g/cm3 and mass fractions of elements."""
    ct_per_cm, mu_per_cm = attenuation_per_cm(density, **fractions)
    return Material(name=name, mu_per_cm=mu_per_cm, hu=hounsfield(ct_per_cm), density_g_ml=density)


# Taken as nothing; it has 0.0001 1/cm.
AIR = Material(name="air", mu_per_cm=0.0, hu=-1000.0, density_g_ml=0.0)

_TABLE = (
    AIR,
    # ICRU Report 44, 1989, as NIST tabulates it; "bone" is cortical.
    _made("water", 1.0, H=0.1119, O=0.8881),
    _made("fat", 0.95, H=0.114, C=0.598, N=0.007, O=0.278, Na=0.001, S=0.001, Cl=0.001),
    _made("muscle", 1.05, H=0.102, C=0.143, N=0.034, O=0.710, Na=0.001, P=0.002, S=0.003,
          Cl=0.001, K=0.004),
    _made("soft tissue", 1.06, H=0.102, C=0.143, N=0.034, O=0.708, Na=0.002, P=0.003, S=0.003,
          Cl=0.002, K=0.003),
    _made("blood", 1.06, H=0.102, C=0.110, N=0.033, O=0.745, Na=0.001, P=0.001, S=0.002,
          Cl=0.003, K=0.002, Fe=0.001),
    _made("lung", 0.26, H=0.103, C=0.105, N=0.031, O=0.749, Na=0.002, P=0.002, S=0.003,
          Cl=0.003, K=0.002),
    _made("breast", 1.02, H=0.106, C=0.332, N=0.030, O=0.527, Na=0.001, P=0.001, S=0.002, Cl=0.001),
    _made("brain", 1.04, H=0.107, C=0.145, N=0.022, O=0.712, Na=0.002, P=0.004, S=0.002,
          Cl=0.003, K=0.003),
    _made("bone", 1.92, H=0.034, C=0.155, N=0.042, O=0.435, Na=0.001, Mg=0.002,
          P=0.103, S=0.003, Ca=0.225),
    # Woodard & White, Br J Radiol 59, 1986, and ICRU Report 46, 1992. "marrow" is spongiosa, which
    # holds red and yellow marrow; rib, vertebra (D6 or L3) and skull are whole, with their marrow.
    _made("grey matter", 1.04, H=0.107, C=0.095, N=0.018, O=0.767, Na=0.002, P=0.003, S=0.002,
          Cl=0.003, K=0.003),
    _made("white matter", 1.04, H=0.106, C=0.194, N=0.025, O=0.661, Na=0.002, P=0.004, S=0.002,
          Cl=0.003, K=0.003),
    _made("csf", 1.01, H=0.111, O=0.880, Na=0.005, Cl=0.004),
    _made("liver", 1.06, H=0.102, C=0.139, N=0.030, O=0.716, Na=0.002, P=0.003, S=0.003,
          Cl=0.002, K=0.003),
    _made("spleen", 1.06, H=0.103, C=0.113, N=0.032, O=0.741, Na=0.001, P=0.003, S=0.002,
          Cl=0.002, K=0.003),
    _made("kidney", 1.05, H=0.103, C=0.132, N=0.030, O=0.724, Na=0.002, P=0.002, S=0.002,
          Cl=0.002, K=0.002, Ca=0.001),
    _made("pancreas", 1.04, H=0.106, C=0.169, N=0.022, O=0.694, Na=0.002, P=0.002, S=0.001,
          Cl=0.002, K=0.002),
    _made("intestine", 1.03, H=0.106, C=0.115, N=0.022, O=0.751, Na=0.001, P=0.001, S=0.001,
          Cl=0.002, K=0.001),
    _made("skin", 1.09, H=0.100, C=0.204, N=0.042, O=0.645, Na=0.002, P=0.001, S=0.002,
          Cl=0.003, K=0.001),
    _made("cartilage", 1.10, H=0.096, C=0.099, N=0.022, O=0.744, Na=0.005, P=0.022, S=0.009,
          Cl=0.003),
    _made("red marrow", 1.03, H=0.105, C=0.414, N=0.034, O=0.439, P=0.001, S=0.002, Cl=0.002,
          K=0.002, Fe=0.001),
    _made("yellow marrow", 0.98, H=0.115, C=0.644, N=0.007, O=0.231, Na=0.001, S=0.001, Cl=0.001),
    _made("marrow", 1.18, H=0.085, C=0.404, N=0.028, O=0.367, Na=0.001, Mg=0.001, P=0.034,
          S=0.002, Cl=0.002, K=0.001, Ca=0.074, Fe=0.001),
    _made("vertebra", 1.33, H=0.070, C=0.287, N=0.038, O=0.437, Mg=0.001, P=0.051, S=0.002,
          Cl=0.001, K=0.001, Ca=0.111, Fe=0.001),
    _made("rib", 1.41, H=0.064, C=0.263, N=0.039, O=0.436, Na=0.001, Mg=0.001, P=0.060,
          S=0.003, Cl=0.001, K=0.001, Ca=0.131),
    _made("skull", 1.61, H=0.050, C=0.212, N=0.040, O=0.435, Na=0.001, Mg=0.002, P=0.081,
          S=0.003, Ca=0.176),
    # By chemical formula. NEMA NU 2 asks for polyethylene of 0.96 and a lung insert of about 0.30
    # g/cm3, here foamed polystyrene; carbon fibre and foam are a table's.
    _made("PMMA", 1.19, H=0.0805, C=0.5998, O=0.3196),
    _made("polyethylene", 0.96, H=0.1437, C=0.8563),
    _made("polystyrene", 1.05, H=0.0774, C=0.9226),
    _made("PTFE", 2.16, C=0.2402, F=0.7598),
    _made("glass", 2.23, B=0.0401, O=0.5396, Na=0.0282, Al=0.0116, Si=0.3772, K=0.0033),
    _made("aluminium", 2.699, Al=1.0),
    _made("lung insert", 0.30, H=0.0774, C=0.9226),
    _made("carbon fibre", 1.60, C=1.0),
    _made("foam", 0.05, H=0.0774, C=0.9226),
)
MATERIALS = {material.name: material for material in _TABLE}
