"""The effect of a treatment on ageing: the ratio of within-animal slopes of predicted age, treated to control.

Regression to the mean multiplies every slope by the same factor, so that a difference of slopes is shrunk by it and a
ratio is not. All functions work on many studies at once: the last axis is readings, the one before it animals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Method = Literal["fieller", "delta"]


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Each animal's least-squares slope (..., animals), NaN where it has fewer than two different times.

    sxx: sum of squared deviations of its times, days^2. residual: sum of squared residuals. freedom: readings - 2.
    """

    slope: Floats
    sxx: Floats
    residual: Floats
    freedom: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One arm's mean slope (...), its variance, degrees of freedom and number of units."""

    mean: Floats
    variance: Floats
    freedom: Floats
    units: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """Treated / control (...). The interval is -inf..inf where the control's slope is not clearly above nothing.

    p: two-sided, of ratio = 1; `low..high` leaves out 1 exactly where p is below 1 - coverage (method fieller).
    """

    ratio: Floats
    low: Floats
    high: Floats
    p: Floats
    freedom: Floats


def animal_slopes(times: Floats, values: Floats) -> Slopes:
    """Return the slopes of values over times, both (..., animals, readings), NaN where there is no reading."""
    there = np.isfinite(times) & np.isfinite(values)
    count = there.sum(axis=-1)
    divisor = np.maximum(count, 1)[..., None]
    time = np.where(there, times, 0.0)
    value = np.where(there, values, 0.0)
    time = np.where(there, time - time.sum(axis=-1, keepdims=True) / divisor, 0.0)
    value = np.where(there, value - value.sum(axis=-1, keepdims=True) / divisor, 0.0)
    sxx = (time**2).sum(axis=-1)
    usable = (count >= 2) & (sxx > 1e-9)
    slope = np.where(usable, (time * value).sum(axis=-1) / np.where(usable, sxx, 1.0), np.nan)
    fitted = np.where(usable[..., None], time * np.nan_to_num(slope)[..., None], 0.0)
    residual = np.where(usable, ((value - fitted) ** 2).sum(axis=-1), 0.0)
    return Slopes(slope, np.where(usable, sxx, 0.0), residual, np.where(usable, count - 2.0, 0.0))


def by_unit(slopes: Slopes, units: NDArray[np.intp]) -> Slopes:
    """Return the slopes of units (cages): animals' slopes weighted by sxx; `units` (animals,) numbers them from 0."""
    member = np.zeros((len(units), int(units.max()) + 1))
    member[np.arange(len(units)), units] = 1.0
    sxx = slopes.sxx @ member
    total = np.nan_to_num(slopes.slope * slopes.sxx) @ member
    slope = np.where(sxx > 0, total / np.where(sxx > 0, sxx, 1.0), np.nan)
    return Slopes(slope, sxx, slopes.residual @ member, slopes.freedom @ member)


def arm(slopes: Slopes) -> Arm:
    """Return the arm's mean slope, each unit weighted by what its slope is worth (DerSimonian and Laird, 1986).

    Units differ in rate (variance between) and in how well their slope is known (residual variance / sxx). The variance
    is the robust one of the weighted mean, unbiased for equal weights, so that it holds where the weights are off.
    """
    used = np.isfinite(slopes.slope)
    units = used.sum(axis=-1).astype(np.float64)
    slope = np.where(used, slopes.slope, 0.0)
    freedom = slopes.freedom.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # With no more than two readings an animal nothing tells the noise: all count alike.
        noise = np.where(freedom > 0, slopes.residual.sum(axis=-1) / np.maximum(freedom, 1.0), 0.0)[..., None]
        known = np.where(used & (noise > 0), slopes.sxx / np.where(noise > 0, noise, 1.0), 0.0)
        first = known.sum(axis=-1, keepdims=True)
        centre = (known * slope).sum(axis=-1, keepdims=True) / first
        spread = (known * (slope - centre) ** 2).sum(axis=-1, keepdims=True)
        scale = first - (known**2).sum(axis=-1, keepdims=True) / first
        between = np.maximum(0.0, (spread - (units[..., None] - 1)) / scale)
        weight = np.where(used & (known > 0), 1.0 / (between + 1.0 / np.where(known > 0, known, 1.0)), 0.0)
        weight = np.where(noise > 0, weight, used.astype(np.float64))
        weight = weight / weight.sum(axis=-1, keepdims=True)
        mean = (weight * slope).sum(axis=-1)
        share = (weight**2 * np.where(used, slope - mean[..., None], 0.0) ** 2) / np.maximum(1.0 - weight, 1e-9)
        return Arm(mean, share.sum(axis=-1), 1.0 / (weight**2).sum(axis=-1) - 1.0, units)


def ratio(treated: Arm, control: Arm, coverage: float = 0.95, method: Method = "fieller") -> Ratio:
    """Return treated / control with its interval and the test of ratio = 1.

    fieller (Fieller, 1954): all ratios r for which mean_t - r * mean_c is not different from 0; degrees of freedom by
    Welch and Satterthwaite at r = 1, so that test and interval agree. delta: normal on the logarithm of the ratio.
    """
    together = treated.variance + control.variance
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = together**2 / (treated.variance**2 / treated.freedom + control.variance**2 / control.freedom)
        statistic = (treated.mean - control.mean) / np.sqrt(together)
        p = 2 * stats.t.sf(np.abs(statistic), freedom)
        quantile = stats.t.ppf(0.5 + coverage / 2, freedom)
        found = treated.mean / control.mean
        if method == "delta":
            error = np.sqrt(treated.variance / treated.mean**2 + control.variance / control.mean**2)
            low, high = found * np.exp(-quantile * error), found * np.exp(quantile * error)
        else:
            a = control.mean**2 - quantile**2 * control.variance
            b = treated.mean * control.mean
            root = np.sqrt(np.maximum(b**2 - a * (treated.mean**2 - quantile**2 * treated.variance), 0.0))
            low, high = (b - root) / a, (b + root) / a
            unbounded = ~(a > 0)
            low, high = np.where(unbounded, -np.inf, low), np.where(unbounded, np.inf, high)
    return Ratio(found, low, high, p, freedom)


def bootstrap_ratio(
    treated: Slopes, control: Slopes, rng: np.random.Generator, draws: int = 2000, coverage: float = 0.95
) -> tuple[float, float]:
    """Return the percentile interval of one study's ratio, units drawn again within their arm."""
    means = []
    for slopes in (treated, control):
        count = slopes.slope.shape[-1]
        drawn = rng.integers(0, count, (draws, count))
        parts = (slopes.slope, slopes.sxx, slopes.residual, slopes.freedom)
        means.append(arm(Slopes(*(part[drawn] for part in parts))).mean)
    low, high = np.nanquantile(means[0] / means[1], [0.5 - coverage / 2, 0.5 + coverage / 2])
    return float(low), float(high)
