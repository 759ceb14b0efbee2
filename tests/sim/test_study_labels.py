"""A study of the user's own images of labels."""

import json

import numpy as np
import pytest

import countless
from recon import Grid
from recon.io import write_image
from sim.dataset import open_study
from sim.study_file import read_study
from sim.study_phantom import draw_phantom
from tests.sim.studies import TEXT, write

GRID = Grid.centred(shape=(20, 18, 12), voxel_mm=(4, 4, 5), centre_mm=(3, -2, 1))
TABLE = """\
1: {name: body, activity_bq_ml: 1000, material: soft tissue}
4: {name: tumour, activity_bq_ml: 8000, material: soft tissue, lesion: true}
"""
NAMED = TEXT[TEXT.index("phantoms:") : TEXT.index("scan:")]
LABELLED = "phantoms:\n  labels: [one.nii.gz, two.nii.gz]\n  values: table.yaml\n"


@pytest.fixture
def place(tmp_path):
    """A function that writes study.yaml with some of its text replaced; its files lie beside it."""
    for name, tumour in (("one", 5), ("two", 9)):
        labels = np.zeros(GRID.shape, np.float32)
        labels[3:17, 2:16, 1:11] = 1
        labels[tumour : tumour + 3, 6:9, 4:7] = 4
        write_image(tmp_path / f"{name}.nii.gz", labels, GRID)
    (tmp_path / "table.yaml").write_text(TABLE)

    def place(old="", new=""):
        return write(tmp_path, TEXT.replace(NAMED, LABELLED.replace(old, new)))

    return place


def refusal(path, capsys):
    """What a command says that refuses a study before there is a folder."""
    output = path.parent / "data"
    assert countless.main(["simulate", str(path), "-o", str(output), "--workers", "0"]) == 2
    assert not output.exists()
    return capsys.readouterr().err


def test_each_image_of_labels_is_a_phantom_with_the_tables_values(place, tmp_path, capsys):
    path, output = place(), tmp_path / "data"
    assert countless.main(["simulate", str(path), "-o", str(output), "--workers", "0"]) == 0
    assert "2 images of labels" in " ".join(capsys.readouterr().out.split())
    with open_study(output) as data:
        assert [pair.number for pair in data.pairs()] == [1, 2]
        for number, tumour in ((1, 5), (2, 9)):
            (row,) = data.lesions(number)
            assert (row["name"], row["activity_bq_ml"]) == (b"tumour", 8000)
            assert row["volume_ml"] == pytest.approx(27 * 80 / 1000)
            x = GRID.centres(0)[tumour + 1]
            np.testing.assert_allclose(
                row["centre_mm"], (x, GRID.centres(1)[7], GRID.centres(2)[5]), atol=0.1
            )
        assert json.loads(data.file(1).attrs["label_names"]) == ["air", "body", "tumour"]
    made = json.loads((output / "study.json").read_text())
    assert [item["path"].split("/")[-1] for item in made["inputs"]] == [
        "study.yaml", "one.nii.gz", "two.nii.gz", "table.yaml"]


def test_a_study_of_labels_is_another_where_a_file_holds_something_else(place, tmp_path):
    before = read_study(place()).hash()
    (tmp_path / "table.yaml").write_text(TABLE.replace("8000", "9000"))
    assert read_study(place()).hash() != before


def test_a_study_of_labels_is_the_same_wherever_its_files_lie(place, tmp_path):
    before = read_study(place()).hash()
    for name in ("one.nii.gz", "two.nii.gz", "table.yaml"):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    moved = LABELLED.replace("one", "elsewhere/one").replace("two", "elsewhere/two")
    assert read_study(place(LABELLED, moved.replace("table", "elsewhere/table"))).hash() == before


def test_the_isotope_is_the_studys_where_it_says_one(place):
    assert draw_phantom(read_study(place()), 1).isotope == "F-18"
    study = read_study(place("values:", "isotope: ga68\n  values:"))
    assert draw_phantom(study, 1).isotope == "Ga-68"


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("two.nii.gz", "three.nii.gz", "three.nii.gz"),
        ("two.nii.gz", "one.nii.gz", "one.nii.gz, which holds the same as"),
        ("table.yaml", "values.yaml", "values.yaml"),
        ("  values: table.yaml\n", "", "phantoms.values takes a YAML file of what they stand for"),
        ("[one.nii.gz, two.nii.gz]", "[]", "phantoms.labels takes images of labels, got none"),
        ("[one.nii.gz, two.nii.gz]", "[3]", "line 3: `labels` takes a file's name, got 3"),
        ("values:", "kind: person\n  values:", "takes labels or a kind"),
        ("values:", "count: 3\n  values:", "takes labels or a kind"),
        ("values:", "isotope: F-81\n  values:", "F-18"),
    ],
)
def test_labels_that_make_no_study_are_refused_before_there_is_a_folder(
    place, capsys, old, new, message
):
    assert message in refusal(place(old, new), capsys)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("material: soft tissue}", "material: soft tisue}", "the nearest is 'soft tissue'"),
        ("4:", "5:", "two.nii.gz has labels that"),
        ("8000, material: soft tissue", "8000, mu_per_cm: 0.2, hu: -900",
         "table.yaml, tumour: low_dose_ct takes a mu map and CT numbers that fit each other"),
    ],
)
def test_a_table_that_does_not_fit_any_of_the_images_is_refused_before_there_is_a_folder(
    place, tmp_path, capsys, old, new, message
):
    labels = np.zeros(GRID.shape, np.float32)
    labels[3:17, 2:16, 1:11] = 1
    write_image(tmp_path / "one.nii.gz", labels, GRID)  # has no 4; the second has
    (tmp_path / "table.yaml").write_text(TABLE.replace(old, new))
    assert message in refusal(place(), capsys)


def test_labels_beside_the_scanner_are_refused_with_where_the_bed_goes(place, capsys):
    path = place()
    path.write_text(path.read_text().replace("  minutes: 4\n", "  minutes: 4\n  bed_mm: 400\n"))
    said = refusal(path, capsys)
    assert "one.nii.gz" in said
    assert "give scan.bed_mm 1" in said
