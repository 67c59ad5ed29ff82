"""Reliability of repeated readings: intraclass correlation from mean squares, error of measurement, detectable change.

Shrout and Fleiss, Psychological Bulletin 86 (1979); McGraw and Wong, Psychological Methods 1 (1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edge.errors import OperatorError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Figures of n animals read k times each; sem and change in the readings' unit.

    icc_1: ICC(1,1), one-way, any readings. icc_a: ICC(A,1), two-way, absolute agreement: Shrout and Fleiss's ICC(2,1).
    icc_c: ICC(C,1), consistency: their ICC(3,1). Each with its 95% interval. sem: standard error of measurement, the
    root of the mean square within animals. change: the least difference of two readings of an animal that is more than
    error in 95% (1.96 sqrt(2) sem).
    """

    animals: int
    readings: int
    icc_1: float
    icc_1_95: tuple[float, float]
    icc_a: float
    icc_a_95: tuple[float, float]
    icc_c: float
    icc_c_95: tuple[float, float]
    sem: float
    change: float


def reliability(values: Floats) -> Reliability:
    """Return the figures of readings (animals, k), without gaps.

    Raises:
        OperatorError: fewer than two animals or readings, or a missing value.
    """
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise OperatorError(
            f"reliability: expected at least 2 animals, each with 2 readings or more, got {values.shape}"
        )
    n, k = values.shape
    grand, rows, columns = values.mean(), values.mean(axis=1), values.mean(axis=0)
    msr = k * float(((rows - grand) ** 2).sum()) / (n - 1)
    within = float(((values - rows[:, None]) ** 2).sum())
    msw = within / (n * (k - 1))
    between = n * float(((columns - grand) ** 2).sum())
    msc = between / (k - 1)
    mse = max(0.0, within - between) / ((n - 1) * (k - 1))
    sem = float(np.sqrt(msw))
    icc_a = _share(msr - mse, msr + (k - 1) * mse + k * (msc - mse) / n)
    return Reliability(
        animals=n,
        readings=k,
        icc_1=_share(msr - msw, msr + (k - 1) * msw),
        icc_1_95=_by_f(msr, msw, n - 1, n * (k - 1), k),
        icc_a=icc_a,
        icc_a_95=_agreement(icc_a, msr, msc, mse, n, k),
        icc_c=_share(msr - mse, msr + (k - 1) * mse),
        icc_c_95=_by_f(msr, mse, n - 1, (n - 1) * (k - 1), k),
        sem=sem,
        change=1.96 * float(np.sqrt(2)) * sem,
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _by_f(between: float, error: float, df_between: int, df_error: int, k: int) -> tuple[float, float]:
    """Return the interval of (F - 1) / (F + k - 1) from the F distribution."""
    if not error > 0:
        return float("nan"), float("nan")
    ratio = between / error
    low = ratio / stats.f.ppf(0.975, df_between, df_error)
    high = ratio * stats.f.ppf(0.975, df_error, df_between)
    return float((low - 1) / (low + k - 1)), float((high - 1) / (high + k - 1))


def _agreement(icc: float, msr: float, msc: float, mse: float, n: int, k: int) -> tuple[float, float]:
    """Return the interval of ICC(A,1), its degrees of freedom by Satterthwaite (McGraw and Wong, 1996, table 7)."""
    if not mse > 0 or not np.isfinite(icc) or icc >= 1:
        return float("nan"), float("nan")
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    freedom = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    upper, lower = stats.f.ppf(0.975, n - 1, freedom), stats.f.ppf(0.975, freedom, n - 1)
    spread = k * msc + (k * n - k - n) * mse
    low = n * (msr - upper * mse) / (upper * spread + n * msr)
    high = n * (lower * msr - mse) / (spread + n * lower * msr)
    return float(low), float(high)
