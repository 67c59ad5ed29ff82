"""An animal's readings joined to days and weeks, as reports join them: what day and week intervals are calibrated on.

A **day** is an animal's readings on one calendar day of age (age_days rounded down), at least 4 of them. A **week** is
its readings within 7 days of one of them, at least 12, from at least 3 days of age. All readings of such a day or week
count. An animal whose data hold no such day (or week) gets substitutes: around each of its readings the 4 (or 12)
nearest in age, however far apart they are, or all that it has. A substitute's readings share less than those of a real
day, so that its mean looks too good (on the demo model, day intervals made of substitutes covered 84% instead of 90%):
`count_real` says how many animals have real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Unit = Literal["reading", "day", "week"]
UNITS: tuple[Unit, ...] = ("reading", "day", "week")
READINGS: dict[Unit, int] = {"reading": 1, "day": 4, "week": 12}
"""How many readings a real one has at least, and a substitute at most."""
WEEK_DAYS = 7
_LEAST_DAYS_A_WEEK = 3


@dataclass(frozen=True, slots=True, eq=False)
class Aggregates:
    """Means of m readings, days or weeks.

    predicted, age_days: float64 (m,), days; animal: int32 (m,); real: bool (m,), False for a substitute.
    """

    predicted: Floats
    age_days: Floats
    animal: NDArray[np.int32]
    real: NDArray[np.bool_]

    def where(self, mask: NDArray[np.bool_]) -> Aggregates:
        """Return those of a mask (m,)."""
        return Aggregates(self.predicted[mask], self.age_days[mask], self.animal[mask], self.real[mask])


def aggregates(predicted: Floats, age_days: Floats, animals: NDArray[np.int32], unit: Unit) -> Aggregates:
    """Return every animal's readings, days or weeks from predictions and ages (n,), days, and animals (n,)."""
    found: list[tuple[float, float, int, bool]] = []
    order = np.lexsort((age_days, animals))
    starts = np.flatnonzero(np.diff(animals[order], prepend=animals[order][:1] - 1))
    for own in np.split(order, starts[1:]):
        rows, real = _members(age_days[own], unit)
        found += [(predicted[own[m]].mean(), age_days[own[m]].mean(), int(animals[own[0]]), real) for m in rows]
    means, truth, animal, real_ones = zip(*found, strict=True)
    return Aggregates(np.array(means), np.array(truth), np.array(animal, np.int32), np.array(real_ones))


def count_real(age_days: Floats, animals: NDArray[np.int32]) -> dict[str, int]:
    """Return how many animals have a real day, and a real week: `real_day_animals`, `real_week_animals`."""
    counts = {}
    for unit in UNITS[1:]:
        found = aggregates(np.zeros(len(age_days)), age_days, animals, unit)
        counts[f"real_{unit}_animals"] = len(np.unique(found.animal[found.real]))
    return counts


def _members(ages: Floats, unit: Unit) -> tuple[list[NDArray[np.intp]], bool]:
    """Return the rows of each aggregate of one animal's ages, rising, and whether they are real."""
    if unit == "reading":
        return [np.array([row]) for row in range(len(ages))], True
    real = list(_days(ages) if unit == "day" else _weeks(ages))
    if real:
        return real, True
    nearest = (np.argsort(np.abs(ages - age), kind="stable")[: READINGS[unit]] for age in ages)
    return list(nearest), False


def _days(ages: Floats) -> Iterator[NDArray[np.intp]]:
    _, starts, counts = np.unique(np.floor(ages), return_index=True, return_counts=True)
    for start, count in zip(starts, counts, strict=True):
        if count >= READINGS["day"]:
            yield np.arange(start, start + count)


def _weeks(ages: Floats) -> Iterator[NDArray[np.intp]]:
    """Yield the readings of the 7 days that begin at each reading, where they are many enough."""
    ends = np.searchsorted(ages, ages + WEEK_DAYS, side="left")
    for start, end in enumerate(ends):
        enough = end - start >= READINGS["week"]
        if enough and len(np.unique(np.floor(ages[start:end]))) >= _LEAST_DAYS_A_WEEK:
            yield np.arange(start, end)
