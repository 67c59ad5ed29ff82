"""How an animal's errors on neighbouring days go together, from what its days leave over about its own line.

What is left over about a fitted line is always less correlated than the errors are, the more so the fewer days there
are; the estimate is the correlation under which the left-overs would be as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.float64]
_MOST = 0.98


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One animal's days of age (n,), rising, and what they leave over about its least-squares line (n,)."""

    days: Floats
    left: Floats

    def expected(self, correlation: float, spacing: float) -> tuple[float, float, float]:
        """Return what errors of variance 1 leave over: sum of squares, sum of neighbours' products, slope's widening.

        The last is by how much the slope's variance exceeds that of independent errors.
        """
        apart = np.abs(self.days[:, None] - self.days[None]) / spacing
        errors = correlation**apart if correlation > 0 else np.eye(len(self.days))
        line = np.column_stack([np.ones_like(self.days), self.days - self.days.mean()])
        without = np.eye(len(self.days)) - line @ np.linalg.pinv(line)
        remains = without @ errors @ without
        time = line[:, 1]
        return (
            float(np.trace(remains)),
            float(np.diagonal(remains, 1).sum()),
            float(time @ errors @ time) / float(time @ time),
        )


def day_correlation(fits: Sequence[Fit]) -> tuple[float, float]:
    """Return the correlation of neighbouring days' errors, 0 to 0.98, and the median days between neighbours."""
    spacing = float(np.median(np.concatenate([np.diff(one.days) for one in fits])))
    squares = sum(float((one.left**2).sum()) for one in fits)
    if not squares > 0:
        return 0.0, spacing
    seen = sum(float((one.left[1:] * one.left[:-1]).sum()) for one in fits) / squares

    def beyond(correlation: float) -> float:
        parts = [one.expected(correlation, spacing) for one in fits]
        return sum(products for _, products, _ in parts) / sum(own for own, _, _ in parts) - seen

    if beyond(0.0) >= 0:
        return 0.0, spacing
    return (float(brentq(beyond, 0.0, _MOST, xtol=1e-3)) if beyond(_MOST) > 0 else _MOST), spacing


def widening(readings: int, correlation: float) -> float:
    """Return by how much a slope's variance over so many even days exceeds that of independent errors.

    correlation: of neighbours; it decays exponentially.
    """
    days = np.arange(readings, dtype=np.float64)
    return Fit(days, np.zeros(readings)).expected(correlation, 1.0)[2]
