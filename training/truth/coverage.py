"""Do the intervals cover: thousands of animals, because a few hundred cannot tell 88% from 92%.

Rendering thousands of animals takes hours. Their statistics are drawn from measured errors instead: on rendered animals
that the network never saw, its prediction is explained by the visible latents and the light; what stays is split into a
part that belongs to the animal-day (kept by all its readings) and a part of each reading (pose, blur, noise). Drawn
animals get their latents from the simulation itself, their predictions from the explained part, and both residuals
from the measured ones, taken from an animal-day of about the same prediction. Nothing is assumed normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Intervals
from edge.errors import OperatorError
from edge.simulate import create_population
from edge.simulate.appearance import appearance_at
from edge.vision.estimate import interval_of
from training.age.aggregates import READINGS
from training.age.calibrate import fit_intervals
from training.simulated.table import STRAIN
from training.truth.oracle import AGES_DAYS, Floats, visible

FIRST_POPULATION = 4_000_000_000
_DAYS_A_WEEK = 3
_BINS = 6
_LEAST = 10


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """Predictions for animals that were not rendered. `pools`: per bin of prediction the day and reading residuals."""

    explained: dict[bool, Any]
    edges: Floats
    of_day: tuple[Floats, ...]
    of_reading: tuple[Floats, ...]

    def predict(self, appearance: Floats, white: NDArray[np.bool_]) -> Floats:
        """Return the explained part of predictions (n,), days."""
        found = np.zeros(len(appearance))
        for light, model in self.explained.items():
            rows = white == light
            if rows.any():
                found[rows] = model.predict(visible(appearance[rows], light))
        return found


def measure_errors(
    predicted: Floats, appearance: Floats, white: NDArray[np.bool_], animals: NDArray[np.int64], days: NDArray[np.int64]
) -> ErrorModel:
    """Return the error model of measured predictions (n,), days, of rendered readings.

    The explained part is fitted for each light; residuals are those of animals left out of its fit (five folds).

    Raises:
        OperatorError: fewer than five animals.
    """
    from sklearn.model_selection import GroupKFold

    if len(np.unique(animals)) < 5:
        raise OperatorError(
            f"truth: expected at least 5 rendered animals, got {len(np.unique(animals))}; raise --cages"
        )
    expected = np.zeros(len(predicted))
    for fit_rows, rows in GroupKFold(5).split(predicted, groups=animals):
        for light in (True, False):
            chosen = rows[white[rows] == light]
            model = _explain(appearance, predicted, fit_rows[white[fit_rows] == light], light)
            if len(chosen):
                expected[chosen] = model.predict(visible(appearance[chosen], light))
    residual = predicted - expected
    _, index, counts = np.unique(days, return_inverse=True, return_counts=True)
    day_mean = (np.bincount(index, residual) / counts)[index]
    edges = np.quantile(expected, np.linspace(0, 1, _BINS + 1)[1:-1])
    where = np.searchsorted(edges, expected)
    several = counts[index] > 1
    # Deviations from the mean of k readings are too small by (k - 1) / k in variance, and their mean holds 1 / k of it.
    stretched = (residual - day_mean) * np.sqrt(counts[index] / np.maximum(1, counts[index] - 1))
    bins = [_enough(where == number) for number in range(_BINS)]
    of_reading = tuple(stretched[_enough(rows & several)] for rows in bins)
    of_day = tuple(
        _shrunk(day_mean[rows], counts[index][rows], readings) for rows, readings in zip(bins, of_reading, strict=True)
    )
    explained = {
        light: _explain(appearance, predicted, np.flatnonzero(white == light), light) for light in (True, False)
    }
    return ErrorModel(explained, edges, of_day, of_reading)


def draw_readings(
    model: ErrorModel, count: int, seed: int
) -> tuple[Floats, Floats, NDArray[np.int32], NDArray[np.int32]]:
    """Return predictions, ages (days), animals and day numbers of `count` drawn animals' readings over one week.

    Each animal is seen on three days of one week, four readings a day, two in each light.
    """
    rng = np.random.default_rng([0xC0FE, seed])
    born = date(2020, 1, 1)
    animals = create_population(FIRST_POPULATION + seed, count, born_from=born, born_until=born, strains=(STRAIN,))
    start = rng.uniform(AGES_DAYS[0], AGES_DAYS[1] - 7, count)
    per_day = READINGS["day"]
    ages = (start[:, None] + np.array([0.0, 3.0, 6.0])).ravel()
    seen = np.array([appearance_at(animal, float(age)).vector() for animal, age in _days(animals, ages)])
    white = np.arange(per_day * len(ages)) % 2 == 0
    expected = model.predict(np.repeat(seen, per_day, axis=0), white)
    where = np.searchsorted(model.edges, expected)
    # One animal's days share what the latents do not explain (its coat's pattern, its shape): drawn once an animal.
    luck = np.repeat(rng.random(count), _DAYS_A_WEEK * per_day)
    day_part = np.array([np.quantile(model.of_day[bin_], share) for bin_, share in zip(where, luck, strict=True)])
    reading_part = np.array([rng.choice(model.of_reading[bin_]) for bin_ in where])
    owner = np.repeat(np.arange(count), _DAYS_A_WEEK * per_day).astype(np.int32)
    days = np.repeat(np.arange(count * _DAYS_A_WEEK), per_day).astype(np.int32)
    predicted = np.clip(expected + day_part + reading_part, 45.0, 945.0)
    return predicted, np.repeat(ages, per_day), owner, days


def coverage_of(model: ErrorModel, animals: int = 2000, seed: int = 1) -> dict[str, float]:
    """Return the share of test animals that 90% intervals cover, for a reading, a day and a week, and their widths.

    Calibrated by `training.age.calibrate` on so many drawn animals, tested on so many others: one unit an animal.
    """
    predicted, ages, owner, _ = draw_readings(model, animals, 2 * seed)
    intervals = fit_intervals(predicted, ages.astype(np.float32), owner, seed=seed)
    predicted, ages, _, _ = draw_readings(model, animals, 2 * seed + 1)
    found = {"calibration_animals": float(animals), "test_animals": float(animals)}
    for entry in intervals:
        covered, width = _covered(predicted, ages, entry, animals, seed)
        found[f"coverage_90_{entry.unit}"] = covered
        found[f"width_90_days_{entry.unit}"] = width
    return found


def _covered(predicted: Floats, ages: Floats, entry: Intervals, animals: int, seed: int) -> tuple[float, float]:
    """Return coverage and mean width, one unit (a run of readings near in age) an animal, drawn at random."""
    rng = np.random.default_rng([0xC0FF, seed])
    readings = READINGS[entry.unit]
    estimates, truth = predicted.reshape(animals, -1), ages.reshape(animals, -1)
    starts = rng.integers(0, estimates.shape[1] // readings, animals) * readings
    rows = np.arange(animals)[:, None], starts[:, None] + np.arange(readings)
    mean, age = estimates[rows].mean(axis=1), truth[rows].mean(axis=1)
    bounds = np.array([interval_of(float(value), entry) for value in mean])
    inside = (bounds[:, 0] <= age) & (age <= bounds[:, 1])
    return float(inside.mean()), float((bounds[:, 1] - bounds[:, 0]).mean())


def _explain(appearance: Floats, predicted: Floats, rows: NDArray[np.intp], light: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=120, learning_rate=0.06, max_leaf_nodes=12, min_samples_leaf=20, l2_regularization=3.0, random_state=1
    )
    return model.fit(visible(appearance[rows], light), predicted[rows])


def _enough(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask, or all rows where it leaves too few to draw from."""
    return mask if int(mask.sum()) >= _LEAST else np.ones_like(mask)


def _shrunk(day_mean: Floats, counts: NDArray[np.intp], of_reading: Floats) -> Floats:
    """Return day residuals without the share of reading noise that a mean of a few readings still holds."""
    noise = float((of_reading.var() / counts).mean())
    spread = float(day_mean.var())
    middle = float(day_mean.mean())
    shrunk: Floats = middle + (day_mean - middle) * np.sqrt(max(0.0, 1.0 - noise / max(spread, 1e-9)))
    return shrunk


def _days(animals: tuple[Any, ...], ages: Floats) -> Any:
    return zip((animal for animal in animals for _ in range(_DAYS_A_WEEK)), ages, strict=True)
