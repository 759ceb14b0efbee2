"""Phantoms by name: test objects, people and brains."""

import importlib
import inspect

from recon.command_line import flag_of
from recon.names import ALIKE, known_name, most_alike
from sim.numbers import check_seed

# Name -> function that makes it, and what it is.
_TABLE = {
    "uniform": ("sim.objects.sources:uniform", "cylinder of active water"),
    "line-source": ("sim.objects.sources:line_source", "line along the axis, in air"),
    "point-source": ("sim.objects.sources:point_source", "drop in air"),
    "nema-iq": ("sim.objects.nema:nema_iq", "NEMA NU 2 image quality: spheres, lung insert"),
    "nema-scatter": ("sim.objects.nema:nema_scatter", "NEMA NU 2 scatter: line in polyethylene"),
    "nema-sensitivity": ("sim.objects.nema:nema_sensitivity", "NEMA NU 2 sensitivity: sleeves"),
    "derenzo": ("sim.objects.rods:derenzo", "hot rods of six sizes"),
    "jaszczak": ("sim.objects.rods:jaszczak", "cold rods and spheres"),
    "acr": ("sim.objects.rods:acr", "PET phantom of the American College of Radiology"),
    "person": ("sim.people:person", "torso or whole body of a random person"),
    "brain": ("sim.brain:brain", "head with a folded brain"),
    "shepp-logan": ("sim.objects.shepp_logan:shepp_logan", "head of ten ellipsoids"),
}


def phantom_names():
    """Names that `phantom` knows."""
    return tuple(_TABLE)


def phantom_summary(name):
    """What the phantom of a name is, in some words."""
    return _TABLE[_known(name)][1]


def phantom(name, *, seed=0, **options):
    """The Phantom of a name.

    Args:
        name: out of `phantom_names`, in any case, with any hyphens.
        seed: of the random numbers; test objects draw none.
        options: of that phantom, as `phantom_options` lists them.
    Raises:
        ValueError: no such name or option, with the nearest that there is; or the phantom does
            not take an option's value.
    """
    name = _known(name)
    check_seed(seed)
    takes = phantom_options(name)
    for option in options:
        if option not in takes:
            raise ValueError(f"phantom {name!r} takes {_offer(option, takes)}")
    maker = _maker(name)
    if "seed" in inspect.signature(maker).parameters:
        options["seed"] = seed
    return maker(**options)


def phantom_options(name):
    """Options of a phantom: dict from names to defaults, without the seed."""
    parameters = inspect.signature(_maker(_known(name))).parameters.values()
    return {item.name: item.default for item in parameters if item.name != "seed"}


def phantom_description(name):
    """What the phantom's own function says of it and of its options."""
    return inspect.getdoc(_maker(_known(name)))


def _maker(name):
    module, function = _TABLE[name][0].split(":")
    return getattr(importlib.import_module(module), function)


def _known(name):
    return known_name(name, _TABLE, "a phantom is")


def _offer(option, takes):
    flags = [flag_of(name) for name in takes]
    if not flags:
        return f"no options, got {flag_of(option)}; leave it out"
    near = most_alike(flag_of(option), flags, least=ALIKE)
    hint = f"the nearest is {near}" if near else "leave it out"
    return f"{', '.join(flags)}, got {flag_of(option)}; {hint}"
