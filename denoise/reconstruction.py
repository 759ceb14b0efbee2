"""Learned algorithms of `countless recon`: unrolled networks, plug-and-play, deep image prior."""

import inspect
import sys
from copy import copy

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from denoise.channels import CT_HU
from denoise.checkpoint import load_denoiser
from denoise.domain import outside
from denoise.inference import denoise
from denoise.network_input import check_ct, check_rule, check_voxels
from denoise.shipped import find_model, shipped
from denoise.unet import UNet
from denoise.unrolled import layers
from recon import backend, learned, text
from recon.algorithms import Subsets
from recon.algorithms.penalized import first_image
from recon.algorithms.subsets import divisor_nearest
from recon.io.provenance import sha256
from recon.learned.autograd import as_array
from recon.method import UNROLLED
from sim.dataset_file import layout_from

LIMITS = "not for clinical use: a network can erase lesions; look at an image without one beside it"
STRENGTH = 0.1  # of pnp and dip, by default


def find_algorithm(algorithm, *, model=None, network=None, strength=None):
    """What makes images by a learned algorithm, for `recon.method.Method`.

    Args:
        algorithm: out of `recon.method.LEARNED`.
        model: file or name of a trained network; None for the one that comes with Countless.
        network: import path of the model's network, where it is the user's own.
        strength: of pnp and dip.
    Raises:
        FileError: the model cannot be read, or is of another kind.
        ValueError: a setting does not go with the algorithm.
    """
    if algorithm in UNROLLED:
        if strength is not None:
            raise ValueError(
                f"--strength takes pnp or dip, for {algorithm} has learned its own, got "
                f"{strength:g}; leave it out"
            )
        if not model and algorithm not in shipped(reconstruct=True):
            raise ValueError(
                f"--algorithm {algorithm} takes a trained network, and none comes with Countless; "
                f"`countless train study --unrolled {algorithm} -o run` makes run/model.pt of a "
                "study with `keep_scans: true`; give it by --model"
            )
        return UnrolledNetwork(algorithm, find_model(model or algorithm), network)
    if strength is None:
        strength = STRENGTH
    elif not 0 <= strength < np.inf:
        raise ValueError(f"--strength takes a number of 0 or more, got {strength:g}")
    if algorithm == "pnp":
        return PlugAndPlay(find_model(model), network, strength)
    if model or network:
        raise ValueError("--model takes an algorithm with a trained network, and dip fits one to "
                         "this scan alone; leave it out")
    return DeepImagePrior(strength)


class UnrolledNetwork:
    """An unrolled network's reconstruction, an image after each block."""

    blocks = True

    def __init__(self, algorithm, path, network):
        self.path, self.denoiser = path, load_denoiser(path, network, reconstructs=True)
        self.settings = self.denoiser.settings
        check_rule(self.settings["scaling"])
        self.said = self.settings["unrolled"]
        if self.said["kind"] != algorithm:
            raise ValueError(f"--algorithm takes {self.said['kind']} with {path}, got {algorithm}")
        self.passes = self.said["blocks"]
        self.name = {"fbsem": "FBSEM-like network"}.get(algorithm, f"{algorithm} network")
        self.words = (
            f"{path.name}, {text.plural(self.passes, 'block')} of "
            f"{text.plural(self.said['updates'], 'update')} of "
            f"{text.plural(self.said['subsets'], 'subset')}; {LIMITS}"
        )

    def kept(self, subsets):
        """Images and sinograms: sensitivities and features, copies of the data in subsets."""
        width = self.settings["arguments"].get("width", 16)
        dual = 40 if self.said["kind"] == "primal-dual" else 0  # features of bins
        return 12 + self.said["subsets"] + 5 * width, 3 + dual

    def check_anatomy(self, anatomy):
        """Refuses no CT where the network sees one, or one where it does not."""
        _check_ct(self.settings, anatomy, self.path)

    def check(self, grid, layout, device):
        """Refuses what the network cannot serve.

        Args:
            grid: Grid of the image.
            layout: SinogramLayout of the scan.
            device: "cpu" or "cuda".
        Raises:
            ValueError: other voxels, bins that a network for sinograms was not trained on, or a GPU
                that torch does not see.
        """
        check_voxels(grid, self.settings["voxel_mm"])
        _check_device(device)
        trained = self.said.get("layout")
        if trained is not None and layout_from(trained) != layout:
            raise ValueError(
                f"{self.path} is a network for the sinograms of {trained['scanner']['name']}, of "
                f"{trained['views']} views, {trained['radial_bins']} radial bins and "
                f"{text.plural(trained['tof_bins'], 'time-of-flight bin')}, got "
                f"{layout.scanner.name}, {text.layout(layout)}; train one with such scans, or take "
                "an fbsem network, which serves any"
            )

    def images(self, data, first, anatomy, said):
        """Yields the image after each block, see `recon.method.Method.images`."""
        number = divisor_nearest(data.model.data_shape[0], self.said["subsets"])
        own = Subsets(data.model, data.all_prompts, number, kept_bytes=data.kept_bytes)
        ct = _ct(anatomy) if "ct" in self.settings["inputs"] else None
        given, found = layers(own, first_image(own, **first), ct=ct)
        grid, scanner = data.model.projector.grid, data.model.projector.layout.scanner.name
        warnings = outside(self.settings, found.scaling, grid.voxel_mm, scanner=scanner)
        blur = data.model.blur
        psf_mm = blur.fwhm_mm if blur else (0.0, 0.0, 0.0)
        if {*psf_mm} != {self.said["psf_mm"]}:
            warnings.append(
                f"the network was trained with a point spread of {self.said['psf_mm']:g} mm in the "
                f"model, and this has {text.widths(psf_mm)}: give --psf-mm "
                f"{self.said['psf_mm']:g}"
            )
        if number != self.said["subsets"]:
            warnings.append(
                f"the network was trained with {self.said['subsets']} subsets, which do not divide "
                f"this scan's views: {number} were taken"
            )
        said |= {"scaling": {"level": found.scaling.level, "noise": found.scaling.noise},
                 "subsets": number, "warnings": warnings}
        network = self.denoiser.network.to(given.start.device).eval()
        for image in torch.no_grad()(network.images)(given):
            yield as_array((image * given.level).contiguous())

    def told(self):
        """What the image's .json says of it."""
        return {"models": [_model(self.path, self.settings)], "limits": LIMITS}


class PlugAndPlay:
    """Plug-and-play with a trained denoiser."""

    # More passes, in which the network denoises what it denoised, take activity away.
    blocks, passes = False, 4

    def __init__(self, path, network, strength):
        self.path, self.strength = path, strength
        self.denoiser = load_denoiser(path, network)
        self.settings = self.denoiser.settings
        self.name = "plug-and-play"
        self.words = f"{path.name} with strength {strength:g}, once in each pass; {LIMITS}"

    def of_strength(self, strength):
        """The same with another strength."""
        other = copy(self)
        other.strength = strength
        return other

    def kept(self, subsets):
        """Images and sinograms: svrg's, and those of a denoiser's tiles."""
        return 20 + subsets, 0

    def check_anatomy(self, anatomy):
        """Refuses no CT where the network sees one, or one where it does not."""
        _check_ct(self.settings, anatomy, self.path)

    def check(self, grid, layout, device):
        """Refuses voxels that the network does not know, see `UnrolledNetwork.check`."""
        check_voxels(grid, self.settings["voxel_mm"])
        _check_device(device)

    def images(self, data, first, anatomy, said):
        """Yields the image after each update, see `recon.method.Method.images`."""
        grid, scanner = data.model.projector.grid, data.model.projector.layout.scanner.name
        device = "cuda" if backend.is_cuda(data.all_prompts) else "cpu"
        ct = None if anatomy is None else _ct(anatomy)

        def denoised(image):
            found = denoise(image, grid, self.denoiser, ct=ct, scanner=scanner, device=device,
                            progress=False)
            said["warnings"] = found.warnings
            return found.image

        start = first_image(data, **first)
        yield from learned.plug_and_play(data, denoised, start, strength=self.strength)

    def told(self):
        """What the image's .json says of it."""
        return {"models": [_model(self.path, self.settings)], "strength": self.strength,
                "limits": LIMITS}


class DeepImagePrior:
    """A U-Net that is fitted to one scan, and sees the CT where there is one."""

    blocks, passes, path, seed = False, 10, None, 1

    def __init__(self, strength):
        self.strength, self.name = strength, "deep image prior"
        self.network = {"width": 8, "levels": 3}
        self.words = (
            f"U-Net of width {self.network['width']}, strength {strength:g}; passes are the knob: "
            f"with more of them noise comes in; {LIMITS}"
        )

    def kept(self, subsets):
        """Images and sinograms: what gradients take of the network's features."""
        return 150, 0

    def check_anatomy(self, anatomy):
        """Takes a CT, or none."""

    def check(self, grid, layout, device):
        """Refuses a GPU that torch does not see, see `UnrolledNetwork.check`."""
        _check_device(device)

    def images(self, data, first, anatomy, said):
        """Yields the image after each update, see `recon.method.Method.images`."""
        guide = None if anatomy is None else _ct(anatomy)[None] / np.float32(CT_HU)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = _Image(**self.network)
        fit = self._defaults()
        said["fit"] = fit
        with tqdm(total=fit["first_steps"], desc="first fit", unit=" steps", delay=1,
                  file=sys.stderr, dynamic_ncols=True) as bar:
            made = learned.deep_image_prior(
                data, network, guide, first_image(data, **first), strength=self.strength,
                seed=self.seed, progress=lambda _: bar.update() if bar.n < bar.total else None,
            )
            first_one = next(made)
        yield first_one
        yield from made

    def _defaults(self):
        """Steps and rate of the fits, as they stand in `recon.learned.deep_image_prior`."""
        taken = inspect.signature(learned.deep_image_prior).parameters
        return {name: taken[name].default for name in ("first_steps", "fit_steps", "learning_rate")}

    def told(self):
        """What the image's .json says of it."""
        return {"network": {"name": "unet", **self.network}, "seed": self.seed,
                "strength": self.strength, "limits": LIMITS}


class _Image(nn.Module):
    """A U-Net whose answer is the image, and no correction of what it sees."""

    def __init__(self, **settings):
        super().__init__()
        self.unet = UNet(**settings)
        nn.init.normal_(self.unet.head.weight, std=0.05)  # at 0 nothing would be learned

    def forward(self, x):
        return self.unet(x, x.new_full((1,), 0.1)) - x[:, :1]


def _check_ct(settings, anatomy, path):
    sees = "ct" in settings["inputs"]
    if sees and not anatomy:
        raise ValueError(f"{path} takes a CT in HU beside the scan; give it by --anatomy")
    if anatomy and not sees:
        raise ValueError(f"{path} sees no CT, got --anatomy {anatomy}; leave it out")


def _ct(anatomy):
    """A CT in HU on the machine's own memory."""
    ct = backend.to_device(anatomy, "cpu")
    check_ct(ct)
    return ct


def _check_device(device):
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "a network takes a torch that sees the GPU, and this one does not; install a build of "
            "torch for your driver, or give --device cpu"
        )


def _model(path, settings):
    return {"path": str(path), "sha256": sha256(path), **settings}
