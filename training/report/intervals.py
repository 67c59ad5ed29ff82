"""Intervals where the animal is the unit: its readings are drawn together, because most of their error is shared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
DRAWS = 1000
LEAST_ANIMALS = 5
"""Fewer animals give no interval: a bootstrap of three is three numbers."""
NONE = (float("nan"), float("nan"))
Interval = tuple[float, float]


def by_animal(
    animals: NDArray[np.int_],
    columns: Floats,
    figure: Callable[[Floats], Floats],
    seed: int = 1,
    coverage: float = 0.95,
) -> Interval:
    """Return the 95% bootstrap interval of a figure made of sums over readings (Efron and Tibshirani, 1993).

    animals (n,); columns (n, k) of readings; figure: sums (draws, k) to values (draws,). NaN, NaN below LEAST_ANIMALS.
    """
    names, where = np.unique(animals, return_inverse=True)
    if len(names) < LEAST_ANIMALS:
        return NONE
    sums = np.zeros((len(names), columns.shape[1]))
    np.add.at(sums, where, columns)
    weights = np.random.default_rng([seed, 61]).multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = figure(weights @ sums)
    values = values[np.isfinite(values)]
    if len(values) < DRAWS / 2:
        return NONE
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def resampled(
    animals: NDArray[np.int_], figure: Callable[[NDArray[np.intp]], float], seed: int = 1, draws: int = 400
) -> Interval:
    """Return the 95% bootstrap interval of any figure of row indices, animals drawn with all their readings."""
    names, where = np.unique(animals, return_inverse=True)
    if len(names) < LEAST_ANIMALS:
        return NONE
    order = np.argsort(where, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(where))[:-1])
    rng = np.random.default_rng([seed, 67])
    values = np.array(
        [figure(np.concatenate([rows[one] for one in rng.integers(0, len(names), len(names))])) for _ in range(draws)]
    )
    values = values[np.isfinite(values)]
    if len(values) < draws / 2:
        return NONE
    return float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))


def design_effect(hits: NDArray[np.bool_], animals: NDArray[np.int_]) -> float:
    """Return by how much the variance of the share of hits exceeds that of independent readings, at least 1.

    By linearisation over animals (Rao and Scott, 1992); NaN where all or none are hits, or there is one animal.
    """
    names, where = np.unique(animals, return_inverse=True)
    share = float(hits.mean())
    if share in (0.0, 1.0) or len(names) < 2:
        return float("nan")
    residual = np.bincount(where, weights=hits - share)
    variance = float((residual**2).sum()) * len(names) / (len(names) - 1) / len(hits) ** 2
    return max(1.0, variance / (share * (1 - share) / len(hits)))


def effective_count(hits: NDArray[np.bool_], animals: NDArray[np.int_], otherwise: float = float("nan")) -> float:
    """Return how many independent readings these are worth: n over the design effect.

    otherwise: the design effect where it cannot be seen, for instance that of all levels together. Without one each
    animal counts once.
    """
    effect = design_effect(hits, animals)
    effect = effect if np.isfinite(effect) else otherwise
    return float(len(hits) / effect) if np.isfinite(effect) else float(len(np.unique(animals)))


def share_interval(share: float, count: float, coverage: float = 0.95) -> Interval:
    """Return Wilson's interval (1927) of a share among `count` independent ones."""
    z = float(stats.norm.ppf((1 + coverage) / 2))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * float(np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)))
    return max(0.0, middle - half), min(1.0, middle + half)


def share_difference(first: tuple[float, float], second: tuple[float, float]) -> Interval:
    """Return Newcombe's interval (1998, method 10) of a difference of two shares, each (share, count)."""
    (low_1, high_1), (low_2, high_2) = share_interval(*first), share_interval(*second)
    p, q = first[0], second[0]
    below = float(np.hypot(p - low_1, high_2 - q))
    above = float(np.hypot(high_1 - p, q - low_2))
    return p - q - below, p - q + above
