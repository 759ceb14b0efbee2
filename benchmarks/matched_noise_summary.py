"""Methods at equal noise: means over people and lesions, gains over the reference, intervals.

A gain is how much nearer to 1 a lesion's contrast recovery is (beyond 1 more is a loss), or how
much less the NRMSE is. Its interval is a bootstrap in three stages, of people, of each one's
lesions, and of each one's realisations, from which noise, contrast and the reference's noise are
worked out again, for all methods from the same draws. Lesions of one person are more alike than
those of several, so that people are drawn first.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.ensembles import against_spectrum
from benchmarks.noise_curves import read_off
from benchmarks.paired import LEAST, LEVEL
from benchmarks.quality_measure import SMALL_MM
from recon import text

REFERENCE = "gaussian"
STATISTICS = {
    "contrast": "lesion contrast recovery",
    "contrast_small": f"the same of lesions up to {SMALL_MM:g} mm",
    "nrmse": "NRMSE to truth in the body",
}
PLACES = {"matched": "at the reference's noise",
          "tuned": "each where its NRMSE was least in validation"}
RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """A phantom's curves.

    Attributes:
        number: of the phantom.
        diameters_mm: of its lesions, (lesion,).
        curves: dict from a method's name to its `benchmarks.noise_curves.Curve`.
    """

    number: int
    diameters_mm: np.ndarray
    curves: dict

    def columns(self):
        """Columns of `Curve.values` that each of STATISTICS is the mean of, a dict."""
        lesions = np.arange(len(self.diameters_mm))
        small = lesions[np.asarray(self.diameters_mm) <= SMALL_MM]
        return {"contrast": lesions, "contrast_small": small,
                "nrmse": np.array([len(lesions)])}

    def at(self, name, place, tuned, weights, values):
        """What a method's curve is at a place out of PLACES, (draw, ...).

        Args:
            name: of the method.
            place: out of PLACES.
            tuned: dict from a method's name to its best point in validation.
            weights: of realisations, (draw, realisation).
            values: (draw, point, ...), of the curve.
        """
        if place == "tuned":
            return values[:, tuned[name]]
        noise = self.curves[REFERENCE].noise(weights)[:, tuned[REFERENCE]]
        return read_off(self.curves[name].noise(weights), values, noise)

    def compared(self, name, place, tuned, weights):
        """A method's contrasts and NRMSE, the reference's, and gains, each (draw, lesions + 1)."""
        own, other = (
            self.at(one, place, tuned, weights, self.curves[one].values(weights))[:, :-1]
            for one in (name, REFERENCE)
        )
        other = np.where(np.isnan(own), np.nan, other)
        gains = other - own
        gains[:, :-1] = np.abs(other[:, :-1] - 1) - np.abs(own[:, :-1] - 1)
        return own, other, gains


def summarise(people, tuned, resamples=RESAMPLES, seed=0):
    """Each method's statistics at each place, a list of dict.

    `value` and `gain` come with the bounds of their intervals, `reference` is that of the same
    people and lesions. `verdict` is "confirmed" where the gain's interval is above 0, "refuted"
    where it is below, "not decided" where it holds 0, and None without a value. `people` and
    `numbers` (of lesions, or of people) say how many have one, out of `of_people` and `of_numbers`.

    Args:
        people: list of Person.
        tuned: as `Person.at` takes it.
        resamples: draws of the bootstrap.
        seed: of them.
    """
    return [
        row for name in people[0].curves for place in PLACES
        for row in _rows(people, name, place, tuned, resamples, seed)
    ]


def qualities(people, tuned):
    """What contrast does not tell of each method at each place, a list of dict: means over people.

    They are bias of the organ's mean, `pattern` (`Curve.patterns`), and of the noise power against
    the reference's at its tuned point, `level_db` and `texture_db` (`against_spectrum`); None where
    no one's curve reaches.
    """
    rows = []
    for name in people[0].curves:
        for place in PLACES:
            found = [_quality(person, name, place, tuned) for person in people]
            rows.append({"method": name, "at": place} | {
                key: _mean([one[key] for one in found]) for key in found[0]})
    return rows


def sentences(people, tuned, rows):
    """What is to be known before a number is believed, a list of sentences."""
    said = []
    if len(people) < LEAST:
        said.append(
            f"Of no more than {text.plural(len(people), 'held-out phantom')}: intervals of fewer "
            f"than {LEAST} are too narrow, and say little of others, who were not looked at."
        )
    for name, curves in ((name, [person.curves[name] for person in people])
                         for name in people[0].curves):
        for person, curve in zip(people, curves, strict=True):
            noise = curve.noise(curve.whole())[0]
            reference = person.curves[REFERENCE]
            at = reference.noise(reference.whole())[0, tuned[REFERENCE]]
            if not noise.min() <= at <= noise.max():
                said.append(
                    f"{name} has noise from {100 * noise.min():.1f} to {100 * noise.max():.1f} % "
                    f"in phantom {person.number}, and does not reach the reference's "
                    f"{100 * at:.1f} %; it is left out there."
                )
    for statistic in ("contrast", "contrast_small"):
        row = next(row for row in rows if row["statistic"] == statistic)
        if not row["numbers"]:
            which = "" if statistic == "contrast" else f" of up to {SMALL_MM:g} mm"
            said.append(f"No phantom has a lesion{which} with a background in its images: no "
                        "contrast is told.")
    return said


def _rows(people, name, place, tuned, resamples, seed):
    estimates = [(person, *person.compared(name, place, tuned, person.curves[name].whole()))
                 for person in people]
    drawn = _drawn(people, name, place, tuned, resamples, seed)
    rows = []
    for statistic in STATISTICS:
        parts = [[array[0, person.columns()[statistic]] for array in arrays]
                 for person, *arrays in estimates]
        own, other, gains = (np.concatenate(part) for part in zip(*parts, strict=True))
        row = {"method": name, "at": place, "statistic": statistic, "value": _mean(own),
               "reference": _mean(other), "gain": _mean(gains)}
        for key, draws in zip(("value", "gain"), drawn[statistic], strict=True):
            row[f"{key}_low"], row[f"{key}_high"] = _interval(draws, row[key])
        row |= {
            "verdict": None if name == REFERENCE else _verdict(row["gain_low"], row["gain_high"]),
            "people": sum(not np.isnan(part[0]).all() for part in parts if len(part[0])),
            "of_people": sum(len(part[0]) > 0 for part in parts),
            "numbers": int(np.count_nonzero(~np.isnan(own))), "of_numbers": len(own),
        }
        rows.append(row)
    return rows


def _drawn(people, name, place, tuned, resamples, seed):
    """Of each statistic, means of values and gains over draws, two arrays (draw,)."""
    rng = np.random.default_rng(seed)
    sums = {statistic: np.zeros((3, resamples)) for statistic in STATISTICS}
    for _ in people:
        picks = rng.integers(len(people), size=resamples)
        for index, person in enumerate(people):
            weights = _draws(person.curves[name].realisations, resamples, rng)
            lesions = _draws(len(person.diameters_mm), resamples, rng)
            picked = np.flatnonzero(picks == index)
            own, _, gains = person.compared(name, place, tuned, weights[picked])
            times = np.concatenate([lesions, np.ones((resamples, 1))], axis=1)[picked]
            times = np.where(np.isnan(gains), 0, times)
            for statistic, columns in person.columns().items():
                part = times[:, columns]
                sums[statistic][0, picked] += (part * np.nan_to_num(own[:, columns])).sum(axis=1)
                sums[statistic][1, picked] += (part * np.nan_to_num(gains[:, columns])).sum(axis=1)
                sums[statistic][2, picked] += part.sum(axis=1)
    with np.errstate(invalid="ignore"):  # a draw of people without a value has none
        return {key: found[:2] / found[2] for key, found in sums.items()}


def _draws(count, resamples, rng):
    """How often each of so many was drawn, (resamples, count)."""
    if not count:
        return np.zeros((resamples, 0))
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)


def _quality(person, name, place, tuned):
    curve, reference = person.curves[name], person.curves[REFERENCE]
    weights = curve.whole()

    def at(values):
        return person.at(name, place, tuned, weights, values[None])[0]

    found = {"bias": person.at(name, place, tuned, weights, curve.values(weights))[0, -1],
             "pattern": at(curve.patterns), "level_db": None, "texture_db": None}
    if curve.powers is not None and not np.isnan(found["pattern"]):
        found |= against_spectrum(at(curve.powers), reference.powers[tuned[REFERENCE]])
    return found


def _mean(values):
    values = [one for one in values if one is not None and not np.isnan(one)]
    return float(np.mean(values)) if values else None


def _interval(draws, value):
    """Bounds of what was drawn; None of no value."""
    if value is None:
        return None, None
    draws = draws[~np.isnan(draws)]
    return tuple(map(float, np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])))


def _verdict(low, high):
    if low is None:
        return None
    return "confirmed" if low > 0 else "refuted" if high < 0 else "not decided"
