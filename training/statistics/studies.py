"""Simulated studies of a treatment, drawn from measured errors: does the slope ratio keep its promises?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.statistics.errors import ErrorModel, fit_errors
from training.statistics.slopes import Arm, Slopes, animal_slopes, arm, by_unit, ratio

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Design:
    """A study of two arms of equal size.

    animals, per_cage: of an arm, in a cage. readings: animal-days, evenly from first_days to last_days of age, each of
    readings_a_day pictures. missed: share of animal-days without an accepted reading. dropout: share of animals that
    leave at a random time. cage_rate_sd: spread of cages' ageing rates. cage_unit: the cage is the experimental unit.
    day_correlation: of an animal's errors on neighbouring reading days, None: as measured.
    """

    animals: int = 40
    readings: int = 12
    first_days: float = 250.0
    last_days: float = 650.0
    readings_a_day: int = 4
    missed: float = 0.15
    dropout: float = 0.2
    per_cage: int = 1
    cage_rate_sd: float = 0.0
    cage_unit: bool = False
    straight: bool = True
    day_correlation: float | None = None

    def correlation(self, errors: ErrorModel) -> float:
        """Return the correlation of an animal's errors on neighbouring reading days: what is asked, else measured."""
        if self.day_correlation is not None:
            return self.day_correlation
        return errors.correlation((self.last_days - self.first_days) / (self.readings - 1))


def draw_arm(
    errors: ErrorModel, design: Design, rate: float, studies: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return times and predicted ages, days, (studies, animals, readings), NaN where there is no reading.

    rate: days by which a treated animal ages a day, from the start of the study. The mean prediction follows the
    measured curve, or with `straight` the line through it over the study's ages.
    """
    shape = (studies, design.animals, design.readings)
    times = np.linspace(design.first_days, design.last_days, design.readings)
    times = times + rng.uniform(-2, 2, shape)  # nobody photographs to the day
    cages = rng.normal(0, design.cage_rate_sd, (studies, -(-design.animals // design.per_cage)))
    cage = np.repeat(cages, design.per_cage, axis=1)[:, : design.animals, None]
    looks = design.first_days + (rate + cage) * (times - design.first_days)
    middle = (design.first_days + design.last_days) / 2
    mean = errors.mean(looks)
    if design.straight:
        mean = errors.slope(design.first_days, design.last_days) * (looks - middle) + float(
            errors.mean(np.array([middle]))[0]
        )
    # An animal's own deviation of rate is shrunk with the treatment as all else is.
    own = rng.normal(0, errors.rate_sd, (*shape[:2], 1)) * rate
    animal = rng.normal(0, errors.animal_sd, (*shape[:2], 1))
    per_day = max(1, design.readings_a_day) if errors.days_separable else 1
    noise = rng.normal(0, 1, shape) * errors.day_sd
    noise += sum(errors.noise(rng, shape) for _ in range(per_day)) / per_day
    noise = _correlated(noise, design.correlation(errors))
    values = mean + animal + own * (times - middle) + noise
    leaves = rng.uniform(design.first_days, design.last_days, (*shape[:2], 1))
    gone = (rng.random((*shape[:2], 1)) < design.dropout) & (times > leaves)
    values[gone | (rng.random(shape) < design.missed)] = np.nan
    return times, values


def _correlated(noise: Floats, correlation: float) -> Floats:
    """Return the same noise, its last axis correlated from day to day with the same variance (AR 1)."""
    if not correlation > 0:
        return noise
    fresh = float(np.sqrt(1 - correlation**2))
    found = noise.copy()
    for day in range(1, noise.shape[-1]):
        found[..., day] = correlation * found[..., day - 1] + fresh * noise[..., day]
    return found


def slopes_of(times: Floats, values: Floats, design: Design) -> Slopes:
    """Return the slopes of the design's units."""
    found = animal_slopes(times, values)
    return by_unit(found, np.arange(design.animals) // design.per_cage) if design.cage_unit else found


def simulate(errors: ErrorModel, design: Design, rate: float, studies: int, seed: int) -> tuple[Arm, Arm]:
    """Return treated and control arm of many studies."""
    rng = np.random.default_rng([seed, 31])
    treated = arm(slopes_of(*draw_arm(errors, design, rate, studies, rng), design))
    return treated, arm(slopes_of(*draw_arm(errors, design, 1.0, studies, rng), design))


def run(
    readings: pd.DataFrame | ErrorModel,
    *,
    studies: int = 1000,
    change: float = 0.2,
    design: Design | None = None,
    seed: int = 1,
) -> dict[str, Any]:
    """Return how the slope ratio fares in simulated studies drawn from the errors of these readings.

    readings: held-out readings (subject, age_days, predicted_days), or their error model. change: treated animals age
    slower by this share. In the result: `coverage` of the truth by the 95% interval under the change,
    `coverage_no_effect`, `false_positives` at 0.05 without an effect, `power` with it, `coverage_difference` (what the
    difference of raw slopes would have covered), `coverage_curved` (looks follow the measured curve, not its line),
    `coverage_delta`; `errors` and `design`.
    """
    errors = readings if isinstance(readings, ErrorModel) else fit_errors(readings)
    design = design or Design()
    truth = 1.0 - change
    treated, control = simulate(errors, design, truth, studies, seed)
    under = ratio(treated, control)
    none = ratio(*simulate(errors, design, 1.0, studies, seed + 1))
    curved_design = Design(**{**asdict(design), "straight": False})
    curved = ratio(*simulate(errors, curved_design, truth, studies, seed + 2))
    delta = ratio(treated, control, method="delta")
    return {
        "studies": studies,
        "seed": seed,
        "true_ratio": truth,
        "coverage": _covers(under.low, under.high, truth),
        "coverage_no_effect": _covers(none.low, none.high, 1.0),
        "false_positives": float(np.mean(none.p < 0.05)),
        "power": float(np.mean((under.p < 0.05) & (under.ratio < 1))),
        "median_ratio": float(np.median(under.ratio)),
        "median_width": float(np.median(under.high - under.low)),
        "unbounded": float(np.mean(~np.isfinite(under.high))),
        "coverage_difference": _difference(treated, control, truth),
        "coverage_delta": _covers(delta.low, delta.high, truth),
        "coverage_curved": _covers(curved.low, curved.high, truth),
        "median_ratio_curved": float(np.median(curved.ratio)),
        "slope": errors.slope(design.first_days, design.last_days),
        "errors": errors.figures(),
        "design": asdict(design),
    }


def _covers(low: Floats, high: Floats, truth: float) -> float:
    return float(np.mean((low <= truth) & (truth <= high)))


def _difference(treated: Arm, control: Arm, truth: float) -> float:
    """Return how often the interval of the difference of raw slopes covers the true difference of ageing rates."""
    from scipy import stats

    variance = treated.variance + control.variance
    freedom = variance**2 / (treated.variance**2 / treated.freedom + control.variance**2 / control.freedom)
    reach = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    found = treated.mean - control.mean
    return _covers(found - reach, found + reach, truth - 1.0)
