import numpy as np
import pytest
from scipy import ndimage

from recon.grid import Grid
from sim.brain import brain

HEAD = Grid.centred(shape=(80, 100, 84), voxel_mm=(2, 2, 2), centre_mm=(0, 0, 2))
# The spread over healthy adults in large MRI series (Good et al., NeuroImage 14, 2001, and others),
# in mL. Sulci and the fluid at the skull's base make up the fluid.
ADULT_ML = {"grey": (550, 850), "white": (380, 650), "csf": (200, 450), "all": (1200, 1800)}
GREY = ("cortex", "cerebellar grey", "caudate", "putamen", "pallidum", "thalamus", "hippocampus")
WHITE = ("white", "brainstem")


FOCI = {"disease": False, "lesions": 3, "lesion": "focus"}


@pytest.fixture(scope="module")
def head():
    return brain(5, **FOCI)


@pytest.fixture(scope="module")
def images(head):
    return head.images(HEAD, 2, ["activity", "labels"])


@pytest.fixture(scope="module")
def parkinson():
    return brain(5, tracer="FDOPA", disease=True, lesions=2, lesion="tumour")


def labelled(phantom, labels, *words):
    """Where the regions lie whose name contains one of the words."""
    names = [n for n, name in enumerate(phantom.names, 1) if any(word in name for word in words)]
    return np.isin(labels, names)


def test_volumes_of_grey_white_and_fluid_are_an_adults(head, images):
    volumes = {
        "grey": labelled(head, images["labels"], *GREY).sum() * 0.008,
        "white": labelled(head, images["labels"], *WHITE).sum() * 0.008,
        "csf": labelled(head, images["labels"], "csf").sum() * 0.008,
    }
    volumes["all"] = sum(volumes.values())
    for name, (low, high) in ADULT_ML.items():
        assert low < volumes[name] < high, (name, volumes)
    # About 1.1 to 1.6 in adults, by method and age.
    assert 1.1 < volumes["grey"] / volumes["white"] < 1.6


def test_cortex_is_two_to_four_mm_thick(head):
    grid = Grid.centred(shape=(130, 60, 50), voxel_mm=(0.8,) * 3, centre_mm=(0, 30, -40))
    labels = head.images(grid, 1, ["labels"])["labels"]
    white = labelled(head, labels, "white")
    fluid = ~white & ~labelled(head, labels, *GREY, "lesion", "brainstem")
    # From each voxel of white matter that touches grey to the nearest fluid, between the surfaces.
    touching = white & ndimage.binary_dilation(labelled(head, labels, "cortex"))
    to_fluid = ndimage.distance_transform_edt(~fluid, sampling=0.8)[touching] - 0.8
    low, middle, high = np.percentile(to_fluid, [5, 50, 95])
    assert low > 1.4
    assert 2 < middle < 3
    assert high < 4.5


def test_coronal_slices_are_folded_as_in_people(head):
    """Zilles et al., Anat Embryol 179, 1988: whole over outer contour, 2.56 on average."""
    grid = Grid.centred(shape=(160, 6, 150), voxel_mm=(1, 16, 1), centre_mm=(0, -10, -5))
    labels = head.images(grid, 1, ["labels"])["labels"]
    brain_matter = labelled(head, labels, "cortex", "white matter", "lesion")
    whole = outer = 0
    middle = grid.shape[0] // 2
    for y in range(grid.shape[1]):
        for side in (slice(0, middle), slice(middle, None)):
            matter = np.pad(brain_matter[side, y], 14)
            closed = ndimage.binary_closing(matter, iterations=12)
            whole += contour(matter)
            outer += contour(ndimage.binary_fill_holes(closed))
    assert 2.0 < whole / outer < 3.3


def contour(mask):
    """Number of pixel sides between inside and outside."""
    padded = np.pad(mask, 1).astype(int)
    return sum(np.abs(np.diff(padded, axis=axis)).sum() for axis in range(2))


def test_fdg_in_grey_is_about_four_times_that_in_white(head):
    cortex = [r.activity_bq_ml for r in head.regions if "cortex" in r.name]
    (white,) = {r.activity_bq_ml for r in head.regions if r.name == "white matter"}
    assert 3.4 < np.mean(cortex) / white < 4.6
    # 200 MBq in some 75 kg, SUV 9, three quarters left after 45 min: 18 kBq/mL.
    assert 10e3 < np.mean(cortex) < 32e3


def test_lesions_hold_the_activity_they_tell(head, parkinson):
    for phantom, number in ((head, 3), (parkinson, 2)):
        names = [lesion.name for lesion in phantom.lesions]
        assert names == [f"lesion {n}" for n in range(1, number + 1)]
        for lesion in phantom.lesions:
            grid = around(lesion)
            part = phantom.fraction(lesion.name, grid, 2)
            activity = phantom.activity(grid, 2)
            assert part.sum() > 200  # mL / 1000
            assert (part == 1).any()
            np.testing.assert_allclose(activity[part == 1], lesion.activity_bq_ml, rtol=1e-5)


def around(region):
    """A grid of 1 mm that holds a region."""
    low, high = np.transpose(region.solid.extent)
    shape = tuple(np.ceil(high - low).astype(int))
    return Grid.centred(shape=shape, voxel_mm=(1, 1, 1), centre_mm=tuple((low + high) / 2))


def test_a_focus_takes_up_less_than_the_cortex_around_it(head):
    cortex = [r.activity_bq_ml for r in head.regions if "cortex" in r.name]
    assert all(0.5 * min(cortex) < r.activity_bq_ml < 0.8 * max(cortex) for r in head.lesions)


def test_a_tumour_takes_up_more_than_any_cortex(parkinson):
    highest = max(r.activity_bq_ml for r in parkinson.regions if "cortex" in r.name)
    assert min(lesion.activity_bq_ml for lesion in parkinson.lesions) > 1.5 * highest


def test_parkinsons_disease_takes_the_putamen_first_and_one_side_more(parkinson):
    left, right, caudate, occipital = (
        parkinson.find(name)[0].activity_bq_ml
        for name in ("left putamen", "right putamen", "left caudate", "occipital cortex")
    )
    assert parkinson.name == "brain, Parkinson's disease"
    assert abs(left - right) > 0.02 * (left + right) / 2
    assert max(left, right) < caudate  # without the disease the putamen takes up 1.07 times that
    assert caudate > 1.5 * occipital


def test_a_seed_and_its_options_give_the_same_images_bit_for_bit(images):
    again = brain(5, **FOCI).images(HEAD, 2, ["activity", "labels"])
    assert again["activity"].tobytes() == images["activity"].tobytes()
    assert again["labels"].tobytes() == images["labels"].tobytes()


def test_a_seed_is_one_head_with_any_tracer(head, images, parkinson):
    labels = parkinson.images(HEAD, 1, ["labels"])["labels"]
    free = ~labelled(head, images["labels"], "lesion") & ~labelled(parkinson, labels, "lesion")
    ours, theirs = (
        np.array(["air", *phantom.names])[painted[free]]
        for phantom, painted in ((head, images["labels"]), (parkinson, labels))
    )
    np.testing.assert_array_equal(ours, theirs)


def test_another_seed_is_folded_otherwise(head, images):
    other = brain(6)
    grey = labelled(head, images["labels"], "cortex")
    others = labelled(other, other.images(HEAD, 1, ["labels"])["labels"], "cortex")
    assert 2 * (grey & others).sum() / (grey.sum() + others.sum()) < 0.7


def test_a_tracer_is_known_in_any_case():
    assert brain(0, tracer="Fdg").tracer == "FDG"


def test_an_unknown_tracer_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="got 'FDOAP'; the nearest is 'FDOPA'"):
        brain(0, tracer="FDOAP")


def test_lesions_of_a_wrong_number_or_kind_are_refused():
    with pytest.raises(ValueError, match="takes 0 to 12 lesions, got 13"):
        brain(0, lesions=13)
    with pytest.raises(ValueError, match="focus, tumour or None, got 'cyst'"):
        brain(0, lesions=1, lesion="cyst")
