"""A head with a folded brain, as brain PET sees it."""

import numpy as np

from recon.names import known_name
from sim.brain_anatomy import (
    DEEP,
    LOBES,
    NUCLEI,
    brainstem,
    callosum,
    lateral_ventricle,
    middle_ventricles,
)
from sim.brain_fields import LevelSet, Waves
from sim.brain_folding import CEREBRUM, GREY_MM, cortex, folia
from sim.brain_frame import Frame, Part
from sim.brain_head import surroundings, venous_sinuses
from sim.brain_lesions import KINDS, check_lesions, place_lesions
from sim.brain_uptake import ISOTOPE, TRACERS, bq_ml_per_suv, material, random_suv
from sim.phantoms import Phantom, Region
from sim.shapes import Intersection

TEXTURE = 0.05  # standard deviation of the activity within a tissue, relative
TEXTURE_MM = 25  # its wavelength


def brain(seed, *, tracer="FDG", disease=None, lesions=0, lesion=None):
    """The head of a random adult, with a folded cortex; z = 0 at the brain's middle.

    A seed's head is the same with every tracer, disease and lesion.

    Args:
        seed: of the random numbers.
        tracer: FDG, amyloid or FDOPA (`sim.brain_uptake`), in any case.
        disease: whether uptake is that of the disease that the tracer is used for (Alzheimer's for
            FDG, amyloid, Parkinson's for FDOPA); None for half of the seeds.
        lesions: how many, 0 to 12.
        lesion: focus (cortex that takes up less, as where epilepsy begins), tumour (hot), or None
            for either.
    Returns:
        Phantom; its name says whether the uptake is a disease's, and its lesions are named
        'lesion 1', 'lesion 2', …
    Raises:
        ValueError: an unknown tracer or kind of lesion, or lesions that do not fit.
    """
    tracer = known_name(tracer, TRACERS, "tracer takes")
    made = TRACERS[tracer]
    check_lesions(lesions, lesion)
    shape_rng, uptake_rng, lesion_rng = np.random.default_rng(seed).spawn(3)
    frame = Frame.random(shape_rng)
    around, room = surroundings(frame, shape_rng)
    fold = cortex(frame, shape_rng)
    outer, inner = (part(frame, fold, shape_rng) for part in (_cortex_parts, _inner_parts))

    scale = bq_ml_per_suv(made, frame.sex, uptake_rng)
    drawn = bool(uptake_rng.integers(2))
    diseased = drawn if disease is None else disease
    suv = random_suv(made, diseased, uptake_rng)
    around, outer, inner = (
        [
            Region(
                name=part.name,
                solid=part.solid,
                activity_bq_ml=float(scale * suv(part.tissue, part.side)),
                material=material(part.tissue),
                texture=TEXTURE,
            )
            for part in parts
        ]
        for parts in (around, outer, inner)
    )
    kinds = [lesion or KINDS[lesion_rng.integers(2)] for _ in range(lesions)]
    holes = [region.solid for region in inner if region.name in ("csf", "brainstem")]
    tumour = tuple(scale * value for value in made.tumour_suv)
    foci, tumours = place_lesions(kinds, outer, fold, room, holes, tumour, lesion_rng)
    return Phantom(
        name=f"brain, {made.disease}" if diseased else "brain",
        regions=(*around, *outer, *foci, *inner, *tumours),
        isotope=ISOTOPE,
        tracer=tracer,
        texture=Waves.random(uptake_rng, TEXTURE_MM),
        seed=seed,
    )


def _cortex_parts(frame, fold, rng):
    # Each lobe fills its hull down to the middle; what lies deeper covers it.
    pia = LevelSet(field=fold)
    wavy = Waves.random(rng, 30)
    parts = []
    for lobe, bound in LOBES.items():
        within = frame.solid(lambda u, bound=bound: bound(u) + 4 * wavy(*u), CEREBRUM, step_mm=3)
        parts.append(Part(tissue=lobe, solid=Intersection(solids=(pia, within))))
    return parts


def _inner_parts(frame, fold, rng):
    leaves = folia(frame, rng)
    parts = [
        Part(tissue="white matter", solid=LevelSet(field=fold, level=GREY_MM)),
        Part(tissue="white matter", solid=frame.solid(callosum, ((-14, 14), (-54, 34), (-24, 20)))),
        Part(tissue="cerebellar grey", solid=LevelSet(field=leaves)),
        Part(tissue="cerebellar white", solid=LevelSet(field=leaves, level=GREY_MM)),
        Part(tissue="brainstem", solid=frame.solid(brainstem, ((-22, 22), (-14, 46), (-2, 150)))),
    ]
    for name, shape in NUCLEI:
        parts += frame.pair(name, shape, DEEP, grown_mm=rng.normal(0, 0.15) + rng.normal(0, 0.1, 2))
    wide = rng.normal(0, 0.6) + rng.normal(0, 0.2, 2)  # ventricles differ most of all
    for part in frame.pair("csf", lateral_ventricle, DEEP, grown_mm=wide):
        parts.append(Part(tissue="csf", solid=part.solid))
    middle = frame.solid(middle_ventricles, ((-8, 8), (-20, 36), (-4, 60)), step_mm=1)
    veins = frame.solid(venous_sinuses, ((-64, 64), (-96, 96), (-74, 44)))
    return [*parts, Part(tissue="csf", solid=middle), Part(tissue="blood", solid=veins)]
