"""How much of a tracer organs take up: ranges of the standardized uptake value (SUV).

    activity in Bq/mL = SUV * dose in MBq * 1000 / weight in kg,

of a dose that has decayed from injection to the start of the scan.
"""

from dataclasses import dataclass

from recon.corrections.calibration import isotope, suv_scale
from recon.names import known_name

# Ranges of the mean SUV of each tissue in people, low to high, and the part of it that varies
# within the tissue (standard deviation). Where a mean was found, the range's average lies within a
# tenth of it, and the range covers at least one standard deviation either way, where one was given.
# Where only the maximum was found, the average lies between 0.4 of it and all of it: in PSMA-11 the
# means of kidney and glands (1) are about 0.55 of their maxima (2). Of the papers the abstracts
# were read; standard deviations are in brackets.
#
# FDG: liver 2.2 (0.4), blood 1.55 (0.38): Boktor et al., J. Nucl. Med. 54, 677-682, 2013.
#   Tonsil 3.45 (1.4): Wang et al., Mol. Imaging Biol. 9, 83-90, 2007.
#   Grey matter 9.1 (1.8), three hours after injection, of the cerebrum of young adults: "Normal
#   patterns of regional brain 18F-FDG uptake in normal aging", Hell. J. Nucl. Med., 2018.
#   Urine 13.8 (10.3), two hours after injection: J. Nucl. Med. 56, suppl. 3, 1434, 2015.
#   Pancreas, maximum 1.7 (0.4): Zhang et al., doi 10.1166/jmihi.2015.1554, 2015.
# PSMA-11: kidney 41.7, parotid gland 14.5, submandibular gland 13.0, prostate 2.4: (1) Muchnik
#   Kurash et al., Sci. Rep. 10, 3109, 2020.
#   Maxima of lacrimal gland 15.7 (7.2), tonsil (as Waldeyer's ring) 10.4 (4.3), liver 8.2 (2.5),
#   spleen 10.9 (3.9), duodenum 17.6 (8.9): (2) "Evaluation of practical interpretation hurdles in
#   68Ga-PSMA PET/CT in 55 patients", Clin. Nucl. Med., July 2017. There the descending colon shows
#   in two of three, with 10.6 (9.2): the range of the colon's wall reaches up to about half of it.
#   Urine, median maximum 43.5, and 14.8 with furosemide: doi 10.1186/s13550-022-00913-y, 2022.
# DOTATATE: spleen 17.3 (5.4 to 34.4), liver 4.8 (2.3 to 12.4): "Highly variable biodistribution of
#   68Ga-labeled somatostatin analogues 68Ga-DOTA-NOC and 68Ga-DOTA-TATE".
#   Maxima of kidney 14.3, adrenal gland 13.7, pituitary 9.7: Kuyumcu et al., doi
#   10.1007/s12149-013-0718-4, 2013. The two small glands lie near their maxima, which blur lowers.
#   Stomach wall, small bowel, prostate, pancreas, thyroid, uterus and salivary glands follow one
#   another as in Ozguven et al., Mol. Imaging Radionucl. Ther. 30, 39-46, 2021; their figures, all
#   other rows, and how much each tissue varies within, are typical values without a source.
_TRACERS = "FDG", "PSMA", "DOTATATE"
_SUV = {
    #                       FDG           PSMA-11       DOTATATE     varies
    "air":                 ((0.0, 0.0),   (0.0, 0.0),   (0.0, 0.0),   0.0),
    "skin":                ((0.5, 0.8),   (0.3, 0.5),   (0.3, 0.5),   0.1),
    "fat":                 ((0.2, 0.35),  (0.15, 0.3),  (0.15, 0.3),  0.15),
    "muscle":              ((0.5, 0.85),  (0.35, 0.7),  (0.5, 0.9),   0.12),
    "cartilage":           ((0.5, 0.8),   (0.3, 0.6),   (0.4, 0.7),   0.1),
    "disc":                ((0.6, 0.9),   (0.3, 0.6),   (0.4, 0.7),   0.1),
    "bone":                ((0.4, 0.7),   (0.3, 0.5),   (0.3, 0.6),   0.15),
    "marrow":              ((1.1, 2.1),   (0.5, 1.0),   (0.7, 1.4),   0.15),
    "yellow marrow":       ((0.25, 0.45), (0.15, 0.3),  (0.15, 0.35), 0.15),
    "spinal cord":         ((1.3, 2.0),   (0.4, 0.7),   (0.5, 0.8),   0.1),
    "csf":                 ((0.5, 1.2),   (0.1, 0.3),   (0.1, 0.3),   0.0),
    "grey matter":         ((7.0, 13.0),  (0.15, 0.3),  (0.15, 0.3),  0.06),
    "white matter":        ((2.6, 4.4),   (0.1, 0.2),   (0.1, 0.2),   0.06),
    "pituitary":           ((2.0, 3.5),   (1.0, 2.0),   (5.0, 15.0),  0.0),
    "eye":                 ((0.5, 1.0),   (0.2, 0.4),   (0.2, 0.4),   0.0),
    "tongue":              ((1.3, 2.6),   (1.0, 2.0),   (0.8, 1.5),   0.15),
    "tonsil":              ((2.0, 5.2),   (3.0, 7.0),   (1.5, 3.0),   0.1),
    "parotid gland":       ((1.3, 2.6),   (9.0, 21.0),  (1.0, 2.5),   0.12),
    "submandibular gland": ((1.4, 2.8),   (8.0, 19.0),  (1.2, 2.8),   0.12),
    "lacrimal gland":      ((0.8, 1.6),   (5.0, 13.0),  (1.0, 2.5),   0.0),
    "thyroid":             ((1.0, 1.9),   (1.0, 2.0),   (1.5, 3.8),   0.1),
    "lung":                ((0.4, 0.65),  (0.3, 0.55),  (0.3, 0.55),  0.16),
    "blood":               ((1.0, 2.3),   (0.9, 1.8),   (0.8, 1.5),   0.02),
    "right ventricle":     ((1.6, 2.8),   (1.0, 1.8),   (0.9, 1.5),   0.1),
    "myocardium":          ((1.8, 11.0),  (1.0, 1.9),   (0.9, 1.7),   0.12),
    "oesophagus":          ((1.2, 2.3),   (0.9, 1.6),   (0.9, 1.6),   0.15),
    "breast":              ((0.45, 0.95), (0.4, 0.8),   (0.5, 1.0),   0.2),
    "stomach wall":        ((1.5, 3.2),   (2.0, 4.5),   (2.2, 5.0),   0.2),
    "stomach content":     ((0.5, 1.0),   (0.5, 1.0),   (0.5, 1.0),   0.1),
    "duodenum":            ((1.5, 2.8),   (6.0, 14.0),  (2.5, 5.0),   0.25),
    "pancreas":            ((1.1, 1.9),   (1.5, 2.8),   (1.8, 4.0),   0.12),
    "liver":               ((1.5, 3.0),   (3.0, 7.0),   (3.0, 8.0),   0.06),
    "gallbladder":         ((0.6, 1.5),   (1.0, 6.0),   (1.0, 3.0),   0.0),
    "spleen":              ((1.4, 2.4),   (4.0, 11.0),  (9.0, 28.0),  0.06),
    "kidney":              ((2.2, 4.0),   (28.0, 58.0), (7.0, 14.0),  0.1),
    "renal pelvis":        ((2.5, 12.0),  (20.0, 50.0), (8.0, 22.0),  0.0),
    "ureter":              ((2.5, 12.0),  (6.0, 25.0),  (3.0, 12.0),  0.2),
    "adrenal gland":       ((1.2, 2.4),   (2.0, 5.0),   (7.0, 18.0),  0.0),
    "small bowel":         ((1.0, 2.4),   (2.5, 7.0),   (2.0, 4.5),   0.35),
    "colon wall":          ((0.9, 3.2),   (1.5, 6.0),   (1.2, 2.8),   0.4),
    "colon content":       ((0.5, 1.2),   (0.6, 1.4),   (0.6, 1.4),   0.25),
    "prostate":            ((1.3, 2.4),   (1.6, 3.5),   (1.9, 4.2),   0.15),
    "uterus":              ((1.2, 3.0),   (1.5, 3.0),   (1.5, 3.0),   0.15),
    "ovary":               ((1.0, 2.2),   (1.0, 2.0),   (1.0, 2.0),   0.1),
    "bladder":             ((1.0, 2.0),   (1.0, 2.5),   (1.0, 2.0),   0.0),
    "urine":               ((3.5, 36.0),  (10.0, 60.0), (8.0, 45.0),  0.0),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Tracer:
    """A tracer, as it is given and as lesions take it up.

    Attributes:
        name: FDG, PSMA or DOTATATE.
        isotope: a name in `recon.corrections.calibration`.
        mbq_per_kg: dose, low to high.
        uptake_min: from injection to the start of the scan, low to high, in minutes.
        lesion_suv: SUV of lesions, low to high.
        lesion_sites: how often lesions lie where, by name (`sim.people.lesions`).
    """

    name: str
    isotope: str
    mbq_per_kg: tuple[float, float]
    uptake_min: tuple[float, float]
    lesion_suv: tuple[float, float]
    lesion_sites: dict

    @property
    def suv(self):
        """Ranges of SUV by tissue: dict of (low, high)."""
        column = _TRACERS.index(self.name)
        return {name: row[column] for name, row in _SUV.items()}


# Doses and times are those of the procedure guidelines, as remembered: FDG, Boellaard et al., Eur.
# J. Nucl. Med. Mol. Imaging 42, 328-354, 2015; PSMA, Fendler et al., ibid. 44, 1014-1024, 2017;
# DOTATATE, Bozkurt et al., ibid. 44, 1588-1601, 2017. Lesions' mean maximum SUV, to compare: PSMA,
# prostate 11.3, nodes 14.6, bone 15.9 and soft tissue 24.2, (1) above; DOTATATE, liver 28.7,
# pancreas 25.2, bone 18.3 and nodes 12.6, Kuyumcu et al. above. Those of FDG and the sites of all
# are typical values without a source.
TRACERS = {
    tracer.name: tracer
    for tracer in (
        Tracer(
            name="FDG", isotope="F-18", mbq_per_kg=(2.5, 4.5), uptake_min=(55, 75),
            lesion_suv=(3.5, 18.0),
            lesion_sites={"lung": 4, "liver": 3, "bone": 3, "chest node": 4, "abdominal node": 2},
        ),
        Tracer(
            name="PSMA", isotope="Ga-68", mbq_per_kg=(1.8, 2.2), uptake_min=(50, 70),
            lesion_suv=(5.0, 35.0),
            lesion_sites={"bone": 5, "abdominal node": 4, "pelvic node": 4, "prostate": 3},
        ),
        Tracer(
            name="DOTATATE", isotope="Ga-68", mbq_per_kg=(1.4, 2.6), uptake_min=(45, 75),
            lesion_suv=(8.0, 40.0),
            lesion_sites={"liver": 5, "bone": 3, "abdominal node": 4, "pancreas": 2},
        ),
    )
}  # fmt: skip


def tracer(name):
    """The Tracer of a name, in any case.

    Raises:
        ValueError: there is none; the message gives the nearest.
    """
    return TRACERS[known_name(name, TRACERS, "tracer takes")]


def draw_suv(rng, tracer):
    """One SUV of each tissue, evenly likely on a logarithmic scale within its range: dict."""
    return {name: draw_within(rng, limits) for name, limits in tracer.suv.items()}


def draw_within(rng, limits):
    """A number between low and high, evenly likely on a logarithmic scale; 0 where both are."""
    low, high = limits
    chance = rng.random()
    return float(low * (high / low) ** chance) if low else 0.0


def variation(tissue):
    """Standard deviation of the activity within a tissue, over its mean."""
    return _SUV[tissue][-1]


@dataclass(frozen=True, kw_only=True)
class Injection:
    """A dose of a tracer in a person.

    Attributes:
        isotope: a name in `recon.corrections.calibration`.
        mbq: injected.
        waited_min: from injection to the start of the scan, in minutes.
        weight_kg: of the person.
    """

    isotope: str
    mbq: float
    waited_min: float
    weight_kg: float

    @property
    def suv_bq_ml(self):
        """Activity of SUV 1 at the start of the scan, Bq/mL."""
        return 1 / suv_scale(
            weight_kg=self.weight_kg, dose_bq=1e6 * self.mbq, isotope=isotope(self.isotope),
            dose_age_s=60 * self.waited_min,
        )


def draw_injection(rng, tracer, weight_kg):
    """An Injection of a Tracer for a weight, from a Generator."""
    return Injection(
        isotope=tracer.isotope, mbq=draw_within(rng, tracer.mbq_per_kg) * weight_kg,
        waited_min=draw_within(rng, tracer.uptake_min), weight_kg=weight_kg,
    )
