import numpy as np
import pytest

from recon import Grid
from recon.io import FileError, write_image
from sim.labelled import labelled
from sim.materials import MATERIALS

GRID = Grid.centred(shape=(12, 10, 8), voxel_mm=(4, 5, 6), centre_mm=(3, -7, 11))
TABLE = """
1: {name: liver, activity_bq_ml: 1000, material: soft tissue}
7:
  name: tumour
  activity_bq_ml: 9000.5
  mu_per_cm: 0.12
  hu: 300
  lesion: true
40: {name: not there, activity_bq_ml: 1, material: water}
"""


@pytest.fixture
def labels():
    labels = np.zeros(GRID.shape, np.float32)
    labels[2:9, 1:8, 1:7] = 1
    labels[4:6, 3:5, 2:4] = 7
    return labels


@pytest.fixture
def files(tmp_path, labels):
    """A function that writes the image and a table and returns their paths."""

    def files(text=TABLE, image=labels):
        write_image(tmp_path / "labels.nii.gz", image, GRID)
        (tmp_path / "table.yaml").write_text(text)
        return tmp_path / "labels.nii.gz", tmp_path / "table.yaml"

    return files


def test_on_its_own_grid_each_voxel_has_what_its_label_stands_for(files, labels):
    phantom, grid = labelled(*files())
    images = phantom.images(grid)
    assert grid == GRID
    np.testing.assert_allclose(images["activity"], np.select([labels == 1, labels == 7],
                                                             [1000, 9000.5]))
    liver = MATERIALS["soft tissue"]
    np.testing.assert_allclose(images["hu"], np.select([labels == 1, labels == 7],
                                                       [liver.hu, 300], -1000))
    np.testing.assert_allclose(images["mu_per_cm"], np.select([labels == 1, labels == 7],
                                                              [liver.mu_per_cm, 0.12]), rtol=1e-6)
    np.testing.assert_array_equal(images["labels"], np.select([labels == 1, labels == 7], [1, 2]))


def test_on_other_grids_it_holds_the_same_activity(files):
    phantom, grid = labelled(*files())
    held = phantom.activity(grid).sum(dtype=float) * np.prod(grid.voxel_mm)
    for voxel_mm, samples in (((2, 2.5, 3), 4), ((3.3, 4.1, 2.7), 8), ((9, 8, 7), 16)):
        shape = [int(80 / side) for side in voxel_mm]
        other = Grid.centred(shape=shape, voxel_mm=voxel_mm, centre_mm=grid.centre)
        found = phantom.activity(other, samples).sum(dtype=float) * np.prod(voxel_mm)
        assert found == pytest.approx(held, rel=0.02)


def test_a_voxel_that_an_edge_halves_has_half_the_activity(files):
    phantom, grid = labelled(*files())
    # Labels begin at voxel 2 along x, whose face is half a voxel before its middle.
    face = grid.centres(0)[2] - 2
    place = face, grid.centres(1)[6], grid.centres(2)[5]
    one = Grid.centred(shape=(1, 1, 1), voxel_mm=(2, 2, 2), centre_mm=place)
    assert phantom.activity(one, 4).item() == pytest.approx(500)


def test_names_and_lesions_are_the_tables(files):
    phantom, _ = labelled(*files())
    assert phantom.names == ("liver", "tumour")  # and none of label 40, which is not there
    assert [region.name for region in phantom.lesions] == ["tumour"]
    np.testing.assert_allclose(phantom.find("tumour")[0].solid.extent, [
        (GRID.centres(axis)[first] - side / 2, GRID.centres(axis)[first + 1] + side / 2)
        for axis, (first, side) in enumerate(zip((4, 3, 2), GRID.voxel_mm, strict=True))
    ])


def test_label_0_may_be_something_too(files):
    text = TABLE + "0: {name: bath, activity_bq_ml: 5, material: water}\n"
    phantom, grid = labelled(*files(text))
    assert phantom.activity(grid)[0, 0, 0] == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1: {name: a, activity_bq_ml: 1, material: water}", "labels that .* lacks: 7; add"),
        (TABLE.replace("soft tissue", "soft tisue"), "label 1: `material` takes one of .* the "
                                                     "nearest is 'soft tissue'"),
        (TABLE.replace("lesion: true", "leison: true"), "label 7: unknown key `leison`; the "
                                                        "nearest known one is `lesion`"),
        (TABLE.replace("lesion: true", "lesion: 3"), "`lesion` takes true or false, got 3"),
        (TABLE.replace("hu: 300", ""), "label 7 lacks `material`; give it, or `mu_per_cm` and"),
        (TABLE.replace("hu: 300", "material: water"), "label 7 has `material` and `mu_per_cm`"),
        (TABLE.replace("1000", "-1"), "label 1: `activity_bq_ml` takes a number from 0"),
        (TABLE.replace("1000", "much"), "`activity_bq_ml` takes a number .* got 'much'"),
        (TABLE.replace("1000", ".nan"), "`activity_bq_ml` takes a number .* got nan"),
        (TABLE + TABLE, "has a label twice"),
        (TABLE.replace("activity_bq_ml: 9000.5", ""), "label 7 lacks `activity_bq_ml`; add it"),
        (TABLE.replace("7:", "seven:"), "each label a whole number"),
        ("- 1\n- 2\n", "takes rows `label"),
        ("", "takes rows `label"),
        ("1: liver\n7: tumour", "label 1 takes name, activity_bq_ml, .*, got 'liver'"),
        ("1: {", "line 1 is not YAML"),
    ],
)
def test_tables_that_mean_nothing_are_refused(files, text, message):
    with pytest.raises(FileError, match=message):
        labelled(*files(text))


def test_an_image_that_is_no_segmentation_is_refused(files, labels):
    labels[3, 2, 1] = 0.25
    with pytest.raises(FileError, match=r"whole numbers as labels, found 0.25 at voxel \(3, 2, 1"):
        labelled(*files(image=labels))


def test_an_empty_segmentation_is_refused(files, labels):
    with pytest.raises(FileError, match="label 0 alone"):
        labelled(*files(image=0 * labels))
