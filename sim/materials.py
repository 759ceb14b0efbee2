"""What phantoms are made of: how a material attenuates 511 keV, and its CT number."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Material:
    """A material.

    Attributes:
        name: what it is called.
        mu_per_cm: linear attenuation coefficient at 511 keV.
        hu: CT number at 120 kVp.
    """

    name: str
    mu_per_cm: float
    hu: float


AIR = Material(name="air", mu_per_cm=0.0, hu=-1000.0)

# Attenuation at 511 keV as ICRU Report 44 gives it for these tissues.
MATERIALS = {
    material.name: material
    for material in (
        AIR,
        Material(name="water", mu_per_cm=0.096, hu=0.0),
        Material(name="fat", mu_per_cm=0.090, hu=-100.0),
        Material(name="muscle", mu_per_cm=0.098, hu=45.0),
        Material(name="lung", mu_per_cm=0.027, hu=-740.0),
        Material(name="blood", mu_per_cm=0.099, hu=45.0),
        Material(name="soft tissue", mu_per_cm=0.099, hu=50.0),
        Material(name="marrow", mu_per_cm=0.115, hu=180.0),
        Material(name="bone", mu_per_cm=0.150, hu=800.0),
        # Of test objects, by the electrons in a mL: 1.19, 0.96, 2.16, 2.70 and 0.30 g/mL.
        Material(name="PMMA", mu_per_cm=0.111, hu=125.0),
        Material(name="polyethylene", mu_per_cm=0.0945, hu=-70.0),
        Material(name="PTFE", mu_per_cm=0.179, hu=940.0),
        Material(name="aluminium", mu_per_cm=0.226, hu=2300.0),
        Material(name="lung insert", mu_per_cm=0.028, hu=-720.0),
    )
}
