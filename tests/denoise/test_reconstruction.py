"""`countless recon` with networks: unrolled ones, plug-and-play, deep image prior."""

from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch

import countless
from denoise.channels import CT_HU
from denoise.checkpoint import Denoiser, save_denoiser
from denoise.inference import denoise
from denoise.recipe import Recipe
from denoise.scaling import RULE
from denoise.unrolled import made
from recon import learned
from recon.io import read_image, write_image
from recon.io.provenance import plain, read_sidecar
from recon.layout import SinogramLayout
from recon.method import Method
from tests.denoise.made import stirred
from tests.gpu import exact, on_gpu  # noqa: F401, a fixture
from tests.recon.cases import rms_difference
from tests.recon.command import conftest as scans

scan = scans.scan  # its fixture: a simulated sinogram of the tiny scanner
VOXELS = list(scans.GRID.voxel_mm)


def model(path, kind="fbsem", *, ct=False, voxel_mm=None, **more):
    """Writes an unrolled network of nothing but small random weights; returns its path."""
    parts = {"subsets": 1} if kind == "primal-dual" else {"subsets": 4, "updates": 2}
    recipe = Recipe(width=2, levels=1, unrolled=kind, blocks=2, ct=ct, **parts)
    torch.manual_seed(3)
    network = made(recipe.unrolling, recipe.network, recipe.arguments)
    torch.nn.init.normal_(network.networks[0].head.weight, std=0.01)
    domain = {"noise": [0.0, 1.0], "factors": [4.0], "tracers": ["FDG"], "scanners": ["tiny"],
              "kinds": ["person"], "voxels_mm": [VOXELS]}
    save_denoiser(path, Denoiser(network, {
        "network": recipe.network, "arguments": recipe.arguments, "inputs": list(recipe.inputs),
        "target": "truth", "scaling": {"rule": RULE, "ct_hu": CT_HU},
        "voxel_mm": voxel_mm or VOXELS, "domain": domain, "training": {"studies": []},
        "unrolled": recipe.unrolling | {"psf_mm": 0.0} | more,
    }))
    return path


@pytest.fixture
def recon(scan, capsys):
    """A function that runs `countless recon` on the scan: the image's path, or the error."""

    def run(name, *words, device="cpu"):
        given = [scan / "prompts.hs", "-o", scan / name, "--background", scan / "background.hs",
                 "--grid-like", scan / "truth.hv", "--device", device, *words]
        code = countless.main([str(word) for word in ("recon", *given)])
        return scan / name if code == 0 else capsys.readouterr().err

    return run


@pytest.mark.parametrize("kind", ["fbsem", "learned-gradient", "primal-dual"])
def test_an_unrolled_network_makes_an_image_and_says_of_what(recon, scan, kind):
    layout = plain(asdict(scans.LAYOUT)) if kind == "primal-dual" else None
    path = model(scan / "net.pt", kind, **({"layout": layout} if layout else {}))
    image = recon("image.nii.gz", "--algorithm", kind, "--model", path, "--save-every", 1)
    found, said = read_image(image)[0], read_sidecar(image)
    assert found.max() > 0 and np.isfinite(found).all() and found.min() >= 0
    assert said["models"][0]["unrolled"]["kind"] == kind
    assert "not for clinical use" in said["limits"]
    assert len(said["passes"]) == 2 and said["scaling"]["level"] > 0
    assert said["subsets"] == (1 if kind == "primal-dual" else 4)
    assert said["algorithm"].endswith("network, 2 blocks")
    between = read_image(scan / "image.pass1.nii.gz")[0]
    assert not np.array_equal(between, found)


def test_plug_and_play_goes_towards_what_the_denoiser_makes(recon, scan):
    denoiser = stirred()
    denoiser.settings["voxel_mm"] = VOXELS
    denoiser.network.head.weight.data *= 0.02  # else it makes images ever larger, and is refused
    save_denoiser(scan / "denoiser.pt", denoiser)
    images = []
    for strength in (0.0, 30.0):
        words = ("--algorithm", "pnp", "--model", scan / "denoiser.pt", "--strength", strength)
        image = recon(f"{strength:g}.nii.gz", *words, "--subsets", 4, "--iterations", 3)
        assert read_sidecar(image)["strength"] == strength
        images.append(read_image(image)[0])
    apart = [np.linalg.norm(image - denoise(image, scans.GRID, denoiser, progress=False).image)
             for image in images]
    assert apart[1] < 0.85 * apart[0]


def test_a_deep_image_prior_needs_no_model(recon, scan, monkeypatch):
    few = partial(learned.deep_image_prior, first_steps=8, fit_steps=2)
    monkeypatch.setattr(learned, "deep_image_prior", few)
    image = recon("image.nii.gz", "--algorithm", "dip", "--subsets", 4, "--iterations", 1)
    said = read_sidecar(image)
    assert read_image(image)[0].max() > 0 and said["network"]["name"] == "unet"


@pytest.mark.parametrize(("words", "said"), [
    (("--algorithm", "osem", "--model", "unet"), "--model takes an algorithm with a network"),
    (("--algorithm", "fbsem", "--model", "net", "--iterations", 3), "the network's own with fbsem"),
    (("--algorithm", "fbsem", "--model", "net", "--subsets", 4), "the network's own with fbsem"),
    (("--algorithm", "fbsem", "--model", "net", "--tolerance", 0.5), "the network's own with"),
    (("--algorithm", "fbsem", "--model", "net", "--subset-order", "sequential"), "network's own"),
    (("--algorithm", "dip", "--anatomy", "mu.hv"), "takes Hounsfield units"),
    (("--algorithm", "fbsem", "--model", "net", "--strength", 1), "learned its own, got 1"),
    (("--algorithm", "primal-dual", "--model", "net"), "takes fbsem with"),
    (("--algorithm", "fbsem", "--model", "unet"), "holds a network that denoises images"),
    (("--algorithm", "pnp", "--model", "net"), "holds a network that reconstructs scans"),
    (("--algorithm", "pnp", "--strength", -1), "0 or more, got -1"),
    (("--algorithm", "learned-gradient"), "takes a trained network, and none comes with Countless"),
    (("--algorithm", "dip", "--model", "unet"), "dip fits one to this scan alone"),
    (("--algorithm", "fbsem", "--model", "net", "--anatomy", "truth.hv"), "sees no CT"),
    (("--algorithm", "fbsem", "--model", "ct"), "takes a CT in HU beside the scan"),
    (("--algorithm", "fbsem", "--model", "far"), "takes sides up to 2 times"),
    (("--algorithm", "primal-dual", "--model", "bins"), "a network for the sinograms of other"),
])
def test_what_does_not_go_together_is_refused(recon, scan, words, said):
    made = {"net": {}, "ct": {"ct": True}, "far": {"voxel_mm": [1.0, 1.0, 1.0]}}
    other = SinogramLayout.of(scans.LAYOUT.scanner, view_mashing=2)
    bins = plain(asdict(other))
    bins["scanner"]["name"] = "other"
    given = list(words)
    for place, word in enumerate(words):
        if word in made:
            given[place] = model(scan / f"{word}.pt", **made[word])
        elif word == "bins":
            given[place] = model(scan / "bins.pt", "primal-dual", layout=bins)
        elif str(word).endswith(".hv"):
            given[place] = scan / word
    error = recon("image.nii.gz", *given)
    assert said in " ".join(str(error).split())
    assert not (scan / "image.nii.gz").exists()


def test_an_image_far_from_what_was_trained_on_is_warned_of(recon, scan):
    path = model(scan / "net.pt")
    loaded = torch.load(path, weights_only=True)
    loaded["settings"]["domain"]["scanners"] = ["mMR"]
    torch.save(loaded, path)
    said = read_sidecar(recon("image.nii.gz", "--algorithm", "fbsem", "--model", path))
    assert any("scanner is" in warning for warning in said["warnings"])


def test_countless_denoise_refuses_an_unrolled_network(scan, capsys):
    write_image(scan / "low.nii.gz", read_image(scan / "truth.hv")[0], scans.GRID)
    path = model(scan / "net.pt")
    code = countless.main(["denoise", str(scan / "low.nii.gz"), "-o", str(scan / "out.nii.gz"),
                           "--model", str(path)])
    assert code == 2 and "countless recon --algorithm fbsem" in capsys.readouterr().err


def test_another_point_spread_than_in_training_is_warned_of(recon, scan):
    path = model(scan / "net.pt")
    said = read_sidecar(recon("image.nii.gz", "--algorithm", "fbsem", "--model", path, "--psf-mm",
                              8))
    assert any("give --psf-mm 0" in warning for warning in said["warnings"])


def test_a_network_that_sees_a_ct_takes_it_and_air_beyond_it(recon, scan):
    ct = np.where(read_image(scan / "truth.hv")[0] > 0, 40, -1000).astype(np.float32)
    short = replace(scans.GRID, shape=(21, 21, 5))
    write_image(scan / "ct.nii.gz", ct, scans.GRID)
    write_image(scan / "short.nii.gz", ct[:, :, :5], short)
    path = model(scan / "net.pt", ct=True)
    words = ("--algorithm", "fbsem", "--model", path, "--anatomy")
    whole = read_image(recon("whole.nii.gz", *words, scan / "ct.nii.gz"))[0]
    part = read_image(recon("part.nii.gz", *words, scan / "short.nii.gz"))[0]
    assert np.isfinite(whole).all() and not np.array_equal(whole, part)
    method = Method(algorithm="kem", anatomy=scan / "short.nii.gz")
    for one, beyond in ((method, 0), (replace(method, learned=Sees()), -1000)):
        found, _ = one.read_anatomy(scans.GRID, scan / "prompts.hs", "cpu")
        assert (found[:, :, 7:] == beyond).all() and found[10, 10, 2] == 40


class Sees:
    """A learned algorithm that takes any anatomy."""

    def check_anatomy(self, anatomy):
        pass


def on_both(recon, *words):
    """The images of a GPU and of the CPU."""
    return [read_image(recon(f"{device}.nii.gz", *words, "--psf-mm", 8, device=device))[0]
            for device in ("cuda", "cpu")]


@on_gpu
@pytest.mark.parametrize("kind", ["fbsem", "learned-gradient", "primal-dual"])
def test_on_a_gpu_an_unrolled_network_makes_the_cpus_image(recon, scan, kind, exact):  # noqa: F811
    layout = {"layout": plain(asdict(scans.LAYOUT))} if kind == "primal-dual" else {}
    ct = np.where(read_image(scan / "truth.hv")[0] > 0, 40, -1000).astype(np.float32)
    write_image(scan / "ct.nii.gz", ct, scans.GRID)
    path = model(scan / "net.pt", kind, ct=True, **layout)
    ours, theirs = on_both(recon, "--algorithm", kind, "--model", path, "--anatomy",
                           scan / "ct.nii.gz")
    assert rms_difference(ours, theirs) < 1e-3


@on_gpu
def test_on_a_gpu_plug_and_play_makes_the_cpus_image(recon, scan, exact):  # noqa: F811
    denoiser = stirred()
    denoiser.settings["voxel_mm"] = VOXELS
    denoiser.network.head.weight.data *= 0.02
    save_denoiser(scan / "denoiser.pt", denoiser)
    ours, theirs = on_both(recon, "--algorithm", "pnp", "--model", scan / "denoiser.pt",
                           "--subsets", 4, "--iterations", 2)
    assert rms_difference(ours, theirs) < 1e-3


@on_gpu
def test_on_a_gpu_a_deep_image_prior_makes_nearly_the_cpus_image(
    recon, scan, monkeypatch, exact  # noqa: F811
):
    few = partial(learned.deep_image_prior, first_steps=8, fit_steps=2)
    monkeypatch.setattr(learned, "deep_image_prior", few)
    ours, theirs = on_both(recon, "--algorithm", "dip", "--subsets", 4, "--iterations", 1)
    assert rms_difference(ours, theirs) < 0.02
