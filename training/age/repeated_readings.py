"""Further animals, read repeatedly: beside a run's own calibration cages they calibrate days and weeks, and they tell
how far two readings of one animal are apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.contract.manifest import Age
from edge.errors import OperatorError
from training.age.data import AgeData, age_data, known_ages
from training.age.fit import int8_embeddings
from training.age.predictions import predict
from training.crops.table import Crops
from training.run import CROP_TABLE, Calibration, Run

SEEDS = 2_000_000
"""Added to a run's seed: the repeated readings of simulated animals are of other cages than all others."""
CAGES, DAYS, REPEATS = 100, 3, 5
"""Of simulated repeated readings: enough for real days and weeks (see training.age.aggregates)."""


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Ages and who was read: age_days float32 (n,), animal and group int32 (n,), the group being the cage."""

    age_days: NDArray[np.float32]
    animal: NDArray[np.int32]
    group: NDArray[np.int32]

    @classmethod
    def of(cls, data: AgeData) -> Readings:
        """Return those of a run."""
        return cls(data.age_days, data.animal, data.group)

    def counts(self) -> dict[str, int]:
        """Return how many animals and cages there are: `interval_animals`, `interval_cages`."""
        return {"interval_animals": len(np.unique(self.animal)), "interval_cages": len(np.unique(self.group))}

    def beside(self, other: Readings) -> Readings:
        """Return both, this one's rows first; no animal and no cage of one is one of the other's."""
        return Readings(
            np.concatenate([self.age_days, other.age_days]),
            np.concatenate([self.animal, other.animal + self.animal.max() + 1]),
            np.concatenate([self.group, other.group + self.group.max() + 1]),
        )


def further_animals(run: Run, also: Run, seed: int) -> AgeData:
    """Return all crops of the run `also`, none of whose animals is one of `run`'s.

    Raises:
        OperatorError: one is, or there are no crops with ages.
    """
    own, further = (set(Crops.load(one).table["subject"]) for one in (run, also))
    shared = sorted((own & further) - {""})
    if shared:
        raise OperatorError(
            f"{also.path(CROP_TABLE)}: column subject: expected no animal of {run}, from which the model may have "
            f"learnt, got {len(shared)}, {shared[0]} among them; those that {run} holds out calibrate already"
        )
    return age_data(also, seed)


def read_again(run: Run, also: Run, content: bytes, spec: Age, calibration: Calibration, seed: int) -> pd.DataFrame:
    """Return what the int8 network says of all readings of the run `also`: predictions.csv's columns and `animal`.

    The float network is not asked, and the corrected gap is left to who reads it: it is a line over these animals.
    """
    data = further_animals(run, also, seed)
    int8 = int8_embeddings(content, data.crops)
    predicted = predict(
        known_ages(also), int8, int8, spec, calibration.domain, calibration.intervals, calibration.validity
    )
    return predicted.assign(animal=data.animal, corrected_gap_days=np.nan)
