"""Figures of test animals with intervals: of all, and of each sex, strain, light and site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.crops.table import split_groups

Floats = NDArray[np.float64]
GROUPED_BY = ("sex", "strain", "light", "site")
FEWEST_CAGES = 5
"""A bootstrap of fewer cages gives an interval that only looks like one."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean absolute error in days and a coverage 0-1, each with its 95% interval, None where cages are too few."""

    group: str
    animals: int
    cages: int
    readings: int
    mae_days: float
    mae_interval: tuple[float, float] | None
    coverage: float
    coverage_interval: tuple[float, float] | None


def figures_of(predictions: pd.DataFrame, seed: int = 1) -> list[Figure]:
    """Return the figures of the test rows of predictions.csv: of all first, then of each group.

    Intervals: percentiles of 1,000 bootstrap draws of whole cages (Field and Welsh, 2007), of animals where each lives
    alone.
    """
    test = predictions[predictions["split"] == "test"].reset_index(drop=True)
    cages = split_groups(test.fillna({"subject": "", "cage": "", "site": ""}))
    found = [_figure("all", test, cages, seed)]
    for column in GROUPED_BY:
        values = test[column].fillna("").astype(str) if column in test else pd.Series("", index=test.index)
        for value in sorted(set(values) - {""}):
            rows = (values == value).to_numpy()
            found.append(_figure(f"{column} {value}", test[rows], cages[rows], seed))
    return found


def spread_between_cages(predictions: pd.DataFrame) -> tuple[float, float, int] | None:
    """Return the 10% and 90% quantile of the mean gap (predicted - age) of test cages, days, and how many cages."""
    test = predictions[predictions["split"] == "test"].reset_index(drop=True)
    cages = split_groups(test.fillna({"subject": "", "cage": "", "site": ""}))
    means = (test["predicted_days"] - test["age_days"]).groupby(cages).mean()
    if len(means) < FEWEST_CAGES:
        return None
    return float(means.quantile(0.1)), float(means.quantile(0.9)), len(means)


def _figure(group: str, rows: pd.DataFrame, cages: NDArray[np.int32], seed: int) -> Figure:
    errors = (rows["predicted_days"] - rows["age_days"]).abs().to_numpy(np.float64)
    inside = rows["age_days"].between(rows["low_90_days"], rows["high_90_days"]).to_numpy(np.float64)
    none = bool(rows["low_90_days"].isna().any())  # a bundle whose cages are too few for an interval
    return Figure(
        group=group,
        animals=int(rows["subject"].nunique()),
        cages=len(np.unique(cages)),
        readings=len(rows),
        mae_days=float(errors.mean()),
        mae_interval=_bootstrap(errors, cages, seed),
        coverage=float("nan") if none else float(inside.mean()),
        coverage_interval=None if none else _bootstrap(inside, cages, seed),
    )


def _bootstrap(values: Floats, cages: NDArray[np.int32], seed: int, draws: int = 1000) -> tuple[float, float] | None:
    _, which = np.unique(cages, return_inverse=True)
    sums, counts = np.bincount(which, values), np.bincount(which)
    if len(counts) < FEWEST_CAGES:
        return None
    drawn = np.random.default_rng([seed, 31]).integers(0, len(counts), (draws, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
