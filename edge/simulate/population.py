"""A seeded population of simulated animals.

Whatever differs between two animals besides their age follows from the seed: litter, sex, strain, date of birth and a
biological ageing rate that differs from the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

import numpy as np

from edge.errors import OperatorError
from edge.simulate.strains import STRAINS

Sex = Literal["female", "male"]

RATE_SPREAD = 0.19  # standard deviation of the logarithm of the biological ageing rate
MEAN_LITTER_SIZE = 6


@dataclass(frozen=True)
class SimulatedAnimal:
    """One animal: what stays the same over its life.

    `ageing_rate` is biological days per calendar day; `seed` fixes everything individual about its appearance.
    """

    subject_id: str
    litter_id: str
    sex: Sex
    strain: str
    date_of_birth: date
    seed: int
    ageing_rate: float

    def age_days_at(self, at: datetime) -> float:
        """Calendar age in days at an aware time, counted from midnight UTC of the date of birth.

        Raises:
            OperatorError: `at` is naive, or lies before the birth.
        """
        if at.tzinfo is None:
            raise OperatorError(f"{self.subject_id}: expected an aware time, got naive {at!r}; attach a time zone")
        age_days = (at - datetime.combine(self.date_of_birth, time(), UTC)).total_seconds() / 86400
        if age_days < 0:
            raise OperatorError(
                f"{self.subject_id}: born on {self.date_of_birth}, not yet alive at {at.isoformat()}; take a later time"
            )
        return age_days


def create_population(
    seed: int,
    count: int,
    *,
    born_from: date,
    born_until: date,
    strains: tuple[str, ...] = ("C57BL/6J",),
) -> tuple[SimulatedAnimal, ...]:
    """Return `count` animals in litters, born between the two dates, both inclusive.

    The same arguments give the same animals. Animals of a litter share date of birth and strain and follow each other.
    Sex and ageing rate are drawn for each.

    Raises:
        OperatorError: a negative count, dates in the wrong order, or a strain that the simulation does not know.
    """
    if count < 0:
        raise OperatorError(f"count: expected 0 or more, got {count}")
    if born_until < born_from:
        raise OperatorError(f"born_until: expected {born_from} or later, got {born_until}")
    unknown = [strain for strain in strains if strain not in STRAINS]
    if unknown or not strains:
        raise OperatorError(f"strains: expected some of {', '.join(STRAINS)}, got {unknown or 'none'}")
    rng = np.random.default_rng([seed, 0xA9E])
    days = (born_until - born_from).days + 1
    animals: list[SimulatedAnimal] = []
    litter = 0
    while len(animals) < count:
        litter += 1
        size = int(rng.integers(MEAN_LITTER_SIZE - 2, MEAN_LITTER_SIZE + 3))
        strain = strains[int(rng.integers(len(strains)))]
        born = born_from + timedelta(days=int(rng.integers(days)))
        for _ in range(size):
            sex: Sex = "female" if rng.random() < 0.5 else "male"
            rate = float(np.exp(rng.normal(0.0, RATE_SPREAD)))
            animal_seed = int(rng.integers(2**31))
            if len(animals) < count:
                number = len(animals) + 1
                animals.append(
                    SimulatedAnimal(
                        f"sim{seed}-{number:04d}", f"sim{seed}-L{litter:03d}", sex, strain, born, animal_seed, rate
                    )
                )
    return tuple(animals)
