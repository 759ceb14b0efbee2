import numpy as np
import pytest

from recon import Grid
from sim.attenuation import CT_KEV, attenuation_per_cm
from sim.ct_spectrum import WATER, hounsfield, spectrum
from sim.low_dose_ct import CALCIUM, basis, detect, low_dose_ct, water_lines
from sim.materials import MATERIALS
from sim.shapes import Cylinder, paint

GRID = Grid.centred(shape=(96, 96, 2), voxel_mm=(2.5, 2.5, 3), centre_mm=(30, -20, 400))
FOUR_SIGMA = 3.9  # two-sided level of 1e-4 for each comparison
HARDLY_NOISY = {"photons": 1e12, "electronic_noise": 0}


def cylinders(*parts, grid=GRID):
    """mu and HU of endless cylinders: x and y from the grid's middle, radius in mm, material."""
    x, y, _ = grid.centre
    solids = [
        Cylinder(centre_mm=(x + dx, y + dy, 0), radii_mm=(r, r, np.inf)) for dx, dy, r, _ in parts
    ]
    made = [MATERIALS[name] for *_, name in parts]
    return paint(
        solids, [[m.mu_per_cm for m in made], [m.hu for m in made]], grid, 4, [0.0, -1000.0]
    )


def near(dx, dy, radius_mm, grid=GRID):
    x, y = (grid.centres(axis) - grid.centre[axis] for axis in (0, 1))
    return np.hypot(x[:, None] - dx, y - dy) < radius_mm


def ct(images, seed=1, grid=GRID, **settings):
    return low_dose_ct(*images, grid, rng=np.random.default_rng(seed), **settings)[0]


@pytest.fixture(scope="module")
def water():
    return cylinders((0, 0, 100, "water"))


def moments(water_cm, calcium_cm, kvp, photons, electronic_noise):
    """Mean and variance of a reading as the module's formula has them."""
    parts = spectrum(kvp) * np.exp(-water_cm * WATER - calcium_cm * CALCIUM)
    energy = CT_KEV / (spectrum(kvp) @ CT_KEV)
    return photons * parts @ energy, photons * parts @ energy**2 + electronic_noise**2


@pytest.mark.parametrize("kvp", [80, 100, 120, 140])
def test_water_has_0_hu_in_its_middle_and_at_its_edge_without_cupping(water, kvp):
    image = ct(water, kvp=kvp, **HARDLY_NOISY)
    for inner, outer in ((0, 30), (30, 60), (60, 90)):
        ring = near(0, 0, outer) & ~near(0, 0, inner)
        assert image[ring].mean() == pytest.approx(0, abs=0.5)
    assert np.abs(image[near(0, 0, 90)]).max() < 6
    assert image[~near(0, 0, 110)].mean() == pytest.approx(-1000, abs=0.5)


def test_inserts_have_the_ct_numbers_of_the_table():
    places = {"fat": (-45, 0), "PMMA": (0, 45), "lung": (0, -45), "muscle": (45, 0)}
    image = ct(
        cylinders((0, 0, 100, "water"), *((*at, 20, name) for name, at in places.items())),
        **HARDLY_NOISY,
    )
    for name, at in places.items():
        assert image[near(*at, 10)].mean() == pytest.approx(MATERIALS[name].hu, abs=3), name


def test_bone_loses_less_than_8_percent_to_the_hardening_that_water_does_not_correct():
    images = cylinders((0, 0, 100, "water"), (45, 0, 20, "rib"))
    found = {kvp: ct(images, kvp=kvp, **HARDLY_NOISY)[near(45, 0, 10)].mean() for kvp in (80, 120)}
    assert 0.92 < found[120] / MATERIALS["rib"].hu < 1
    assert found[80] > 1.2 * found[120]


@pytest.mark.parametrize(("water_cm", "calcium_cm"), [(0.0, 0.0), (20.0, 0.0), (25.0, 1.5)])
@pytest.mark.parametrize("kvp", [80, 140])
def test_readings_have_the_mean_and_variance_of_a_compound_poisson_law(
    water_cm, calcium_cm, kvp, rng
):
    settings = {"kvp": kvp, "photons": 2e5, "electronic_noise": 4.0}
    readings = detect(
        np.full(40_000, water_cm), np.full(40_000, calcium_cm), **settings, rng=rng
    )
    mean, variance = moments(water_cm, calcium_cm, **settings)
    z = (readings.mean() - mean) / np.sqrt(variance / readings.size)
    assert abs(z) < FOUR_SIGMA
    # Chi-square of 39,999 degrees of freedom, as good as normal.
    chi_square = (readings.size - 1) * readings.var(ddof=1) / variance
    assert abs(chi_square - readings.size) < FOUR_SIGMA * np.sqrt(2 * readings.size)


def test_energies_add_variance_to_that_of_the_photons_alone():
    mean, variance = moments(20.0, 0.0, 120, 1e5, 0.0)
    assert variance > 1.02 * mean


def test_electronics_dominate_the_noise_where_few_photons_arrive(rng):
    settings = {"kvp": 120, "photons": 1e5, "electronic_noise": 80.0}
    readings = detect(np.full(40_000, 24.0), np.zeros(40_000), **settings, rng=rng)
    mean, variance = moments(24.0, 0.0, **settings)
    assert 3 * (variance - 80.0**2) < 80.0**2
    # To first order a line integral, a logarithm, has the standard deviation of reading / mean.
    assert np.log(1e5 / readings).std() == pytest.approx(np.sqrt(variance) / mean, rel=0.02)


def test_noise_in_hu_grows_with_the_root_of_the_dose_reduction(water):
    def noise(photons):
        images = [ct(water, seed, photons=photons, electronic_noise=0) for seed in (1, 2)]
        return (images[1] - images[0])[near(0, 0, 80)].std() / np.sqrt(2)

    assert noise(1e5) / noise(1e6) == pytest.approx(np.sqrt(10), rel=0.06)


def test_readings_below_one_photon_are_taken_as_one_and_counted():
    lines, low = water_lines(np.array([-3.0, 0.0, 0.99, 1.0, 100.0]), kvp=120, photons=100.0)
    assert low == 3
    np.testing.assert_array_equal(lines[:4], lines[3])
    assert lines[4] == 0


@pytest.mark.parametrize("kvp", [80, 120])
def test_any_thickness_of_water_is_found_from_its_reading(kvp):
    cm = np.array([0.1, 1.0, 10.0, 30.0, 60.0])
    readings = [moments(thickness, 0.0, kvp, 1e9, 0.0)[0] for thickness in cm]
    found, low = water_lines(np.array(readings), kvp=kvp, photons=1e9)
    np.testing.assert_allclose(found, cm, rtol=1e-4)
    assert low == 0


# Density and mass fractions of ICRU 44's fat and bone, and of a polymer.
@pytest.mark.parametrize(
    ("density", "fractions"),
    [
        (0.95, {"H": 0.114, "C": 0.598, "N": 0.007, "O": 0.278, "Na": 0.001, "Cl": 0.002}),
        (1.92, {"H": 0.034, "C": 0.155, "N": 0.042, "O": 0.435, "Mg": 0.003, "P": 0.103,
                "S": 0.003, "Ca": 0.225}),
        (1.19, {"H": 0.0805, "C": 0.5998, "O": 0.3196}),
    ],
)
def test_water_and_calcium_stand_for_a_material_at_every_voltage(density, fractions):
    per_cm, mu_per_cm = attenuation_per_cm(density, **fractions)
    water, calcium = basis(mu_per_cm, hounsfield(per_cm))
    for kvp in (80, 100, 120, 140):
        found = hounsfield(water * WATER + calcium * CALCIUM, kvp)
        assert found == pytest.approx(hounsfield(per_cm, kvp), abs=2)


def test_air_is_neither_water_nor_calcium_and_water_is_water():
    water, calcium = basis([0.0, MATERIALS["water"].mu_per_cm], [-1000.0, 0.0])
    np.testing.assert_allclose(water, [0, 1], atol=1e-6)
    np.testing.assert_allclose(calcium, 0, atol=1e-6)


def test_a_seed_is_a_ct_bit_for_bit_whatever_the_threads(water):
    first, again, other = (ct(water, seed, threads=n) for seed, n in ((1, 1), (1, 2), (2, 1)))
    np.testing.assert_array_equal(first, again)
    assert np.abs(other - first)[near(0, 0, 80)].mean() > 1


def test_slices_beyond_the_first_slab_are_as_the_first():
    grid = Grid.centred(shape=(24, 20, 35), voxel_mm=(5, 5, 5))
    image = ct(cylinders((0, 0, 40, "water"), grid=grid), grid=grid, **HARDLY_NOISY)
    np.testing.assert_allclose(image, np.broadcast_to(image[..., :1], image.shape), atol=0.1)


def test_every_material_is_a_basis_of_water_and_calcium_that_attenuates_at_every_energy():
    for material in MATERIALS.values():
        water, calcium = basis(material.mu_per_cm, material.hu)
        assert (water * WATER + calcium * CALCIUM >= -1e-5).all(), material.name


def test_a_mu_map_and_a_ct_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="fit each other"):
        basis(0.096, -1000.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"photons": 1.0}, "more than 1 photon"), ({"photons": np.nan}, "more than 1 photon"),
     ({"electronic_noise": -1.0}, "0 photons or more"), ({"kvp": 90}, "got 90; take 80"),
     ({"window": "sharp"}, "fbp takes a window")],
)
def test_settings_out_of_range_are_refused(settings, said):
    grid = Grid.centred(shape=(8, 8, 1), voxel_mm=(5, 5, 5))
    with pytest.raises(ValueError, match=said):
        ct(cylinders((0, 0, 15, "water"), grid=grid), grid=grid, **settings)
