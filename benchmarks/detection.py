"""Detectability of a study's lesions: against the same people, scanned without them."""

import copy

import numpy as np

from benchmarks.detectability import (
    CHANNELS,
    CUBE_MM,
    LOWEST_PER_MM,
    detectability,
    dog_channels,
    outputs,
)
from benchmarks.methods import Method, body_of
from benchmarks.regions import Regions
from recon.io import FileError

OBSERVER = {
    "observer": "channelised Hotelling, signal known exactly, background variable",
    "channels": f"{CHANNELS} differences of Gaussians from {LOWEST_PER_MM} / mm, an octave apart",
    "cube_mm": CUBE_MM,
    "internal_noise": 0.0,
    "split": "half of the phantoms train and half test, and the other way round",
    "interval": "95 %, bootstrap over the phantoms that test, of an observer that is trained once",
}


class Lesions:
    """What channels see where lesions are.

    Attributes:
        places: dict from a phantom's number to a dict from a lesion's name to its voxel.
        seen: dict from (method's name, factor) to a dict from (number, realisation, lesion's name)
            to outputs.
        diameters_mm: of all lesions.
    """

    def __init__(self):
        self.places, self.seen, self.diameters_mm = {}, {}, []

    @classmethod
    def merged(cls, several):
        """The Lesions of several phantoms, in their order."""
        found = cls()
        for one in several:
            found.places |= one.places
            found.diameters_mm += one.diameters_mm
            for key, seen in one.seen.items():
                found.seen.setdefault(key, {}).update(seen)
        return found

    def add(self, number, regions):
        """Notes where a phantom's lesions are."""
        self.places[number] = {lesion.name: lesion.at for lesion in regions.lesions}
        self.diameters_mm += [lesion.diameter_mm for lesion in regions.lesions]

    def keep(self, number, method, factor, realisation, image, voxel_mm):
        """Notes what channels see in an image."""
        channels, seen = dog_channels(voxel_mm), self.seen.setdefault((method.name, factor), {})
        for name, at in self.places[number].items():
            found = outputs(image, channels, at)
            if found is not None:
                seen[number, realisation, name] = found


def check_twin(data, without):
    """Refuses a study that does not have the same people without lesions.

    Args:
        data, without: StoredStudies.
    Raises:
        FileError: with what differs.
    """
    recipes = [copy.deepcopy(study.index["recipe"]) for study in (data, without)]
    lesions = [recipe["phantoms"]["options"].pop("lesions", None) for recipe in recipes]
    if recipes[0] != recipes[1] or lesions[1] != 0:
        differ = [name for name in recipes[0] if recipes[0][name] != recipes[1].get(name)]
        raise FileError(
            f"--without takes {data.folder}'s study with phantoms.options.lesions 0 and all else "
            f"alike, got {without.folder} with lesions {lesions[1]}"
            + (f" and other {', '.join(differ)}" if differ else "")
        )
    missing = set(data.numbers["test"]) - {row["number"] for row in without.index["phantoms"]}
    if missing:
        raise FileError(f"{without.folder} lacks phantoms {', '.join(map(str, sorted(missing)))}")


def observe(data, lesions, methods, strengths, progress=lambda: None, device="cpu"):
    """A Lesions of the same places in the images of another study, or of this one's other split.

    Args:
        data: StoredStudy.
        lesions: Lesions, whose places are looked at.
        methods: list of Method.
        strengths: of baselines, by (method's name, factor).
        progress: called after each image.
        device: "cpu" or "cuda".
    """
    found = Lesions()
    found.places = lesions.places
    for number in lesions.places:
        grid, body = data.grid(number), body_of(data, number)
        for method in methods:
            for factor in method.factors(data):
                for realisation in range(data.realisations):
                    pair = method.pair(data, number, factor, realisation)
                    images = data.read(pair, ("ct",))
                    image = method.image(method.input(data, pair), grid, body,
                                         strengths.get((method.name, factor)), images["ct"],
                                         device)
                    found.keep(number, method, factor, realisation, image, grid.voxel_mm)
                    progress()
    return found


def detected(present, absent):
    """AUC by method and factor: a list of dict.

    Args:
        present, absent: Lesions of the same places.
    """
    rows = []
    for (method, factor), seen in present.seen.items():
        other = absent.seen[method, factor]
        keys = sorted(set(seen) & set(other))
        pairs = [np.array([outputs[key] for key in keys]) for outputs in (seen, other)]
        told = detectability(*pairs, [number for number, *_ in keys], OBSERVER["internal_noise"])
        rows.append({"method": method, "factor": factor} | told)
    return rows


def validated(data, without):
    """AUC of the standard dose in the validation split, by which lesions are chosen: a dict.

    It shall lie between 0.75 and 0.9; nearer to 1 all methods look alike, nearer to 0.5 as well.
    """
    lesions, standard = Lesions(), [Method(name="standard", source="standard")]
    there = {row["number"] for row in without.index["phantoms"]}
    for number in there & set(data.numbers["validation"]):
        lesions.add(number, Regions.of(data, number))
    if not lesions.places:
        return None
    return detected(*(observe(study, lesions, standard, {}) for study in (data, without)))[0]
