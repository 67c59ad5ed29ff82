"""The light head of the report: ridge regression on the frozen embedding, refitted in a moment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from training.features.models import fit_model
from training.features.prepare import FeatureTable
from training.features.validate import Validated, validate, validate_rows

Floats = NDArray[np.float64]
HEAD = ("ridge-1",)
PIXELS = ("ridge-1000",)
"""For grey squares: many and alike, so shrunk strongly."""


def predict(
    train: NDArray[np.floating],
    age_days: NDArray[np.floating],
    test: NDArray[np.floating],
    seed: int = 1,
    name: str = HEAD[0],
) -> Floats:
    """Return ages (m,) of features (m, k) by a head fitted on features (n, k) and ages (n,).

    Predictions stay within the ages that were seen: a straight line knows no end of life.
    """
    frame, other = _frame(train), _frame(test)
    model = fit_model(name, frame, age_days.astype(np.float64), None, (), seed)
    found: Floats = np.asarray(model.predict(other), np.float64)
    return np.clip(found, age_days.min(), age_days.max())


def cross_fit(
    features: Floats | pd.DataFrame,
    age_days: Floats,
    groups: NDArray[np.int_],
    seed: int,
    names: tuple[str, ...] = HEAD,
    categories: tuple[str, ...] = (),
    *,
    what: str,
) -> Validated:
    """Return out-of-fold predictions for every row; a group is on one side only. `what` names the progress."""
    table = _table(features, age_days, groups, categories)
    with threadpool_limits(1):  # so few rows are slower on several threads, much slower where the cores are shared
        return validate(table, seed, weigh=False, names=names, what=f"report: {what}")


def cross_fit_rows(features: Floats, age_days: Floats, groups: NDArray[np.int_], seed: int) -> Validated:
    """Return the same with rows dealt out at random: what not to do."""
    with threadpool_limits(1):
        return validate_rows(_table(features, age_days, groups, ()), seed, weigh=False, names=HEAD)


def _table(
    features: Floats | pd.DataFrame, age_days: Floats, groups: NDArray[np.int_], categories: tuple[str, ...]
) -> FeatureTable:
    frame = features if isinstance(features, pd.DataFrame) else _frame(features)
    return FeatureTable(
        features=frame.reset_index(drop=True),
        categories=categories,
        target=age_days,
        animals=groups.astype(str).astype(object),
        lines=np.arange(2, len(age_days) + 2),
        name="age_days",
    )


def _frame(values: NDArray[np.floating]) -> pd.DataFrame:
    return pd.DataFrame(values.astype(float), columns=[f"e{number:03d}" for number in range(values.shape[1])])
