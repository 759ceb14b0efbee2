"""Learned algorithms of `countless recon`: unrolled networks, plug-and-play, deep image prior."""

import sys
from copy import copy
from dataclasses import asdict

import numpy as np
from tqdm import tqdm

from denoise import unrolled as layers_of
from denoise.channels import CT_HU
from denoise.domain import outside
from denoise.network_input import check_voxels
from denoise.shipped import find_model, shipped
from recon import backend, text
from recon.algorithms import Subsets
from recon.algorithms.subsets import divisor_nearest
from recon.io.provenance import plain, sha256
from recon.method import UNROLLED

LIMITS = "not for clinical use: a network can erase lesions; look at an image without one beside it"
STRENGTH = 0.1  # of pnp and dip, by default


def learned(algorithm, *, model=None, network=None, strength=None):
    """What makes images by a learned algorithm, for `recon.method.Method`.

    Args:
        algorithm: out of `recon.method.LEARNED`.
        model: file or name of a trained network; None for the one that comes with Countless.
        network: import path of the model's network, where it is the user's own.
        strength: of pnp and dip.
    Raises:
        FileError: the model cannot be read, or is of another algorithm.
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

    subsets = 1  # as `recon.plan` counts updates: a block is one

    def __init__(self, algorithm, path, network):
        from denoise.checkpoint import load_denoiser

        self.path, self.denoiser = path, load_denoiser(path, network, reconstructs=True)
        self.settings = self.denoiser.settings
        self.said = self.settings["unrolled"]
        if self.said["kind"] != algorithm:
            raise ValueError(f"--algorithm takes {self.said['kind']} with {path}, got {algorithm}")
        self.passes = self.said["blocks"]
        # Sensitivities, and features of the network: at full resolution five times its width.
        width = self.settings["arguments"].get("width", 16)
        self.kept = 12 + self.said["subsets"] + 5 * width
        self.name = {"fbsem": "FBSEM-like network"}.get(algorithm, f"{algorithm} network")
        self.words = (
            f"{path.name}, {text.plural(self.passes, 'block')} of "
            f"{text.plural(self.said['updates'], 'update')} of {self.said['subsets']} subsets; "
            f"{LIMITS}"
        )

    def check_anatomy(self, anatomy):
        _check_ct(self.settings, anatomy, self.path)

    def check(self, plan):
        """Refuses a `recon.plan.Plan` whose scan or image the network cannot serve.

        Raises:
            ValueError: other voxels, or bins that a network for sinograms was not trained on.
        """
        check_voxels(plan.grid, self.settings["voxel_mm"])
        layout = plan.measurement.layout
        trained = self.said.get("layout")
        if trained is not None and trained != plain(asdict(layout)):
            raise ValueError(
                f"{self.path} is a network for the sinograms of {trained['scanner']['name']} of "
                f"{trained['views']} views, {trained['radial_bins']} radial bins and "
                f"{trained['tof_bins']} time-of-flight bins, got {text.layout(layout)} of "
                f"{layout.scanner.name}; train one with such scans, or take an fbsem network, "
                "which serves any"
            )

    def images(self, data, first, anatomy, said):
        """Yields the image after each block, see `recon.method.Method.images`."""
        import torch

        from recon.learned.autograd import as_array

        number = divisor_nearest(data.model.data_shape[0], self.said["subsets"])
        own = Subsets(data.model, data.all_prompts, number)
        start = first["start"] if "start" in first else layers_of.first(own)
        layers, found = layers_of.layers(own, start, ct=_ct(self.settings, anatomy))
        said["scaling"] = {"level": found.scaling.level, "noise": found.scaling.noise}
        grid, scanner = data.model.projector.grid, data.model.projector.layout.scanner.name
        said["warnings"] = outside(self.settings, found.scaling, grid.voxel_mm, scanner=scanner)
        if number != self.said["subsets"]:
            said["warnings"].append(
                f"the network was trained with {self.said['subsets']} subsets, which do not divide "
                f"this scan's views: {number} were taken"
            )
        network = self.denoiser.network.to(layers.start.device).eval()
        with torch.no_grad():
            for image in network.images(layers):
                yield as_array((image * layers.level).contiguous())

    def told(self):
        """What the image's .json says of it."""
        return {"models": [{"path": str(self.path), "sha256": sha256(self.path), **self.settings}],
                "limits": LIMITS}


class PlugAndPlay:
    """Plug-and-play with a trained denoiser."""

    # More passes, in which the network denoises what it denoised, take activity away.
    subsets, passes, kept = None, 4, 14

    def __init__(self, path, network, strength):
        from denoise.checkpoint import load_denoiser

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

    def check_anatomy(self, anatomy):
        _check_ct(self.settings, anatomy, self.path)

    def check(self, plan):
        """Refuses a `recon.plan.Plan` of voxels that the network does not know."""
        check_voxels(plan.grid, self.settings["voxel_mm"])

    def images(self, data, first, anatomy, said):
        """Yields the image after each update, see `recon.method.Method.images`."""
        from denoise.inference import denoise
        from recon.learned import plug_and_play

        grid, scanner = data.model.projector.grid, data.model.projector.layout.scanner.name
        device = "cuda" if backend.is_cuda(data.all_prompts) else "cpu"
        ct = None if anatomy is None else backend.to_device(anatomy, "cpu")

        def denoised(image):
            found = denoise(image, grid, self.denoiser, ct=ct, scanner=scanner, device=device,
                            progress=False)
            said["warnings"] = found.warnings
            return found.image

        start = first["start"] if "start" in first else layers_of.first(data)
        yield from plug_and_play(data, denoised, start, strength=self.strength)

    def told(self):
        """What the image's .json says of it."""
        return {"models": [{"path": str(self.path), "sha256": sha256(self.path), **self.settings}],
                "strength": self.strength, "limits": LIMITS}


class DeepImagePrior:
    """A U-Net that is fitted to one scan, and sees the CT where there is one."""

    subsets, passes, kept, path, seed = None, 10, 24, None, 1

    def __init__(self, strength):
        self.network = {"width": 8, "levels": 3}
        self.strength, self.name = strength, "deep image prior"
        self.words = (
            f"U-Net of width {self.network['width']}, strength {strength:g}; passes are the knob: "
            f"with more of them noise comes in; {LIMITS}"
        )

    def check_anatomy(self, anatomy):
        """Any image will do, and none."""

    def check(self, plan):
        """Any scan will do."""

    def images(self, data, first, anatomy, said):
        """Yields the image after each update, see `recon.method.Method.images`."""
        import torch
        from torch import nn

        from denoise.unet import UNet
        from recon.learned import deep_image_prior

        guide = None if anatomy is None else backend.to_device(anatomy, "cpu")[None] / CT_HU

        class Image(nn.Module):
            """A U-Net whose answer is the image, and no correction of what it sees."""

            def __init__(self, unet):
                super().__init__()
                self.unet = unet

            def forward(self, x):
                return self.unet(x, x.new_full((1,), 0.1)) - x[:, :1]

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = Image(UNet(**self.network))
            nn.init.normal_(network.unet.head.weight, std=0.05)  # at 0 nothing would be learned
        start = first["start"] if "start" in first else layers_of.first(data)
        with tqdm(desc="first fit", unit=" steps", delay=1, file=sys.stderr,
                  dynamic_ncols=True) as bar:
            yield from deep_image_prior(data, network, guide, start, strength=self.strength,
                                        seed=self.seed, progress=lambda _: bar.update())

    def told(self):
        """What the image's .json says of it."""
        return {"network": {"name": "unet", **self.network}, "seed": self.seed,
                "strength": self.strength, "limits": LIMITS}


def _check_ct(settings, anatomy, path):
    """Refuses a network that sees a CT without one, and a CT for one that does not."""
    sees = "ct" in settings["inputs"]
    if sees and not anatomy:
        raise ValueError(f"{path} takes a CT in HU beside the scan; give it by --anatomy")
    if anatomy and not sees:
        raise ValueError(f"{path} sees no CT, got --anatomy {anatomy}; leave it out")


def _ct(settings, anatomy):
    return backend.to_device(anatomy, "cpu") if "ct" in settings["inputs"] else None
