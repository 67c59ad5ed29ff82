"""Calibration on held-out animals: temperature, intervals by cage, the domain's threshold, parts' likelihood."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Age, Band, Domain, Intervals
from training.age.aggregates import UNITS, aggregates
from training.age.fit import distributions
from training.few_units import COVERAGE, can_give
from training.losses.crps import crps

Floats = NDArray[np.float64]
BAND_EDGES_DAYS = (240.0, 480.0, 1e9)
_LEAST_IN_A_BAND = 20
_LEAST_REAL = 40


def fit_temperature(embeddings: NDArray[np.float32], age_days: NDArray[np.float32], spec: Age) -> Age:
    """Return the spec with the temperature that gives the least CRPS on held-out animals (after Guo et al., 2017)."""
    bins = np.array(spec.bin_centres_days)

    def score(temperature: float) -> float:
        trial = msgspec.structs.replace(spec, temperature=temperature)
        return float(crps(distributions(embeddings, trial), bins, age_days.astype(np.float64)).mean())

    best = min(np.exp(np.linspace(np.log(0.4), np.log(3.0), 40)), key=lambda value: score(float(value)))
    return msgspec.structs.replace(spec, temperature=round(float(best), 4))


def fit_intervals(
    predicted: Floats,
    age_days: NDArray[np.float32],
    animals: NDArray[np.int32],
    groups: NDArray[np.int32] | None = None,
    seed: int = 1,
) -> tuple[Intervals, ...]:
    """Return split-conformal intervals for a reading, an animal-day and an animal-week, banded by predicted age.

    The exchangeable unit is the cage where animals live together, for cage mates share light, lens, bedding and litter,
    and with them their errors; where each lives alone it is the animal. Each unit gives one signed score a band and
    unit of reporting: of a random one of its animals, a random aggregate (subsampling once: Dunn, Wasserman and
    Ramdas, 2023). Fewer than 9 units cannot give 90%, and then there are no bands (`training.few_units`).
    Quantiles: the ceil(0.95 (n + 1))-th of n scores on each side (Vovk et al., 2005), each weighted by
    the share of its unit's aggregates that fall in the band, or a band's few strays from its neighbours would count as
    much as what belongs there (weighted conformal: Tibshirani et al., 2019; the new unit with the mean weight). A band
    of an effective size below 20 units takes one score of every unit, whatever its band.

    predicted: (n,), days; age_days: (n,); animals: (n,); groups: the cage of each reading (n,), None where each animal
    lives alone. What is a day and a week, and what stands in where the data have none: see `training.age.aggregates`;
    where 40 units have real ones, only these count. An aggregate is banded by its own mean prediction, as a report's
    is.
    """
    groups = animals if groups is None else groups
    rng = np.random.default_rng([seed, 23])
    home = dict(zip(animals.tolist(), groups.tolist(), strict=True))
    count = len(np.unique(groups))
    found = []
    for unit in UNITS:
        means = aggregates(predicted, age_days.astype(np.float64), animals, unit)
        owners = np.array([home[animal] for animal in means.animal.tolist()])
        if len(np.unique(owners[means.real])) >= _LEAST_REAL:
            means, owners = means.where(means.real), owners[means.real]
        chances = _chances(means.animal, owners)
        errors = means.age_days - means.predicted
        band = np.searchsorted(np.array(BAND_EDGES_DAYS[:-1]), means.predicted, side="right")
        anywhere = _one_each(np.arange(len(errors)), owners, chances, rng)
        bands = []
        for number, edge in enumerate(BAND_EDGES_DAYS if can_give(len(anywhere[0])) else ()):
            chosen, weights = _one_each(np.flatnonzero(band == number), owners, chances, rng)
            if weights.sum() ** 2 < _LEAST_IN_A_BAND * (weights**2).sum() or not len(chosen):
                chosen, weights = anywhere
            low, high = _half_widths(errors[chosen], weights)
            bands.append(Band(below_days=edge, low_days=low, high_days=high))
        found.append(Intervals(unit=unit, coverage=COVERAGE, animals=count, bands=tuple(bands)))
    return tuple(found)


def fit_domain(
    train: NDArray[np.float32],
    held_out: NDArray[np.float32],
    keep: float = 0.975,
    outliers: NDArray[np.float32] | None = None,
) -> Domain:
    """Return what the domain score is made of, for embeddings (n, size): `keep` of held-out readings score below 1.

    Mahalanobis distance (Lee et al., 2018), its covariance shrunk towards the diagonal by 5%; with the embeddings of
    outliers also the direction that tells them from the training data, by logistic regression (see
    training.age.outliers). The distance then only has to notice what is far from all: it may refuse a sixth of what
    both may.
    """
    mean = train.mean(axis=0).astype(np.float64)
    covariance = np.cov(train.T.astype(np.float64))
    covariance = 0.95 * covariance + 0.05 * np.diag(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance)
    whitening = (vectors / np.sqrt(np.maximum(values, values.max() * 1e-6))).T
    distances = np.linalg.norm((held_out - mean) @ whitening.T, axis=1)
    weights, foreign = np.zeros(0), np.full(len(held_out), -np.inf)
    if outliers is not None:
        weights = _direction(train, outliers)
        foreign = held_out @ weights
    of_distance = 1 - (1 - keep) / 6 if weights.size else keep
    threshold = float(np.quantile(distances, of_distance))
    bias = -float(_quantile_beside(distances <= threshold, foreign, keep)) if weights.size else 0.0
    return Domain(
        mean=tuple(np.round(mean, 6).tolist()),
        whitening=tuple(tuple(np.round(row, 6).tolist()) for row in whitening),
        threshold=round(threshold, 5),
        foreign_weights=tuple(np.round(weights, 6).tolist()),
        foreign_bias=round(bias, 6),
    )


def domain_scores(embeddings: NDArray[np.float32], domain: Domain) -> Floats:
    """Return the domain score (n,) of embeddings (n, size), as the device computes it."""
    centred = embeddings.astype(np.float64) - np.array(domain.mean)
    scores: Floats = np.linalg.norm(centred @ np.array(domain.whitening).T, axis=1) / domain.threshold
    if not domain.foreign_weights:
        return scores
    foreign = embeddings.astype(np.float64) @ np.array(domain.foreign_weights) + domain.foreign_bias
    both: Floats = np.maximum(scores, 1.0 + foreign)
    return both


def _direction(train: NDArray[np.float32], outliers: NDArray[np.float32]) -> Floats:
    """Return weights (size,) that are high for outliers; the training data's own spread along them is 0.2.

    So that the score of an animal stays about as far below 1 as its distance does.
    """
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([train, outliers]).astype(np.float64)
    spread = np.maximum(rows.std(axis=0), 1e-9)
    label = np.arange(len(rows)) >= len(train)
    found = LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000).fit(rows / spread, label)
    weights: Floats = found.coef_[0] / spread
    weights *= 0.2 / max(float((train @ weights).std()), 1e-9)
    return weights


def _quantile_beside(near: NDArray[np.bool_], foreign: Floats, keep: float) -> float:
    """Return the lowest of the values `foreign` (n,) below which `keep` of all rows lie and are also `near` (n,)."""
    found = np.sort(foreign[near])
    return float(found[min(len(found), int(np.ceil(keep * len(foreign)))) - 1])


def _chances(animals: NDArray[np.int32], owners: NDArray[np.intp]) -> Floats:
    """Return each aggregate's chance to be drawn from its owner: a random animal of it, a random aggregate of that."""
    _, first, which, counts = np.unique(animals, return_index=True, return_inverse=True, return_counts=True)
    _, home, mates = np.unique(owners[first], return_inverse=True, return_counts=True)
    chances: Floats = 1.0 / (counts * mates[home])[which]
    return chances


def _one_each(
    rows: NDArray[np.intp], owners: NDArray[np.intp], chances: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Floats]:
    """Return of each owner among the rows one of them, drawn by their chances, and the sum of the owner's chances."""
    order = rows[np.argsort(owners[rows], kind="stable")]
    chosen, weights = [], []
    for own in np.split(order, np.flatnonzero(np.diff(owners[order])) + 1):
        weight = float(chances[own].sum())
        if weight > 0:
            place = int(np.searchsorted(np.cumsum(chances[own]), rng.random() * weight))
            chosen.append(own[min(len(own) - 1, place)])
            weights.append(weight)
    return np.array(chosen, np.intp), np.array(weights)


def _half_widths(errors: Floats, weights: Floats) -> tuple[float, float]:
    """Return by how much the truth may lie below and above a prediction: exact conformal quantiles, days, not below 0.

    Each side by its own 95% quantile where the errors (n,) allow it, from 19 of one weight on; with fewer both by the
    90% quantile of the absolute error, from 9 on (Vovk et al., 2005). Always the error of some unit, never a value
    between two.
    """
    sides = [_quantile(-errors, weights, (1 + COVERAGE) / 2), _quantile(errors, weights, (1 + COVERAGE) / 2)]
    if not np.isfinite(sides).all():
        sides = [_quantile(np.abs(errors), weights, COVERAGE)] * 2
    low, high = (round(max(0.0, side), 2) for side in sides)
    return low, high


def _quantile(scores: Floats, weights: Floats, level: float) -> float:
    """Return the least score that, with one more unit of the mean weight infinitely far off, `level` do not exceed."""
    order = np.argsort(scores)
    reached = np.cumsum(weights[order])
    wanted = (reached[-1] + weights.mean()) * level
    rank = int(np.searchsorted(reached, wanted * (1 - 1e-9)))
    return float(scores[order[rank]]) if rank < len(scores) else float("inf")
