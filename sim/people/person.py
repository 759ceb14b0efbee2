"""A person: all organs of a random body, with a tracer in them."""

from functools import partial

import numpy as np

from sim.materials import MATERIALS
from sim.people.anatomy import Anatomy
from sim.people.belly import add_abdomen, add_bowel, add_pelvic_organs, add_upper_abdomen
from sim.people.chest import add_breasts, add_heart, add_lungs, add_vessels
from sim.people.fields import SmoothField
from sim.people.habitus import draw_habitus
from sim.people.head import add_head
from sim.people.outline import DOME, draw_outline
from sim.people.skeleton import add_chest_bones, add_limb_bones, add_pelvis, add_spine
from sim.people.surfaces import Between, Common, Grown, Sheets
from sim.phantoms import Phantom, Region
from sim.uptake import bq_per_ml, draw_suv, tracer as find_tracer, variation

PARTS = {"torso": (212.0, 985.0), "whole-body": (-np.inf, np.inf)}  # depths below the head's top
SKIN = 1.8  # thickness in mm

# Region: what it is made of, and whose uptake it has where that has another name.
TISSUES = {
    "fat": ("fat", None), "mediastinum": ("fat", "fat"), "abdominal fat": ("fat", "fat"),
    "yellow marrow": ("fat", None), "muscle": ("muscle", None), "tongue": ("muscle", None),
    "lung": ("lung", None), "air": ("air", None), "blood": ("blood", None),
    "marrow": ("marrow", None), "bone": ("bone", None), "csf": ("water", None),
    "eye": ("water", None), "stomach content": ("water", None), "gallbladder": ("water", None),
    "urine": ("water", None), "renal pelvis": ("water", None), "ureter": ("water", None),
}  # fmt: skip


def anatomy(rng, habitus):
    """All of a person but lesions: an Anatomy, from a Generator and a Habitus."""
    outline = draw_outline(rng, habitus)
    body = Anatomy(outline=outline, rng=rng)
    skin = outline.skin()
    body.add("skin", skin)
    body.add("fat", Grown(solid=skin, by_mm=-SKIN))
    add_breasts(body)
    muscle = outline.muscle()
    body.add("muscle", muscle)
    sheets = Sheets(field=SmoothField.draw(rng, (34.0, 34.0, 110.0), (24, 24, 24)), part=0.07)
    body.add("fat", Common(parts=(Grown(solid=muscle, by_mm=-5.0), sheets)))
    add_lungs(body)
    room = add_abdomen(body)
    add_bowel(body, room)
    add_pelvic_organs(body)
    add_upper_abdomen(body, room)
    add_heart(body)
    add_vessels(body)
    add_chest_bones(body)
    add_pelvis(body)
    add_limb_bones(body)
    add_spine(body)
    add_head(body)
    return body


def person(seed, *, tracer="FDG", part="torso", sex=None, height_cm=None, weight_kg=None,
           arms=None, lesions=None, breathing_mm=0.0):
    tracer = find_tracer(tracer)
    rng, shape_rng, uptake_rng, field_rng = np.random.default_rng(seed).spawn(4)
    habitus = draw_habitus(rng, sex=sex, height_cm=height_cm, weight_kg=weight_kg, arms=arms)
    body = anatomy(shape_rng, habitus)
    suv = draw_suv(uptake_rng, tracer)
    unit = bq_per_ml(tracer, uptake_rng, habitus.weight_kg)
    z_mm = tuple((d - DOME) * body.frame.tall for d in PARTS[part])
    regions = []
    for name, solid in body.parts:
        material, uptake = TISSUES.get(name, ("soft tissue", None))
        uptake = uptake or name
        low, high = solid.extent[2]
        if high <= z_mm[0] or low >= z_mm[1]:
            continue
        if low < z_mm[0] or high > z_mm[1]:
            solid = Between(solid=solid, z_mm=z_mm)
        regions.append(Region(name=name, solid=solid, activity_bq_ml=suv[uptake] * unit,
                              material=MATERIALS[material], texture=variation(uptake)))
    return Phantom(name="person", regions=tuple(regions), isotope=tracer.isotope,
                   tracer=tracer.name, seed=seed,
                   texture=SmoothField.draw(field_rng, 22.0, (32, 32, 96)))
