"""Deep image prior: an image that a network makes, which is trained on this one scan alone.

Ulyanov, Vedaldi & Lempitsky, CVPR 2018; in reconstruction Gong, Catana, Qi & Li, IEEE TMI 38(7),
2019, here with a penalty alone, without their multipliers.
"""

import copy
import itertools
import math

import numpy as np
import torch

from recon import backend
from recon.algorithms.penalized import Diverged, first_image, level, mapem
from recon.algorithms.priors import kappa
from recon.learned.autograd import as_array, as_tensor
from recon.learned.plug_and_play import Pull

# What the learning rate falls to in the first fit. With more, Adam leaps as each pass moves what is
# fitted, and the image with it.
LAST = 0.1


def deep_image_prior(data, network, guide=None, start=None, *, strength=0.1, first_steps=300,
                     fit_steps=30, learning_rate=3e-3, seed=0, progress=lambda loss: None):
    """Yields the image that a network makes of a guide, after each update of what it is fitted to.

    A network learns what is regular in an image before it learns the noise. It is fitted to the
    first image; each pass then updates that image by `mapem` with a `Pull` towards the network's,
    and fits the network to it further, from where it was. Nothing ends this by itself: with every
    pass, and with more steps, more of the noise comes in, so passes are the knob, as in OSEM.

    Args:
        data: Subsets.
        network: torch.nn.Module from (1, channels, x, y, z) to (1, 1, x, y, z), with the weights to
            begin with. A copy is trained, in training mode.
        guide: what the network sees, CT for instance: (channels, x, y, z) of values about 1. By
            default noise, in one channel.
        start: first image (x, y, z), not negative; one pass of OSEM by default.
        strength: of the pull, without a unit, the same for any dose.
        first_steps, fit_steps: of Adam, by which the network is fitted at first, and in each pass.
        learning_rate: of Adam, for images in units of the first one's `level`: falls to a tenth in
            the first fit, and stays there.
        seed: of the noise in place of a guide, and of what the network draws, as for dropout. One
            gives one image on a CPU, with other numbers of threads to within torch's rounding.
        progress: called at each step of a fit with the loss, a float.
    Yields:
        The network's image (x, y, z), float32, 0 where it is negative, where the data live. The
        last update of a pass brings a new one, until then it is the one before.
    Raises:
        ValueError: shapes that do not fit, numbers that cannot be, a first image without activity.
        Diverged: the network's image is not finite.
    """
    _check(first_steps, fit_steps, learning_rate)
    image = first_image(data, start)
    pull = Pull(strength, kappa(data, image))
    fit = _Fit(network, guide, image, learning_rate, seed, progress)
    pull.target = fit(image, first_steps)
    images = mapem(data, pull, image)
    while True:
        for number, image in enumerate(itertools.islice(images, data.number), 1):
            if number == data.number:
                pull.target = fit(image, fit_steps)
            yield pull.target


def _check(first_steps, fit_steps, learning_rate):
    for name, steps in (("first_steps", first_steps), ("fit_steps", fit_steps)):
        if steps < 1:
            raise ValueError(f"{name} takes 1 step or more, got {steps}")
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate takes a number above 0, got {learning_rate:g}")


class _Fit:
    """A network that learns images, in units of the first one's level, and what it draws from."""

    def __init__(self, network, guide, image, learning_rate, seed, progress):
        self.unit, self.progress, self.fits, self.seed = level(image), progress, 0, seed
        if not self.unit > 0:
            raise ValueError(
                "deep_image_prior takes a first image with activity, got one of zeros; are there "
                "counts above the background?"
            )
        device = as_tensor(image).device
        layout = torch.channels_last_3d  # twice as fast where channels are few
        self.guide = _guide(guide, image.shape, seed)[None].to(device, memory_format=layout)
        self.network = copy.deepcopy(network).to(device, memory_format=layout)
        self.network.train().requires_grad_()
        self.adam = torch.optim.Adam(self.network.parameters())
        self.learning_rate = learning_rate

    def __call__(self, image, steps):
        """Fits the network to an image, and returns what it makes then."""
        target = as_tensor(image) / self.unit
        # Seeded anew each time: between updates the caller's random numbers are the caller's.
        with torch.random.fork_rng(range(torch.cuda.device_count())), torch.enable_grad():
            torch.manual_seed(self.seed + self.fits)
            self.fits += 1
            for step in range(steps):
                if self.fits == 1:
                    self.adam.param_groups[0]["lr"] = self.learning_rate * LAST ** (step / steps)
                loss = torch.mean((self._answer() - target) ** 2)
                self.adam.zero_grad()
                loss.backward()
                self.adam.step()
                self.progress(self._finite(loss.item()))  # a GPU has its work before it is asked
            found = self._answer().detach()
            self._finite(found.sum(dtype=torch.float64).item())
        return as_array((self.unit * found.clamp(min=0)).contiguous())

    def _answer(self):
        found = self.network(self.guide)
        if found.shape != (1, 1, *self.guide.shape[2:]):
            raise ValueError(
                f"deep_image_prior takes a network from {tuple(self.guide.shape)} to "
                f"{(1, 1, *self.guide.shape[2:])}, got {tuple(found.shape)}"
            )
        return found[0, 0]

    def _finite(self, number):
        if not math.isfinite(number):
            raise Diverged(
                "the network's fit blew up; take a lower learning rate than "
                f"{self.learning_rate:g}"
            )
        return number


def _guide(guide, shape, seed):
    """The guide as a tensor (channels, x, y, z), or noise."""
    if guide is None:
        noise = np.random.default_rng(seed).standard_normal((1, *shape), dtype=np.float32)
        return torch.from_numpy(noise)
    if guide.ndim != 4 or guide.shape[1:] != shape:
        raise ValueError(
            f"guide takes shape (channels, {', '.join(map(str, shape))}) like the image, got "
            f"{guide.shape}; put it onto the grid by recon.resampling.resample"
        )
    guide = np.ascontiguousarray(backend.to_device(guide, "cpu"), np.float32)
    if not np.isfinite(guide).all():
        raise ValueError("guide takes finite values, got NaN or infinite ones; fill them in")
    return torch.from_numpy(guide)
