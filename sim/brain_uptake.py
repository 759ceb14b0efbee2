"""What the tissues of a head take up of a tracer, and what they are made of.

Standardized uptake values (SUV) of resting adults; each person's vary around them. They are the
tissue's own: a scan blurs thin cortex with the white matter and the fluid beside it. The figures
named here were read in abstracts and tables; all others are typical values without a source.

FDG: cerebrum 9.1 (standard deviation 1.8) in young adults, cerebellum 6.8 (1.2) in young and 6.1
(0.7) in old, three hours after injection ("Normal patterns of regional brain 18F-FDG uptake in
normal aging", Hell. J. Nucl. Med., 2018). Grey to white matter is 4:1 as in Hoffman's brain phantom
(Hoffman et al., IEEE Trans Nucl Sci 37(2), 1990; as remembered). In Alzheimer's disease parietal
and temporal cortex and the posterior cingulate fall; how far is typical.
Amyloid: florbetapir 50 min after 370 MBq. Without amyloid, cortex is about 0.97 times the
cerebellum in young adults (https://aanddjournal.net/article/S1552-5260(16)30334-X/fulltext); scans
are read as positive above 1.10 (Hutton et al., Quantification of 18F-florbetapir PET: comparison of
two analysis methods). With amyloid, scans of the kindred florbetaben rise 1.2 times in occipital
cortex and 1.3 to 1.4 times elsewhere (doi 10.1186/s13195-021-00807-6, table 3); the factors here
are higher, as blur with white matter has lowered those. White matter at about 1.8 times the
cerebellum's grey matter is typical.
FDOPA: 80 min after injection, with striatum at about 2.4 times the occipital cortex (typical). In
Parkinson's disease the putamen has lost 20 to 52% of its own uptake at onset (Ann. Neurol. 67,
715-725, 2010, table) and more later, one side before the other, and the caudate less. Here it is 50
to 80% of what lies above the occipital cortex, which leaves 0.7 to 0.5 of all. Gliomas' maximum is
4.2 (1.3) in high and 2.3 (1.4) in low grades (J. Nucl. Med. 51, 1532-1538, 2010).
"""

from dataclasses import dataclass

from recon.corrections.calibration import isotope, suv_scale
from sim.brain_frame import SIDES
from sim.materials import MATERIALS


@dataclass(frozen=True, kw_only=True)
class Tracer:
    """A tracer and the scan that is made with it.

    Attributes:
        injected_mbq: usual injected activity.
        wait_min: from injection to the start of the scan.
        suv: of each tissue; those that are missing hold none.
        disease: what the scan looks for.
        changes: (low, high) factors that the disease puts on a tissue's uptake.
        tumour_suv: (low, high) of a brain tumour.
    """

    injected_mbq: float
    wait_min: float
    suv: dict[str, float]
    disease: str
    changes: dict[str, tuple[float, float]]
    tumour_suv: tuple[float, float]


TRACERS = {
    "FDG": Tracer(
        injected_mbq=200.0,
        wait_min=45.0,
        disease="Alzheimer's disease",
        suv={
            "frontal cortex": 9.0, "parietal cortex": 9.0, "temporal cortex": 8.2,
            "occipital cortex": 9.4,
            "posterior cingulate cortex": 10.0, "white matter": 2.25, "csf": 0.4, "caudate": 9.6,
            "putamen": 10.2, "pallidum": 6.0, "thalamus": 9.0, "hippocampus": 6.6,
            "brainstem": 5.0, "cerebellar grey": 6.4, "cerebellar white": 2.3, "blood": 1.8,
            "muscle": 0.8, "fat": 0.3, "skin": 0.7, "skull": 0.4, "diploe": 1.3, "vertebrae": 1.4,
            "facial bone": 0.7, "parotid": 2.0, "tongue": 1.8, "eye muscles": 4.0,
            "optic nerve": 2.2, "nasal mucosa": 2.2, "eye": 0.3,
        },
        changes={"parietal cortex": (0.6, 0.8), "temporal cortex": (0.65, 0.85),
                 "hippocampus": (0.7, 0.9),
                 "posterior cingulate cortex": (0.55, 0.75), "frontal cortex": (0.85, 1.0)},
        tumour_suv=(11.0, 18.0),
    ),
    "amyloid": Tracer(
        injected_mbq=370.0,
        wait_min=50.0,
        disease="amyloid",
        suv={
            "frontal cortex": 1.0, "parietal cortex": 1.0, "temporal cortex": 1.0,
            "occipital cortex": 1.05,
            "posterior cingulate cortex": 1.05, "white matter": 1.9, "csf": 0.3, "caudate": 1.15,
            "putamen": 1.3, "pallidum": 1.7, "thalamus": 1.45, "hippocampus": 1.1,
            "brainstem": 1.8, "cerebellar grey": 1.05, "cerebellar white": 1.7, "blood": 0.9,
            "muscle": 0.5, "fat": 0.2, "skin": 0.5, "skull": 0.5, "diploe": 1.0, "vertebrae": 1.1,
            "facial bone": 0.6, "parotid": 2.2, "tongue": 0.9, "eye muscles": 0.9,
            "optic nerve": 1.5, "nasal mucosa": 1.1, "eye": 0.3,
        },
        changes={"frontal cortex": (1.5, 2.0), "parietal cortex": (1.4, 1.9),
                 "temporal cortex": (1.4, 1.8),
                 "posterior cingulate cortex": (1.5, 2.1), "occipital cortex": (1.1, 1.5),
                 "caudate": (1.2, 1.6), "putamen": (1.2, 1.5)},
        tumour_suv=(1.5, 3.0),
    ),
    "FDOPA": Tracer(
        injected_mbq=185.0,
        wait_min=80.0,
        disease="Parkinson's disease",
        suv={
            "frontal cortex": 1.25, "parietal cortex": 1.2, "temporal cortex": 1.25,
            "occipital cortex": 1.15,
            "posterior cingulate cortex": 1.25, "white matter": 1.0, "csf": 0.6, "caudate": 2.8,
            "putamen": 3.0, "pallidum": 1.6, "thalamus": 1.45, "hippocampus": 1.35,
            "brainstem": 1.45, "cerebellar grey": 1.2, "cerebellar white": 1.0, "blood": 1.4,
            "muscle": 0.9, "fat": 0.3, "skin": 0.6, "skull": 0.4, "diploe": 0.8, "vertebrae": 0.9,
            "facial bone": 0.6, "parotid": 2.0, "tongue": 1.4, "eye muscles": 1.3,
            "optic nerve": 1.0, "nasal mucosa": 1.3, "eye": 0.4,
        },
        changes={"putamen": (0.5, 0.7), "caudate": (0.75, 0.95)},
        tumour_suv=(2.5, 5.0),
    ),
}

ISOTOPE = "F-18"  # of all tracers here
WEIGHT_KG = {"female": (68.0, 12.0), "male": (82.0, 13.0)}  # mean and standard deviation

_MADE_OF = {  # the rest is grey matter
    "white matter": "white matter", "cerebellar white": "white matter",
    "brainstem": "white matter", "csf": "csf", "blood": "blood", "muscle": "muscle", "fat": "fat",
    "orbital fat": "fat", "skin": "skin", "skull": "bone", "diploe": "marrow",
    "vertebrae": "bone", "facial bone": "bone", "teeth": "bone", "parotid": "soft tissue",
    "tongue": "muscle", "eye muscles": "muscle", "optic nerve": "white matter",
    "nasal mucosa": "soft tissue", "eye": "water", "lens": "soft tissue", "airway": "air",
    "air cells": "air",
}


def material(tissue):
    """The Material of a tissue."""
    return MATERIALS[_MADE_OF.get(tissue, "grey matter")]


def bq_ml_per_suv(made, sex, rng):
    """Bq/mL at the start of a random adult's scan where the SUV is 1.

    Args:
        made: Tracer.
        sex: female or male.
        rng: numpy Generator.
    """
    weight_kg = min(max(rng.normal(*WEIGHT_KG[sex]), 45), 130)
    dose_bq = 1e6 * made.injected_mbq * rng.normal(1, 0.05)
    return 1 / suv_scale(
        weight_kg=weight_kg,
        dose_bq=dose_bq,
        isotope=isotope(ISOTOPE),
        dose_age_s=60 * made.wait_min,
    )


def random_suv(made, diseased, rng):
    """A person's uptake.

    Args:
        made: Tracer.
        diseased: whether its `changes` apply; they are further on on one side.
        rng: numpy Generator.
    Returns:
        callable of a tissue and its side (left, right or None for both) that returns the SUV.
    """
    whole = rng.lognormal(0, 0.12)
    sides = list(SIDES)
    rng.shuffle(sides)
    found = {}
    for tissue, mean in made.suv.items():
        own = whole * mean * rng.normal(1, 0.04)
        changes = sorted(rng.uniform(*made.changes.get(tissue, (1, 1)), 2))
        changes = changes if diseased else [1.0, 1.0]
        for side, change in zip(sides, changes, strict=True):
            found[tissue, side] = own * change * rng.normal(1, 0.015)
        found[tissue, None] = own * sum(changes) / 2
    return lambda tissue, side: found.get((tissue, side), 0.0)
