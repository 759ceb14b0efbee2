"""Priors, anatomy and their algorithms by `countless recon`."""

from dataclasses import replace

import numpy as np
import pytest

from recon import Grid
from recon.io import read_image, read_sinogram, write_image, write_sinogram
from recon.io.provenance import read_sidecar
from tests.recon.command.conftest import GRID, STUDY

FEW = ("--subsets", 4)  # of the tiny scanner's 16 views
HOT = np.s_[12:15, 9:12, 3:6]
WARM = np.s_[7:11, 6:15, 2:7]


def values(path):
    return read_image(path)[0]


@pytest.fixture
def anatomy(scan):
    """An image that shows the truth's edges in other numbers."""
    truth = values(scan / "truth.hv")
    write_image(scan / "mr.nii.gz", np.select([truth > 2, truth > 0], [300, 100]).astype("f4"),
                GRID)
    return scan / "mr.nii.gz"


@pytest.mark.parametrize("algorithm, passes", [("saga", 30), ("bsrem", 60)])
def test_converging_algorithms_make_the_same_image(recon, algorithm, passes):
    options = (*FEW, "--strength", 0.05, "--epsilon", 0.1, "--tolerance", 0)
    expected = values(recon("svrg.nii.gz", "--algorithm", "svrg", *options, iterations=30))
    found = values(recon("other.nii.gz", "--algorithm", algorithm, *options, iterations=passes))
    assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)


@pytest.mark.parametrize("prior", ["quadratic", "rdp", "log-cosh", "tv"])
def test_more_strength_leaves_less_noise(recon, prior):
    noise = []
    for number, strength in enumerate((0.001, 0.01, 0.1)):
        image = values(recon(f"{number}.nii.gz", "--algorithm", "svrg", "--prior", prior,
                             "--strength", strength, *FEW, iterations=6))
        noise.append(image[WARM].std() / image[WARM].mean())
    assert noise[0] > noise[1] > noise[2]


@pytest.mark.parametrize("words", [
    ("osl", "--prior", "quadratic", "--strength", 0.002), ("mapem",), ("spdhg",),
])
def test_the_other_algorithms_with_a_prior_leave_less_noise_than_osem(recon, words):
    def noise(name, *words):
        image = values(recon(name, *FEW, *words, iterations=6))
        return image[WARM].std() / image[WARM].mean()

    assert noise("prior.nii.gz", "--algorithm", *words) < 0.9 * noise("osem.nii.gz")


def test_a_strength_means_the_same_in_any_unit(recon, scan):
    def image(name, *words):
        return values(recon(name, *words, "--algorithm", "svrg", *FEW, iterations=4))

    expected = image("one.nii.gz", "--efficiency", scan / "efficiency.hs")
    efficiency, layout, _ = read_sinogram(scan / "efficiency.hs")
    write_sinogram(scan / "tenth.hs", efficiency / np.float32(10), layout, STUDY)
    found = image("ten.nii.gz", "--efficiency", scan / "tenth.hs")
    np.testing.assert_allclose(found, 10 * expected, rtol=1e-3, atol=1e-3 * found.max())


def test_what_was_settled_is_kept_beside_the_image(recon):
    said = read_sidecar(recon("image.nii.gz", "--algorithm", "svrg", "--prior", "tv", *FEW,
                              "--strength", 0.02, "--epsilon", 0.05, iterations=3))
    assert said["algorithm"].startswith("SVRG 3 × 4, total variation, strength 0.02, epsilon 0.05")
    assert said["beta"] == pytest.approx(0.02 * said["level"])
    assert said["epsilon"] == pytest.approx(0.05 * said["level"])
    changes = [one["change"] for one in said["passes"]]
    assert changes[0] is None and changes[1] > changes[2] > 0


def test_it_ends_when_passes_change_little_and_says_after_how_many(run, scan):
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii.gz", "--grid-like",
                 scan / "truth.hv", "--algorithm", "svrg", *FEW, "--tolerance", 0.02)
    passes = read_sidecar(scan / "x.nii.gz")["passes"]
    assert 2 <= len(passes) < 20 and passes[-1]["change"] < 0.02 <= passes[-2]["change"]
    said = " ".join(result.out.split())
    assert f"after {len(passes)} passes; the last changed the image by" in said
    assert "ends when a pass changes the image by less than 2 %" in said


def test_it_says_when_it_did_not_come_as_near_as_asked(run, scan):
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii.gz", "--grid-like",
                 scan / "truth.hv", "--algorithm", "saga", *FEW, "--iterations", 2)
    assert "more than 0.1 %: give more --iterations" in " ".join(result.out.split())


@pytest.mark.parametrize("words", [
    ("--algorithm", "kem"), ("--algorithm", "svrg", "--prior", "pls"),
    ("--algorithm", "svrg", "--prior", "quadratic"),
])
def test_anatomy_keeps_the_edge_that_smoothing_alone_would_blur(recon, anatomy, words):
    if "kem" in words:
        plain = recon("plain.nii.gz", *FEW, "--post-filter-mm", 14, iterations=6)
    else:
        words = (*words, "--strength", 1.0)
        other = ("tv" if word == "pls" else word for word in words)
        plain = recon("plain.nii.gz", *FEW, *other, iterations=6)
    guided = values(recon("guided.nii.gz", *FEW, *words, "--anatomy", anatomy, iterations=6))
    plain = values(plain)
    contrast = [image[HOT].mean() / image[WARM].mean() for image in (plain, guided)]
    assert contrast[1] > 1.3 * contrast[0]


def test_anatomy_on_other_voxels_is_resampled_and_that_is_said(run, scan, anatomy):
    fine = Grid.centred(shape=(42, 42, 18), voxel_mm=(3, 3, 2))
    image = np.repeat(np.repeat(np.repeat(values(anatomy), 2, 0), 2, 1), 2, 2)
    write_image(scan / "fine.nii.gz", image, fine)
    said = []
    for name in ("mr", "fine"):
        result = run("recon", scan / "prompts.hs", "-o", scan / f"by-{name}.nii.gz", *FEW,
                     "--grid-like", scan / "truth.hv", "--algorithm", "kem", "--anatomy",
                     scan / f"{name}.nii.gz", "--iterations", 1)
        assert result.code == 0
        said.append(" ".join(result.out.split()))
    assert "fine.nii.gz was resampled to the image's voxels" in said[1]
    assert "resampled" not in said[0]
    by_fine, by_own = values(scan / "by-fine.nii.gz"), values(scan / "by-mr.nii.gz")
    np.testing.assert_allclose(by_fine, by_own, rtol=1e-3, atol=1e-3)


def test_a_prior_and_a_post_filter_together_are_noted(run, scan):
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii.gz", *FEW, "--algorithm",
                 "svrg", "--post-filter-mm", 5, "--iterations", 1)
    assert "a prior smooths already" in " ".join(result.out.split())


@pytest.mark.parametrize("words, said", [
    (("--prior", "rdp"), "--prior takes an algorithm with a prior"),
    (("--strength", 1), "add --algorithm svrg, or leave --strength out"),
    (("--algorithm", "svrg", "--strength", -1), "--strength takes a number of 0 or more, got -1"),
    (("--algorithm", "svrg", "--prior", "pls"), "pls takes an anatomical image, got none"),
    (("--algorithm", "kem"), "kem takes an anatomical image, got none; give it by --anatomy"),
    (("--algorithm", "spdhg", "--prior", "rdp"), "spdhg takes tv or pls as they are"),
    (("--algorithm", "mapem", "--gamma", 0.5), "mapem takes rdp with gamma of 1 or more"),
    (("--algorithm", "svrg", "--prior", "tv", "--epsilon", 0), "above 0 for tv, got 0; take spdhg"),
    (("--algorithm", "svrg", "--subsets", 5), "divisor of the scan's 16 views, got 5"),
    (("--anatomy", "mr.nii.gz"), "--anatomy takes kem, or a prior that it guides, got osem"),
    (("--algorithm", "kem", "--anatomy", "none.nii.gz"), "none.nii.gz"),
    (("--algorithm", "kem", "--anatomy", "away.nii.gz"), "none of it lies in the image"),
    (("--algorithm", "kem", "--anatomy", "nan.nii.gz"), "nan.nii.gz has NaN or infinite values"),
    (("--algorithm", "osl", "--prior", "quadratic", "--strength", 1e9), "is too much for it"),
])
def test_what_does_not_go_together_is_refused_and_writes_nothing(
    run, scan, anatomy, words, said, monkeypatch
):
    monkeypatch.chdir(scan)
    image = np.ones(GRID.shape, np.float32)
    write_image("away.nii.gz", image, replace(GRID, origin_mm=(500.0, 500.0, 500.0)))
    image[3, 3, 3] = np.nan
    write_image("nan.nii.gz", image, GRID)
    before = sorted(scan.iterdir())
    result = run("recon", "prompts.hs", "-o", "x.nii.gz", "--grid-like", "truth.hv", *words)
    assert result.code == 2 and said in " ".join(result.err.split())
    assert sorted(scan.iterdir()) == before


def test_an_anatomy_that_lies_elsewhere_is_refused_before_the_long_steps(run, scan):
    away = replace(GRID, origin_mm=(500.0, 500.0, 500.0))
    write_image(scan / "away.nii.gz", np.ones(GRID.shape, np.float32), away)
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii.gz", "--mu-map", scan / "mu.hv",
                 "--efficiency", scan / "efficiency.hs", "--scatter", "on", "--algorithm", "kem",
                 "--anatomy", scan / "away.nii.gz")
    assert result.code == 2 and "none of it lies in the image" in " ".join(result.err.split())
    assert not (scan / "x.work").exists()
