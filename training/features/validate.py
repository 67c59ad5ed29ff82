"""Nested cross-validation by animal: the outer folds measure, the inner ones choose the model.

Intervals are cross-conformal (Vovk, 2015): an animal's interval comes from the errors on animals of the other folds.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.host.progress import progress
from training.features.folds import Fold, group_folds
from training.features.models import NAMES, fit_model
from training.features.prepare import FeatureTable

Floats = NDArray[np.float64]
OUTER, INNER = 5, 3
COVERAGE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """Out-of-fold results of n rows: prediction, constant guess, interval's half width, fold; what each fold chose."""

    predicted: Floats
    constant: Floats
    half_width: Floats
    fold: NDArray[np.intp]
    chosen: tuple[str, ...]
    inner_mae: tuple[dict[str, float], ...]


def validate(
    table: FeatureTable, seed: int, *, weigh: bool, names: tuple[str, ...] = NAMES, what: str = "folds of animals"
) -> Validated:
    """Return predictions for every row by models that saw none of the animal's rows; `what` names the progress."""
    folds = list(group_folds(table.animals, table.target, OUTER, seed))
    return _validate(table, folds, seed, weigh=weigh, names=names, by_row=False, what=what)


def validate_rows(table: FeatureTable, seed: int, *, weigh: bool, names: tuple[str, ...]) -> Validated:
    """Return the same with rows dealt out at random, so that an animal is on both sides: what not to do."""
    folds = list(_row_folds(len(table.target), OUTER, seed))
    return _validate(table, folds, seed, weigh=weigh, names=names, by_row=True, what="folds of rows, to compare")


def choose(
    table: FeatureTable, rows: NDArray[np.intp], seed: int, names: Iterable[str], *, weigh: bool, by_row: bool = False
) -> dict[str, float]:
    """Return each candidate's mean absolute error over inner folds of these rows."""
    target, animals = table.target[rows], table.animals[rows]
    inner = _row_folds(len(rows), INNER, seed) if by_row else group_folds(animals, target, INNER, seed)
    folds = list(inner)
    found = {}
    for name in names:
        if weigh and name == "gaussian-process":  # scikit-learn's takes no weights
            continue
        errors = np.zeros(len(rows))
        for train, test in folds:
            predicted = _fit_predict(name, table, rows[train], rows[test], seed, weigh=weigh)
            errors[test] = np.abs(predicted - target[test])
        found[name] = float(np.average(errors, weights=animal_weights(animals) if weigh else None))
    return found


def best_of(scores: dict[str, float]) -> str:
    """Return the candidate with the least error."""
    return min(scores, key=lambda name: scores[name])


def animal_weights(animals: NDArray[np.object_]) -> Floats:
    """Return weights (n,), mean 1, under which every animal counts the same however many rows it has."""
    counts = pd.Series(animals).groupby(animals.astype(str)).transform("size").to_numpy()
    weights: Floats = 1.0 / counts
    scaled: Floats = weights / weights.mean()
    return scaled


def quantile_by_animal(scores: Floats, animals: NDArray[np.object_], coverage: float = COVERAGE) -> float:
    """Return the conformal quantile of scores (n,) where the exchangeable unit is the animal.

    Each animal spreads a weight of 1 over its rows, and one more animal counts as infinitely wrong (Dunn, Wasserman and
    Ramdas, 2023): infinite where there are too few animals for the coverage.
    """
    weights = animal_weights(animals)
    count = len(np.unique(animals.astype(str)))
    weights = weights / weights.sum() * count
    order = np.argsort(scores)
    reached = np.cumsum(weights[order]) >= coverage * (count + 1) - 1e-9
    return float(scores[order][np.argmax(reached)]) if reached.any() else float("inf")


def cross_conformal(errors: Floats, animals: NDArray[np.object_], fold: NDArray[np.intp]) -> Floats:
    """Return each row's half width (n,): the quantile of the absolute errors of the animals of other folds."""
    found = np.empty(len(errors))
    for number in np.unique(fold):
        others = fold != number
        found[fold == number] = quantile_by_animal(errors[others], animals[others])
    return found


def _validate(
    table: FeatureTable, folds: list[Fold], seed: int, *, weigh: bool, names: tuple[str, ...], by_row: bool, what: str
) -> Validated:
    count = len(table.target)
    predicted, constant, fold = np.zeros(count), np.zeros(count), np.zeros(count, np.intp)
    chosen, scored = [], []
    for number, (train, test) in enumerate(progress(folds, len(folds), what)):
        scores = choose(table, train, seed, names, weigh=weigh, by_row=by_row) if len(names) > 1 else {names[0]: 0.0}
        chosen.append(best_of(scores))
        scored.append(scores)
        predicted[test] = _fit_predict(chosen[-1], table, train, test, seed, weigh=weigh)
        constant[test] = np.median(table.target[train])
        fold[test] = number
    half = cross_conformal(np.abs(predicted - table.target), table.animals, fold)
    return Validated(predicted, constant, half, fold, tuple(chosen), tuple(scored))


def _fit_predict(
    name: str, table: FeatureTable, train: NDArray[np.intp], test: NDArray[np.intp], seed: int, *, weigh: bool
) -> Floats:
    weights = animal_weights(table.animals[train]) if weigh else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fold without a rare category, a kernel at its bound: expected
        model = fit_model(name, table.features.iloc[train], table.target[train], weights, table.categories, seed)
        predicted: Floats = np.asarray(model.predict(table.features.iloc[test]), np.float64)
    low, high = table.target[train].min(), table.target[train].max()
    margin = 0.5 * (high - low)  # a linear model far outside its data says nothing
    return np.clip(predicted, low - margin, high + margin)


def _row_folds(count: int, folds: int, seed: int) -> Iterator[Fold]:
    fold = np.random.default_rng([seed, 47]).permutation(count) % folds
    for number in range(folds):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)
