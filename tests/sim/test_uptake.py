import numpy as np
import pytest

from sim.uptake import TRACERS, Injection, draw_injection, draw_suv, tracer, variation


def test_an_unknown_tracer_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"got 'dotatoc'; the nearest is 'DOTATATE'"):
        tracer("dotatoc")


def test_a_tracer_is_found_in_any_case():
    assert tracer("fdg").name == "FDG"


def test_suv_1_is_the_decayed_dose_over_the_weight():
    # One half-life of F-18, 6586.2 s: 300 MBq become 150 MBq; in 75 kg, 2000 Bq/mL.
    injection = Injection(isotope="F-18", mbq=300, waited_min=6586.2 / 60, weight_kg=75)
    assert injection.suv_bq_ml == pytest.approx(2000)


@pytest.mark.parametrize("name", TRACERS)
def test_all_that_is_drawn_lies_in_its_range(name):
    kind = TRACERS[name]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for tissue, suv in draw_suv(rng, kind).items():
            low, high = kind.suv[tissue]
            assert low <= suv <= high, tissue
        injection = draw_injection(rng, kind, 80.0)
        assert kind.mbq_per_kg[0] <= injection.mbq / 80 <= kind.mbq_per_kg[1]
        assert kind.uptake_min[0] <= injection.waited_min <= kind.uptake_min[1]


# Mean SUV in people, and SUV's mean maximum; the sources are named in sim/uptake.py.
MEANS = {
    "FDG": {"liver": 2.17, "blood": 1.55, "tonsil": 3.45, "grey matter": 9.14, "urine": 13.8},
    "PSMA": {"kidney": 41.7, "parotid gland": 14.5, "submandibular gland": 13.02, "prostate": 2.4},
    "DOTATATE": {"spleen": 17.3, "liver": 4.8},
}
MAXIMA = {
    "FDG": {"pancreas": 1.7},
    "PSMA": {"lacrimal gland": 15.7, "tonsil": 10.4, "liver": 8.2, "spleen": 10.9,
             "duodenum": 17.6},
    "DOTATATE": {"kidney": 14.3, "adrenal gland": 13.73, "pituitary": 9.74, "spleen": 24.67,
                 "liver": 9.12},
}  # fmt: skip


def average(limits):
    """Of numbers that are evenly likely on a logarithmic scale."""
    low, high = limits
    return (high - low) / np.log(high / low)


@pytest.mark.parametrize("name", TRACERS)
def test_on_average_an_organ_takes_up_the_published_mean(name):
    for tissue, mean in MEANS[name].items():
        assert average(TRACERS[name].suv[tissue]) == pytest.approx(mean, rel=0.1), tissue


@pytest.mark.parametrize("name", TRACERS)
def test_on_average_an_organ_takes_up_a_good_part_of_the_published_maximum(name):
    for tissue, maximum in MAXIMA[name].items():
        assert 0.4 < average(TRACERS[name].suv[tissue]) / maximum < 1, tissue


def test_dotatate_falls_from_organ_to_organ_as_published():
    # Without the kidney: whether it or the adrenal gland comes first differs between the papers.
    organs = ("spleen", "adrenal gland", "liver", "stomach wall", "small bowel", "prostate",
              "pancreas", "thyroid", "uterus", "submandibular gland", "parotid gland")
    uptake = [average(TRACERS["DOTATATE"].suv[organ]) for organ in organs]
    assert uptake == sorted(uptake, reverse=True)


def test_the_organs_that_a_tracer_is_known_for_are_the_hottest():
    def hottest(name, tissues):
        return max(tissues, key=lambda tissue: TRACERS[name].suv[tissue][0])

    organs = "liver", "spleen", "kidney", "grey matter", "muscle"
    assert hottest("FDG", organs) == "grey matter"
    assert hottest("PSMA", organs) == "kidney"
    assert hottest("DOTATATE", organs) == "spleen"


def test_even_the_most_varied_tissue_stays_above_zero_within_two_standard_deviations():
    assert max(variation(tissue) for tissue in TRACERS["FDG"].suv) <= 0.5
