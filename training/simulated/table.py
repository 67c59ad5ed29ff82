"""The table of simulated crops: everything follows from the seed, so that older data gets its table as well.

Dates and sites are nominal, the latents are the ones that the picture was drawn from.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from edge.simulate import SimulatedAnimal, create_population
from edge.simulate.appearance import Appearance, appearance_at
from training.crops.table import TRUTH, Crops, complete

if TYPE_CHECKING:
    from training.simulated.dataset import Dataset

STRAIN = "C57BL/6J"
SITES = 4
_WEIGHT_G = 26.0
_LENGTH_MM, _GIRTH_MM = 95.0, 30.0
"""An adult of this length and width weighs this much, about; other animals by their volume (length x girth squared)."""
_WEIGHING_ERROR = 0.02


def animals_of(seed: int, cage: int, count: int = 3) -> tuple[SimulatedAnimal, ...]:
    """Return the animals of one simulated cage; the first of three are the same where the cage has fewer."""
    return create_population(
        seed * 100_003 + cage, count, born_from=date(2020, 1, 1), born_until=date(2020, 2, 1), strains=(STRAIN,)
    )


def crops_of(data: Dataset, seed: int) -> Crops:
    """Return the data's age crops with their table; `seed` is the one that the data was simulated with."""
    population = {int(cage): animals_of(seed, int(cage)) for cage in np.unique(data.cage)}
    rows = [
        _row(population[int(cage)][int(number) % 10], int(cage), float(age), bool(white))
        for cage, number, age, white in zip(data.cage, data.animal, data.age_days, data.white, strict=True)
    ]
    return Crops(data.crops, complete(pd.DataFrame(rows)))


def weight_g(appearance: Appearance, seed: int, day: int) -> float:
    """Return what scales would show on that day: volume of a body of this length and girth, with 2% of noise."""
    volume = appearance.body_length_mm / _LENGTH_MM * (appearance.girth_mm / _GIRTH_MM) ** 2
    noise = np.random.default_rng([seed, day, 0x3E]).normal(0, _WEIGHING_ERROR)
    return round(float(_WEIGHT_G * volume * np.exp(noise)), 1)


def _row(animal: SimulatedAnimal, cage: int, age_days: float, white: bool) -> dict[str, object]:
    appearance = appearance_at(animal, age_days)
    born = datetime.combine(animal.date_of_birth, time(), UTC)
    latents = {f"{TRUTH}{name}": getattr(appearance, name) for name in Appearance.FIELDS}
    return {
        "subject": animal.subject_id,
        "age_days": round(age_days, 4),
        "age_uncertainty_days": 0.0,
        "litter": animal.litter_id,
        "strain": animal.strain,
        "sex": animal.sex[0].upper(),
        "cage": f"cage{cage:04d}",
        "camera": f"cam{cage:04d}",
        "site": f"site{cage % SITES}",
        "captured_at": (born + timedelta(days=age_days)).replace(microsecond=0),
        "light": "white" if white else "infrared",
        "weight_g": weight_g(appearance, animal.seed, int(age_days)),
        f"{TRUTH}rate": animal.ageing_rate,
        **latents,
    }
