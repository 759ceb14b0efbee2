import numpy as np
import pytest

from benchmarks import comparison
from benchmarks.demo_report import recovered
from recon import Grid
from recon.io import write_image
from sim.phantom_files import StoredPhantom

GRID = Grid.centred(shape=(20, 16, 12), voxel_mm=(4, 4, 4))
LIVER, LESION = 1, 2


@pytest.fixture
def stored():
    """A liver of 1000 Bq/mL with a lesion of 5000 in it."""
    labels = np.zeros(GRID.shape, np.uint16)
    labels[2:12, 2:12, 2:10] = LIVER
    labels[5:8, 5:8, 5:8] = LESION
    activity = np.array([0, 1000, 5000], np.float32)[labels]
    rows = [
        {"name": "liver", "label": LIVER, "lesion": False, "centre_mm": [0, 0, 0],
         "volume_ml": 50.0},
        {"name": "lesion 1", "label": LESION, "lesion": True, "centre_mm": [-14, -4, 6],
         "volume_ml": 1.7},
    ]
    blank = np.zeros(GRID.shape, np.float32)
    return StoredPhantom(activity=activity, mu_per_cm=blank, hu=blank, labels=labels, grid=GRID,
                         said={"regions": rows})


@pytest.fixture
def truth(stored, tmp_path):
    write_image(tmp_path / "truth.nii.gz", stored.activity, GRID, unit="Bq/mL")
    return comparison.Truth.of(stored, like=tmp_path / "truth.nii.gz", within_mm=20)


def test_the_truth_itself_recovers_all_and_has_no_noise(truth, tmp_path):
    numbers, image = truth.quality(tmp_path / "truth.nii.gz")
    assert numbers["liver_recovery"] == pytest.approx(1)
    assert numbers["noise"] == pytest.approx(0, abs=1e-6)
    assert numbers["contrast_recovery"] == {"lesion 1": pytest.approx(1)}
    assert (numbers["nrmse"], numbers["psnr"], numbers["ssim"]) == (0, np.inf, pytest.approx(1))
    assert np.array_equal(image, truth.activity)


def test_recovery_contrast_and_noise_worked_out_by_hand(truth, stored, tmp_path):
    # 10 % too high everywhere, the lesion at 3300: contrast 3300 / 1100 - 1 = 2 of 4.
    image = stored.activity * np.float32(1.1)
    image[stored.labels == LESION] = 3300
    # Liver voxels are 1100 by +- 110 in turn: a standard deviation of 10 %.
    liver = np.argwhere(truth.liver)
    image[tuple(liver.T)] *= np.where(np.arange(len(liver)) % 2, 1.1, 0.9)
    write_image(tmp_path / "image.nii.gz", image, GRID, unit="Bq/mL")
    error, body = image - stored.activity, stored.labels > 0
    numbers, _ = truth.quality(tmp_path / "image.nii.gz")
    assert numbers["liver_recovery"] == pytest.approx(1.1, rel=1e-3)
    assert numbers["noise"] == pytest.approx(0.1, rel=1e-3)
    assert numbers["contrast_recovery"]["lesion 1"] == pytest.approx(0.5, rel=2e-3)
    assert numbers["nrmse"] == pytest.approx(np.sqrt(
        (error[body].astype(float) ** 2).sum() / (stored.activity[body].astype(float) ** 2).sum()
    ), rel=1e-3)


def test_an_image_without_activity_has_no_contrast(truth, tmp_path):
    write_image(tmp_path / "image.nii.gz", truth.activity * 0, GRID, unit="Bq/mL")
    with np.errstate(invalid="ignore"):
        numbers, _ = truth.quality(tmp_path / "image.nii.gz")
    assert numbers["contrast_recovery"] == {"lesion 1": None}
    assert recovered(None) == "–"


def test_what_is_near_the_scanners_ends_is_not_measured(stored, tmp_path):
    write_image(tmp_path / "truth.nii.gz", stored.activity, GRID, unit="Bq/mL")
    truth = comparison.Truth.of(stored, like=tmp_path / "truth.nii.gz", within_mm=2.5)
    assert truth.lesions == {}
    assert not truth.liver.any(axis=(0, 1))[np.abs(GRID.centres(2)) > 2.5].any()


def test_a_liver_out_of_sight_is_told(stored, tmp_path):
    write_image(tmp_path / "truth.nii.gz", stored.activity, GRID, unit="Bq/mL")
    with pytest.raises(ValueError, match="no liver within 1 mm of the scanner's middle"):
        comparison.Truth.of(stored, like=tmp_path / "truth.nii.gz", within_mm=1)


def test_an_image_on_another_grid_is_refused(truth, tmp_path):
    write_image(tmp_path / "other.nii.gz", np.ones((3, 3, 3), np.float32),
                Grid.centred(shape=(3, 3, 3), voxel_mm=(4, 4, 4)), unit="Bq/mL")
    with pytest.raises(ValueError, match=r"takes images of shape \(20, 16, 12\), got \(3, 3, 3\)"):
        truth.quality(tmp_path / "other.nii.gz")


def test_a_picture_is_drawn(truth, tmp_path):
    panels = [("Truth", "as it is", (truth.activity, truth.grid))]
    figure = comparison.drawn(panels, truth.shown_at_mm, unit="kBq/mL", scale=1e-3,
                              maximum=truth.shown_most)
    comparison.save(tmp_path / "a.png", figure)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_an_error_below_zero_is_blue_and_a_profile_reads_its_line(truth):
    panels = [("Error", "", (truth.activity - 1000, truth.grid))]
    figure = comparison.drawn(panels, truth.shown_at_mm, unit="kBq/mL", scale=1e-3,
                              maximum=1000, signed=True)
    shown = figure.axes[0].images[0]
    red, _, blue, _ = shown.cmap(shown.norm(-1.0))
    assert blue > 2 * red
    figure = comparison.profiles([("Truth", (truth.activity, truth.grid))], (-4, 6),
                                 unit="kBq/mL", scale=1e-3)
    line = figure.axes[0].lines[0].get_ydata()
    assert (line.min(), line.max()) == (0, 5)
