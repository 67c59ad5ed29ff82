"""How many animals or cages a conformal interval needs, and how far its true coverage may lie from what it says.

An interval made of n exchangeable units covers a new one with the stated chance on average over all calibrations. With
the n that one has, the coverage of all future animals is a draw from a beta distribution (Vovk, 2012), wide where n is
small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from edge.contract.manifest import Intervals

COVERAGE = 0.9
LEAST = math.ceil(COVERAGE / (1 - COVERAGE) - 1e-9)
"""Units below which no finite interval has this coverage: (n + 1) * coverage is more than n. 9 for 90%."""
RECOMMENDED = 60
"""Here the true coverage is below 80% in about one calibration of 100."""
POOR = 0.8


def can_give(units: int) -> bool:
    """Return whether so many exchangeable units can give an interval of this coverage at all."""
    return units >= LEAST


def chance_of_poor_coverage(units: int) -> float:
    """Return the chance that a 90% interval made of so many units truly covers less than 80% of future animals."""
    both = units >= math.ceil((1 + COVERAGE) / (1 - COVERAGE) - 1e-9)
    # Exact quantiles: the k-th of n scores covers a share that is Beta(k, n + 1 - k); each side leaves out its own.
    if both:
        outside = 2 * (units + 1 - math.ceil((1 + COVERAGE) / 2 * (units + 1) - 1e-9))
    else:
        outside = units + 1 - math.ceil(COVERAGE * (units + 1) - 1e-9)
    return float(stats.beta.cdf(POOR, units + 1 - outside, outside))


def in_words(intervals: Sequence[Intervals], what: str = "cages") -> str:
    """Return how far the bundle's intervals can be relied on, a sentence or two; what: the exchangeable unit's name."""
    units = min(entry.animals for entry in intervals)
    if not can_give(units):
        return (
            f"No 90% interval is given: {units} calibration {what} cannot give one, {LEAST} are the least. It takes "
            f"{LEAST - units} more for calibration, about {math.ceil((LEAST - units) / 0.15)} more in all, as 15% "
            f"calibrate; {RECOMMENDED} for calibration are recommended."
        )
    chance = chance_of_poor_coverage(units)
    text = (
        f"The 90% intervals rest on {units} calibration {what}: the chance that they truly cover less than 80% of "
        f"future animals is {chance:.0%}."
    )
    if units >= RECOMMENDED:
        return text
    return f"{text} {RECOMMENDED} or more are recommended, {RECOMMENDED - units} more than these."
