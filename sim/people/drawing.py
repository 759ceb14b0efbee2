"""A person drawn at random: all organs, the tracer in them, lesions."""

from dataclasses import fields, replace

import numpy as np

from sim.materials import MATERIALS
from sim.numbers import check_number, check_seed
from sim.people.anatomy import Anatomy
from sim.people.belly import add_abdomen, add_bowel, add_pelvic_organs, add_upper_abdomen
from sim.people.chest import add_breasts, add_heart, add_lungs, add_vessels
from sim.people.combined import Between, Common, Grown
from sim.people.fields import SmoothField
from sim.people.habitus import draw_habitus
from sim.people.head import add_head
from sim.people.lesions import MOST, Lesion, place_lesions
from sim.people.outline import DOME, draw_outline
from sim.people.person import Person
from sim.people.skeleton import add_chest_bones, add_limb_bones, add_pelvis, add_spine
from sim.people.surfaces import Half, Sheets
from sim.phantoms import Region
from sim.uptake import draw_injection, draw_suv, variation
from sim.uptake import tracer as find_tracer

PARTS = {"torso": (212.0, 985.0), "whole-body": (-np.inf, np.inf)}  # depths below the head's top
SKIN = 1.8  # thickness in mm
MOST_MM = 40.0  # of breathing

# What organs are made of: materials of their own name, or others.
MADE_OF = {
    name: name
    for name in ("air", "skin", "fat", "muscle", "blood", "bone", "skull", "cartilage", "marrow",
                 "yellow marrow", "grey matter", "white matter", "csf", "lung", "breast", "liver",
                 "spleen", "kidney", "pancreas")
} | {
    organ: material
    for material, organs in {
        "fat": ("mediastinum", "abdominal fat"),
        "muscle": ("tongue", "right ventricle", "myocardium"),
        "water": ("eye", "stomach content", "gallbladder", "urine", "renal pelvis", "ureter"),
        "cartilage": ("disc",),
        "white matter": ("spinal cord",),
        "intestine": ("duodenum", "small bowel", "colon wall"),
        "soft tissue": ("pituitary", "tonsil", "parotid gland", "submandibular gland",
                        "lacrimal gland", "thyroid", "oesophagus", "stomach wall",
                        "colon content", "adrenal gland", "prostate", "uterus", "ovary",
                        "bladder"),
    }.items()
    for organ in organs
}
UPTAKE_OF = {"mediastinum": "fat", "abdominal fat": "fat", "skull": "bone"}  # others have their own


def anatomy(rng, habitus):
    """All of a person but lesions: an Anatomy, from a Generator and a Habitus."""
    outline = draw_outline(rng, habitus)
    body = Anatomy(outline=outline, rng=rng)
    skin = outline.skin()
    body.add("skin", skin)
    body.add("fat", Grown(solid=skin, by_mm=-SKIN))
    add_breasts(body)
    body.add("muscle", outline.muscle())
    sheets = Sheets(field=SmoothField.draw(rng, (34.0, 34.0, 110.0), (24, 24, 24)), part=0.07)
    trunk = Half(point_mm=tuple(body.frame.place(0, 0, 320).tolist()), normal=(0.0, 0.0, -1.0))
    body.add("fat", body.below_fat(Common(parts=(sheets, trunk)), 5.0))
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
    """A random person, head first and supine, for a tracer.

    z = 0 lies at the top of the liver, below the right diaphragm, in scanner coordinates
    (`recon.grid`); phantom.json says where the middles of others are. What is None is drawn.

    Args:
        seed: of all random numbers. The same seed gives the same person bit for bit.
        tracer: FDG, PSMA or DOTATATE (`sim.uptake`), in any case.
        part: torso (neck to upper thighs) or whole-body.
        sex: male or female; with PSMA, drawn as male.
        height_cm, weight_kg: of the person; the body's volume and mass follow the weight.
        arms: up or down.
        lesions: how many, 0 to 12, or Lesions (`sim.people.lesions`), or dicts of their settings,
            as YAML has them.
        breathing_mm: the diaphragm's way; above 0, images are means over breathing
            (`Person`).
    Returns:
        Person; activity is SUV times decayed dose over weight; its lesions are named 'lesion 1', …
    Raises:
        ValueError: an argument that no person has, or lesions that do not fit.
    """
    tracer = find_tracer(tracer)
    if part not in PARTS:
        raise ValueError(f"person takes part {' or '.join(PARTS)}, got {part!r}")
    check_seed(seed)
    check_number("breathing_mm", breathing_mm, most=MOST_MM)
    for name, value in (("height_cm", height_cm), ("weight_kg", weight_kg)):
        if value is not None:
            check_number(name, value)
    if isinstance(lesions, list | tuple):
        lesions = [_lesion(one) if isinstance(one, dict) else one for one in lesions]
    listed = isinstance(lesions, list) and all(isinstance(one, Lesion) for one in lesions)
    if not (lesions is None or listed or type(lesions) is int):
        raise ValueError(
            f"person takes a number of lesions from 0 to {MOST}, or Lesions, got {lesions!r}"
        )
    count = len(lesions or ()) if listed else lesions or 0
    if not 0 <= count <= MOST:
        raise ValueError(f"person takes 0 to {MOST} lesions, got {count}")
    sex = "male" if sex is None and tracer.name == "PSMA" else sex
    rngs = np.random.default_rng(seed).spawn(5)
    habitus = draw_habitus(rngs[0], sex=sex, height_cm=height_cm, weight_kg=weight_kg, arms=arms)
    body = anatomy(rngs[1], habitus)
    suv, injection = draw_suv(rngs[2], tracer), draw_injection(rngs[2], tracer, habitus.weight_kg)
    unit, organs = injection.suv_bq_ml, _cut(body, part)
    tissues = [UPTAKE_OF.get(organ.name, organ.name) for organ in organs]
    uptakes = [suv[tissue] for tissue in tissues]
    regions = [
        Region(name=organ.name, solid=organ.solid, activity_bq_ml=uptake * unit,
               material=MATERIALS[MADE_OF[organ.name]], texture=variation(tissue))
        for organ, uptake, tissue in zip(organs, uptakes, tissues, strict=True)
    ]
    moves = [organ.moves for organ in organs]
    if lesions is None:
        lesions = int(rngs[3].integers(0, MOST + 1))
    placed = place_lesions(rngs[3], body.frame, regions, lesions, tracer, uptakes)
    for number, lesion in enumerate(placed, start=1):
        regions.append(
            Region(name=f"lesion {number}", solid=lesion.solid, lesion=True,
                   activity_bq_ml=lesion.suv * unit, material=MATERIALS[lesion.site.material])
        )
        moves.append(_lesion_moves(lesion, regions, moves))
    return Person(
        name="person", regions=tuple(regions), isotope=tracer.isotope, tracer=tracer.name,
        texture=SmoothField.draw(rngs[4], 22.0, (32, 32, 96)), seed=seed, habitus=habitus,
        injection=injection, breathing_mm=float(breathing_mm), moves=tuple(moves),
    )


def _lesion(settings):
    """The Lesion of a dict.

    Raises:
        ValueError: a setting that no lesion has, or without a site.
    """
    known = [field.name for field in fields(Lesion)]
    wrong = [name for name in settings if name not in known]
    if wrong or "site" not in settings:
        raise ValueError(
            f"a lesion takes site, and may have {', '.join(known[1:])}, got "
            f"{', '.join(map(str, settings)) or 'nothing'}"
        )
    return Lesion(**settings)


def _cut(body, part):
    """Organs of a part of the body."""
    top, bottom = ((depth - DOME) * body.frame.tall for depth in PARTS[part])
    kept = []
    for organ in body.parts:
        low, high = organ.solid.extent[2]
        if low < top or high > bottom:
            organ = replace(organ, solid=Between(solid=organ.solid, z_mm=(top, bottom)))
        if low < bottom and high > top:
            kept.append(organ)
    return kept


def _lesion_moves(lesion, regions, moves):
    """As its host; in a lung, the more the nearer to the diaphragm."""
    if regions[lesion.host].name != "lung":
        return moves[lesion.host]
    top, _ = regions[lesion.host].solid.extent[2]
    middle = sum(lesion.solid.extent[2]) / 2
    return float(np.clip((middle - top) / (0.0 - top), 0, 1)) if top < 0 else 1.0
