"""What each file of factors and background does to the image."""

import numpy as np
import pytest

from recon import Scanner, SinogramLayout
from recon.io import (
    FileError,
    read_image,
    read_layout,
    read_sinogram,
    write_image,
    write_sinogram,
)
from recon.measurement import Measurement
from tests.recon.command.conftest import LAYOUT


def values(path):
    return read_image(path)[0]


def write(path, array, layout=LAYOUT):
    write_sinogram(path, array.astype(np.float32), layout)
    return path


@pytest.fixture
def efficiency(scan):
    return read_sinogram(scan / "efficiency.hs")[0]


def test_a_correction_is_the_inverse_of_an_efficiency_and_its_gaps_are_masked(
    recon, scan, efficiency
):
    for gap in (1e20, np.inf):
        with np.errstate(divide="ignore"):
            correction = np.where(efficiency > 0, 1 / efficiency, gap)
        write(scan / "c.hs", correction)
        ours = values(recon("ours.hv", "--correction", scan / "c.hs"))
        theirs = values(recon("theirs.hv", "--efficiency", scan / "efficiency.hs"))
        assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_an_additive_term_is_the_background_over_the_efficiency(recon, scan, efficiency):
    safe = np.where(efficiency > 0, efficiency, 1)
    background = np.where(efficiency > 0, 2, 0)
    factors = ["--efficiency", scan / "efficiency.hs"]
    b, a = write(scan / "b.hs", background), write(scan / "a.hs", background / safe)
    ours = values(recon("ours.hv", *factors, "--additive", a))
    theirs = values(recon("theirs.hv", *factors, "--background", b))
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_without_efficiency_the_pairs_of_a_bin_count(scan):
    layout = LAYOUT.with_(views=8, view_mashing=2)
    write(scan / "mashed.hs", np.ones(layout.shape), layout)
    _, factors, background = Measurement(scan=scan / "mashed.hs").load()
    assert np.all(factors == 2)
    assert background is None


def test_without_efficiency_only_real_pairs_count(scan):
    # A Vision's block of 20 crystals has a virtual one: of 8 mashed views up to 2 pairs touch it,
    # and the last of 50 views holds 7 of the 399.
    layout = SinogramLayout.of(Scanner.preset("Vision"), view_mashing=8, max_ring_difference=0)
    layout = layout.with_(radial_bins=40)
    write(scan / "vision.hs", np.ones(layout.shape), layout)
    measurement = Measurement(scan=scan / "vision.hs")
    _, factors, _ = measurement.load()
    crystals, rings = layout.pair_counts()
    assert np.array_equal(factors, crystals * rings)
    assert set(np.unique(factors[:-1])) - {0} == {6, 7, 8}
    assert measurement.factor_names() == ["crystal pairs per bin, 8 at most"]


def test_without_efficiency_arc_corrected_bins_count_all_pairs(scan):
    layout = LAYOUT.with_(views=8, view_mashing=2, radial_mm=4.0)
    write(scan / "arc.hs", np.ones(layout.shape), layout)
    _, factors, _ = Measurement(scan=scan / "arc.hs").load()
    assert factors.shape == layout.shape
    assert np.all(factors == 2)


def test_stirs_angles_without_efficiency_are_told_that_stir_counts_a_bin_once(scan):
    layout = LAYOUT.with_(views=8, view_mashing=2)
    write(scan / "mashed.hs", np.ones(layout.shape), layout)
    notes = " ".join(Measurement(scan=scan / "mashed.hs", interleaved=False).notes())
    assert "STIR's simulations count each bin once" in notes
    assert "give --efficiency of ones" in notes


@pytest.mark.parametrize(("factor", "told"), [(0.4, True), (1, False), (10, True)])
def test_attenuation_that_no_patient_has_is_told(scan, factor, told):
    mu, grid, _ = read_image(scan / "mu.hv")  # 0.096 1/cm at most
    write_image(scan / "mu.hv", mu * np.float32(factor), grid, unit="1/cm")
    notes = " ".join(Measurement(scan=scan / "prompts.hs", mu_map=scan / "mu.hv").notes())
    assert ("is it in 1/cm, at 511 keV?" in notes) == told


def test_without_efficiency_bins_between_detectors_are_masked(scan):
    layout = LAYOUT.with_(scanner=read_layout(scan / "prompts.hs")[0].scanner)
    gaps = layout.with_(
        scanner=type(layout.scanner)(**{**vars(layout.scanner), "virtual_crystals": (0,)})
    )
    write(scan / "gaps.hs", np.ones(gaps.shape), gaps)
    _, factors, _ = Measurement(scan=scan / "gaps.hs").load()
    assert np.array_equal(factors > 0, np.broadcast_to(gaps.mask(), gaps.shape))
    assert 0 < (factors == 0).mean() < 0.6


def test_attenuation_multiplies_the_factors_by_its_survival(scan):
    # 90 mm of 0.096/cm through the middle of the cylinder: exp(-0.864).
    _, factors, _ = Measurement(scan=scan / "prompts.hs", mu_map=scan / "mu.hv").load()
    central = factors[:, LAYOUT.radial_bins // 2, LAYOUT.first_planes()[0] + 2]
    assert np.allclose(central, np.exp(-0.864), atol=0.02)


def test_segments_in_another_order_are_put_in_the_scans(scan, efficiency):
    order = [3, 1, 0, 2, 4]
    first = LAYOUT.first_planes()
    planes = np.concatenate(
        [first[s] + np.arange(LAYOUT.segments[s].planes) for s in order]
    )
    other = LAYOUT.with_(segments=tuple(LAYOUT.segments[s] for s in order))
    write(scan / "other.hs", efficiency[..., planes], other)
    measurement = Measurement(scan=scan / "prompts.hs", efficiency=scan / "other.hs")
    assert np.array_equal(measurement.load()[1], efficiency)


@pytest.fixture
def tof(scan):
    """A scan with three time-of-flight bins, a background and an additive term."""
    layout = LAYOUT.with_(tof_mashing=3, tof_bins=3)
    counts = np.random.default_rng(3).poisson(2, layout.shape)
    write(scan / "prompts.hs", counts, layout)
    write(scan / "b.hs", 0.1 * counts, layout)
    return counts


def test_no_tof_sums_prompts_and_background(scan, tof):
    measurement = Measurement(scan=scan / "prompts.hs", background=(scan / "b.hs",), tof=False)
    prompts, _, background = measurement.load()
    assert measurement.layout.shape == LAYOUT.shape
    assert np.array_equal(prompts, tof.sum(axis=2))
    assert np.allclose(background, 0.1 * tof.sum(axis=2))


def test_factors_without_time_of_flight_serve_every_bin_of_an_additive_term(
    scan, tof, efficiency
):
    measurement = Measurement(
        scan=scan / "prompts.hs", efficiency=scan / "efficiency.hs", additive=scan / "b.hs"
    )
    _, factors, background = measurement.load()
    assert np.array_equal(factors, efficiency)
    assert np.allclose(background, 0.1 * tof * efficiency[:, :, None])


def test_prompts_that_say_they_are_corrected_are_told(scan):
    header = (scan / "prompts.hs").read_text().replace("{None}", "{normalisation}")
    (scan / "prompts.hs").write_text(header)
    notes = " ".join(Measurement(scan=scan / "prompts.hs").notes())
    assert "says that it is corrected already (normalisation)" in notes


def test_what_is_no_scan_by_its_sidecar_is_not_reconstructed(scan):
    write_sinogram(scan / "m.hs", np.ones(LAYOUT.shape, np.float32), LAYOUT,
                   sidecar={"quantity": "factors m that multiply expected counts"})
    with pytest.raises(FileError, match=r"holds factors m .* where prompts were expected"):
        Measurement(scan=scan / "m.hs")
