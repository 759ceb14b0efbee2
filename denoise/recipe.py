"""How a network is trained: all settings that its weights depend on, as values."""

import math
from dataclasses import asdict, dataclass

from denoise.networks import NETWORKS
from recon.config import nearest
from recon.method import UNROLLED

TARGETS = ("standard", "truth", "noise2noise")
LOSSES = ("l2", "l1")
LEAST_SIDE = 4  # voxels of a patch along an axis that a discriminator sees


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a training is made by, beside the studies.

    Attributes:
        seed: of the weights before training and of all that is drawn.
        network: name or import path (`denoise.networks`).
        width, levels, dimensions, slices, keeps, fusion: of the networks that take them
            (`denoise.networks.NETWORKS`), as `denoise.unet.UNet` says.
        network_settings: keyword arguments of a network given by its import path.
        unrolled: out of `recon.method.UNROLLED` for a network inside a reconstruction, which
            learns from scans and not from images; None for one that denoises images.
        blocks, updates, shared: of it (`recon.learned.Unrolled`); `shared` says that its blocks
            have one network.
        subsets: of the scans' views; None for those that the first study's images were made with,
            1 for primal-dual.
        apart: whether each block learns by itself, rather than all from the last image.
        recompute: whether blocks are computed again for gradients, to save memory.
        ct: whether the network sees the CT beside the low-dose image.
        target: "standard" for the standard-dose image, "truth", or "noise2noise" for another scan
            at the same low dose (Lehtinen et al., ICML 2018), which takes no better image.
        loss: "l2", whose best answer is the mean of what may be the truth, or "l1", whose is the
            median.
        voxel_mm: sides of the network's voxels, to which images of others are resampled; None for
            those of the first study.
        structural: weight of 1 - SSIM (`denoise.losses.ssim`) beside it; 0 for none.
        adversarial: weight of what a discriminator's judgement adds (`denoise.discriminator`);
            0 for none. At balance the judgement is 1 / 8: 0.01 adds about 0.001 to an l2 loss of
            some 0.01 to 0.05.
        patch: voxels along x, y and z.
        flips: whether patches are turned over along each axis, by chance.
        rotate_degrees: most that a patch is rotated by, about z.
        rotated: part of the patches that are; interpolation makes noise smoother, so not all.
        intensity: most that values are scaled by, as a part of them, up or down.
        epochs: how often the network is validated and saved.
        patches: in an epoch.
        batch: patches in a step, on each device; None for 4, and for 1 of an unrolled network.
        learning_rate: at its highest, after `warmup`; a cosine leads it to 0 at the end.
        warmup: part of the steps in which it rises.
        weight_decay: of AdamW.
        clip: norm that gradients are clipped to.
        average: decay of the moving average of weights, which is what is validated and kept.
        validation_patches: of the validation's phantoms, the same after each epoch.
        patience: epochs without improvement after which training ends; 0 for never.
    """

    seed: int = 1
    network: str = "unet"
    width: int = 16
    levels: int = 3
    dimensions: int = 3
    slices: int = 1
    keeps: str = "nothing"
    fusion: str = "early"
    network_settings: dict | None = None
    unrolled: str | None = None
    blocks: int = 3
    updates: int = 4
    shared: bool = True
    subsets: int | None = None
    apart: bool = False
    recompute: bool = False
    ct: bool = False
    target: str = "standard"
    loss: str = "l2"
    voxel_mm: tuple[float, float, float] | None = None
    structural: float = 0.0
    adversarial: float = 0.0
    patch: tuple[int, int, int] = (48, 48, 48)
    flips: bool = True
    rotate_degrees: float = 10.0
    rotated: float = 0.25
    intensity: float = 0.2
    epochs: int = 60
    patches: int = 256
    batch: int | None = None
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.998
    validation_patches: int = 32
    patience: int = 0

    def __post_init__(self):
        if self.batch is None:
            object.__setattr__(self, "batch", 1 if self.unrolled else 4)
        for name, known in (("target", TARGETS), ("loss", LOSSES)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} takes {', '.join(known)}, got {value!r}; "
                                 f"{nearest(value, known)}")
        for name in ("epochs", "batch", "validation_patches"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} takes a whole number from 1, got {getattr(self, name)}"
                )
        if self.patches < self.batch:
            raise ValueError(
                f"patches takes at least a batch, {self.batch}, got {self.patches}; an epoch is "
                "made of whole batches"
            )
        if len(self.patch) != 3 or min(self.patch) < 1:
            raise ValueError(f"patch takes three numbers of voxels from 1, got {self.patch}")
        if self.voxel_mm and (len(self.voxel_mm) != 3 or min(self.voxel_mm) <= 0):
            raise ValueError(f"voxel_mm takes three sides above 0, got {self.voxel_mm}")
        self._check_network()
        if self.unrolled:
            self._check_unrolled()
        ours, what = (_OF_PATCHES, "patches, and an unrolled network learns from scans") if (
            self.unrolled) else (_OF_UNROLLED, "unrolled networks, and this one denoises images")
        for name in ours:
            if getattr(self, name) != getattr(Recipe, name):
                raise ValueError(f"{name} is a setting of {what}; leave it out")
        if self.slices > self.patch[2]:
            raise ValueError(
                f"patch takes at least the {self.slices} slices along z that the network sees, got "
                f"{self.patch}"
            )
        if self.adversarial:
            self._check_adversarial()
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name} takes a number from {least:g} to {most:g}, got {value:g}")
        if self.learning_rate <= 0 or self.clip <= 0:
            raise ValueError(
                f"learning_rate and clip take numbers above 0, got {self.learning_rate:g} and "
                f"{self.clip:g}"
            )

    def _check_network(self):
        takes = _settings_of(self.network)
        for name in sorted(_OF_NETWORKS - set(takes)) if takes else ():
            if getattr(self, name) != getattr(Recipe, name):
                others = [each for each in (*NETWORKS, _PATH) if name in _settings_of(each)]
                raise ValueError(
                    f"{name} is a setting of {', '.join(others)}, and {self.network} takes "
                    f"{', '.join(takes)}; leave it out"
                )
        if self.fusion != "early" and not self.ct:
            raise ValueError(
                f"fusion {self.fusion} takes a CT beside the image, got ct false; give ct as well"
            )

    def _check_unrolled(self):
        if self.unrolled not in UNROLLED:
            raise ValueError(f"unrolled takes {', '.join(UNROLLED)}, got {self.unrolled!r}; "
                             f"{nearest(self.unrolled, UNROLLED)}")
        for name in ("blocks", "updates", "subsets"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} takes a whole number from 1, got {value}")
        for name, takes, why in (
            ("batch", 1, "a step takes a whole scan"),
            ("voxel_mm", None, "its voxels are those of the studies' images"),
            ("adversarial", 0, "it takes no discriminator"),
        ):
            if getattr(self, name) != takes:
                raise ValueError(f"unrolled takes {name} {takes}, got {getattr(self, name)}; {why}")
        if self.target == "noise2noise":
            raise ValueError("unrolled takes target standard or truth, got noise2noise")
        if self.unrolled == "primal-dual":
            for name, takes in (("subsets", (None, 1)), ("updates", (Recipe.updates,))):
                if getattr(self, name) not in takes:
                    raise ValueError(f"primal-dual takes all data at once, got {name} "
                                     f"{getattr(self, name)}; leave it out")

    def _check_adversarial(self):
        if self.target == "noise2noise":
            raise ValueError(
                "adversarial takes better images to judge by, got target noise2noise; give target "
                "standard or truth"
            )
        if self.patience:
            raise ValueError(
                f"adversarial takes patience 0, got {self.patience}: validation's error is least "
                "where the discriminator is heard least; leave patience out"
            )
        if min(self.patch[:self.dimensions]) < LEAST_SIDE:
            raise ValueError(
                f"adversarial takes a patch of {LEAST_SIDE} voxels along each axis or more, got "
                f"{self.patch}"
            )

    @property
    def terms(self):
        """The loss's terms, and the discriminator's own, with their weights."""
        found = {"loss": 1.0}
        if self.structural:
            found["structural"] = self.structural
        if self.adversarial:
            found |= {"adversarial": self.adversarial, "discriminator": 1.0}
        return found

    @property
    def kept(self):
        """Which average of weights is kept: "best" by validation's error, or the "last".

        A discriminator makes that error larger, so the best would be the one that heeds it least.
        """
        return "last" if self.adversarial else "best"

    @property
    def arguments(self):
        """The network's settings, for `denoise.networks.network`."""
        if self.network not in NETWORKS:
            return dict(self.network_settings or {})
        takes = _settings_of(self.network)
        return {"inputs": self.channels} | {name: getattr(self, name) for name in takes}

    @property
    def channels(self):
        """How many the network sees."""
        return 1 + self.ct + (self.unrolled == "primal-dual")

    @property
    def unrolling(self):
        """How networks are unrolled, for `denoise.unrolled.made`; None of a denoiser."""
        if not self.unrolled:
            return None
        updates = 1 if self.unrolled == "primal-dual" else self.updates
        return {"kind": self.unrolled, "blocks": self.blocks, "updates": updates,
                "shared": self.shared, "subsets": self.subsets}

    @property
    def inputs(self):
        """Names of the network's channels."""
        return ("low", "ct") if self.ct else ("low",)

    def rate(self, step, steps):
        """Part of the learning rate in a step, from 0, of so many."""
        warm = self.warmup * steps
        if step < warm:
            return (step + 1) / (warm + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))

    def settings(self):
        """All settings as a YAML file holds them."""
        sides = self.voxel_mm and list(self.voxel_mm)
        return asdict(self) | {"patch": list(self.patch), "voxel_mm": sides}


_OF_PATCHES = ("patch", "flips", "rotate_degrees", "rotated", "intensity")
_OF_UNROLLED = ("blocks", "updates", "shared", "subsets", "apart", "recompute")
_PATH = "package.module:Class"  # of a network of the user's own


def _settings_of(network):
    """Names of the settings that a network takes; none of a name that is not known."""
    if ":" in network:
        return ("network_settings",)
    return NETWORKS[network][1] if network in NETWORKS else ()


_OF_NETWORKS = {name for each in (*NETWORKS, _PATH) for name in _settings_of(each)}
_RANGES = (
    ("seed", 0, 2**63 - 1), ("rotate_degrees", 0, 45), ("rotated", 0, 1), ("intensity", 0, 0.9),
    ("learning_rate", 0, 1), ("warmup", 0, 0.5), ("weight_decay", 0, 1), ("average", 0, 0.99999),
    ("patience", 0, 10**9), ("structural", 0, 1000), ("adversarial", 0, 1000),
)
