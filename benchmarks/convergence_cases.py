"""Scans that `countless benchmark convergence` reconstructs: what is minimised, and looked at.

All are of the demo scanner with fewer rings and radial bins, once simulated with time of flight;
without, the same counts are summed over its bins. The model has the simulation's own efficiencies,
attenuation, scatter and randoms: only how fast a minimum is reached is asked, not of what.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy import ndimage

from recon import AcquisitionModel, Grid, Scanner, SinogramProjector
from recon.algorithms import RelativeDifference, Subsets, kappa
from recon.algorithms.penalized import first_image, level
from recon.algorithms.subsets import divisor_nearest
from recon.corrections.attenuation import attenuate
from recon.field_of_view import image_grid, seen
from sim.acquire import draw, expect
from sim.catalogue import phantom
from sim.dose import Dose, at_dose
from sim.protocol import Protocol

PROTOCOL = Protocol(
    scanner=replace(Scanner.preset("demo"), rings=6, radial_bins=95), span=3,
    tof_mashing=5, split=1, photon_pairs=0,
)
VOXEL_MM = (6.0, 6.0, 6.25)
FINER = 2  # voxels of the phantom that is scanned, across one of the image
LOW = 10.0  # times fewer counts
STRENGTH = 0.005  # of the prior, in units of the first image's level
GAMMA, EPSILON = 2.0, 1e-3  # epsilon in units of the first image's largest value, as in PETRIC
LEAST_VOXELS = 4  # of a region to be looked at


@dataclass(frozen=True, kw_only=True)
class Object:
    """A phantom and the regions of it that are looked at.

    Attributes:
        kind: name of `sim.catalogue`.
        options: of it.
        background: region whose mean is the unit of all differences.
        regions: whose means are compared.
    """

    kind: str
    options: dict = field(default_factory=dict)
    background: str
    regions: tuple[str, ...]

    @cached_property
    def phantom(self):
        return phantom(self.kind, **self.options)


_ORGANS = ("lung", "blood", "myocardium", "spleen", "stomach wall", "lesion 1", "lesion 2",
           "lesion 3", "lesion 4")
TESTED = {
    "nema-iq": Object(kind="nema-iq", background="background", regions=(
        "lung insert", "sphere 17 mm", "sphere 22 mm", "sphere 28 mm", "sphere 37 mm")),
    "torso": Object(kind="person", options={"seed": 11, "arms": "up", "lesions": 4},
                    background="liver", regions=_ORGANS),
    "brain": Object(kind="brain", options={"seed": 11, "lesions": 2}, background="white matter",
                    regions=("frontal cortex", "temporal cortex", "occipital cortex",
                             "cerebellar grey", "right thalamus", "left putamen", "right caudate",
                             "lesion 1", "lesion 2")),
}
TUNED = {
    "spheres and rods": Object(
        kind="jaszczak", options={"contrast": 4.0}, background="background",
        regions=("rods 4.8 mm", "rods 12.7 mm", "sphere 19.1 mm", "sphere 25.4 mm",
                 "sphere 31.8 mm")),
    "other torso": Object(
        kind="person", options={"seed": 5, "arms": "up", "lesions": 4},
        background="liver", regions=_ORGANS),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A scan with its prior, the image to start from, and where images of it are compared.

    Attributes:
        name: of the object, counts and time of flight.
        model: AcquisitionModel of all views.
        prompts: counts.
        prior: RelativeDifference.
        start: (x, y, z), one pass of OSEM.
        level: of it, see `recon.algorithms.penalized.level`.
        whole: bool (x, y, z), the object.
        background: bool (x, y, z), the inside of a region.
        regions: dict from names to bool (x, y, z).
    """

    name: str
    model: AcquisitionModel
    prompts: np.ndarray
    prior: RelativeDifference
    start: np.ndarray
    level: float
    whole: np.ndarray
    background: np.ndarray
    regions: dict

    def described(self):
        """What the case is, a dict for JSON."""
        return {
            "name": self.name, "bins": list(self.prompts.shape), "voxels": list(self.start.shape),
            "counts": float(self.prompts.sum(dtype=np.float64)), "level": self.level,
            "beta": self.prior.strength, "gamma": self.prior.gamma, "epsilon": self.prior.epsilon,
            "regions": {name: int(mask.sum()) for name, mask in self.regions.items()},
            "background_voxels": int(self.background.sum()),
        }


def cases(name, thing, wanted, seed):
    """The Cases of one Object.

    Args:
        name: of the object.
        thing: Object.
        wanted: pairs of counts are low, time of flight.
        seed: of the simulation and of its noise.
    Yields:
        Case.
    """
    layout = PROTOCOL.layout
    grid = image_grid(layout, voxel_mm=VOXEL_MM)[0]
    fine = Grid.centred(shape=[FINER * n for n in grid.shape],
                        voxel_mm=[side / FINER for side in grid.voxel_mm])
    images = thing.phantom.images(fine, 2, ("activity", "mu_per_cm"))
    expected = expect(images["activity"], images["mu_per_cm"], fine, PROTOCOL,
                      isotope=thing.phantom.isotope, rng=np.random.default_rng(seed))
    places = looked_at(thing, grid)
    for low, tof in wanted:
        scan = at_dose(expected, Dose(factor=LOW)) if low else expected
        prompts = draw(scan, np.random.default_rng((seed, low))).prompts
        factors = scan.efficiency.copy()
        attenuate(factors, images["mu_per_cm"], fine, layout)
        background = scan.scatter + scan.randoms
        if not tof:
            prompts, background = (part.sum(axis=2) for part in (prompts, background))
        projector = SinogramProjector(layout if tof else layout.without_tof(), grid)
        model = AcquisitionModel(projector, factors=factors, background=background)
        told = f"{name}, {'low' if low else 'normal'} counts, {'with' if tof else 'no'} TOF"
        yield _case(told, model, prompts, grid, seen(grid, layout), places)


def _case(name, model, prompts, grid, inside, places):
    data = Subsets(model, prompts, divisor_nearest(len(prompts)))
    start = first_image(data, inside=inside).copy()
    prior = RelativeDifference(
        grid, strength=STRENGTH * level(start), gamma=GAMMA, epsilon=EPSILON * float(start.max()),
        kappa=kappa(data, start),
    )
    return Case(name=name, model=model, prompts=prompts, prior=prior, start=start,
                level=level(start), **places)


def looked_at(thing, grid):
    """Where images of an Object are compared: dict of whole, background and regions.

    The background is a voxel away from other regions. Regions of fewer than LEAST_VOXELS voxels in
    the images, or none, are left out.
    """
    labels = thing.phantom.images(grid, names=("labels",))["labels"]

    def region(name):
        return labels == thing.phantom.names.index(name) + 1

    regions = {name: region(name) for name in thing.regions if name in thing.phantom.names}
    return {
        "whole": labels > 0, "background": ndimage.binary_erosion(region(thing.background)),
        "regions": {name: mask for name, mask in regions.items() if mask.sum() >= LEAST_VOXELS},
    }
