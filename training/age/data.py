"""What the age model learns from: a run's crops with ages, animals, groups and frailty items."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.errors import OperatorError
from edge.simulate.truth import Light
from training.crops.table import TRUTH, Crops
from training.run import CROP_TABLE, DATA, Run

ITEM = "frailty_"
"""Prefix of the table's columns that hold scores of frailty items, 0 to 1, empty where nobody scored them."""


@dataclass(frozen=True, slots=True, eq=False)
class AgeData:
    """Crops uint8 (n, h, w, c) with age_days float32 (n,), animal and group int32 (n,), frailty items (n, k) or None.

    The group is what is never split: the cage, or the animal where each lives alone. outliers: crops uint8 (m, h, w, c)
    that are no animals of the domain, to be distinguished from them.
    """

    crops: NDArray[np.uint8]
    age_days: NDArray[np.float32]
    animal: NDArray[np.int32]
    group: NDArray[np.int32]
    items: NDArray[np.float32] | None = None
    item_names: tuple[str, ...] = ()
    strains: tuple[str, ...] = ()
    lights: tuple[Light, ...] = ("white", "infrared")
    simulated: bool = True
    outliers: NDArray[np.uint8] | None = None

    def where(self, mask: NDArray[np.bool_]) -> AgeData:
        """Return the rows of a mask (n,)."""
        return replace(
            self,
            crops=self.crops[mask],
            age_days=self.age_days[mask],
            animal=self.animal[mask],
            group=self.group[mask],
            items=None if self.items is None else self.items[mask],
        )


def age_data(run: Run, seed: int = 1) -> AgeData:
    """Return the run's crops whose age is known; the seed is that of a simulation.

    Raises:
        OperatorError: there are no crops, no ages, or an item's score lies outside 0 to 1.
    """
    _complete_older_run(run, seed)
    crops = Crops.load(run)
    known = crops.table["age_days"].notna().to_numpy()
    if not known.any():
        raise OperatorError(f"{run.path(CROP_TABLE)}: column age_days: expected an age in some row, got none")
    items, names = frailty_items(crops.table, run.path(CROP_TABLE))
    crops = crops.at(known)
    table = crops.table
    subject = table["subject"].where(table["subject"] != "", "row " + table.index.astype(str))
    both: tuple[Light, ...] = ("white", "infrared")
    lights = tuple(light for light in both if (table["light"] == light).any())
    return AgeData(
        crops=crops.pixels,
        age_days=table["age_days"].to_numpy(np.float32),
        animal=pd.factorize(subject)[0].astype(np.int32),
        group=crops.groups(),
        items=None if items is None else items[known],
        item_names=names,
        strains=tuple(sorted(set(table["strain"]) - {""})),
        lights=lights or both,
        simulated=any(name.startswith(TRUTH) for name in table),
    )


def known_ages(run: Run) -> pd.DataFrame:
    """Return the table of the run's crops whose age is known, in the order of `age_data`."""
    table = Crops.load(run).table
    return table[table["age_days"].notna()].reset_index(drop=True)


def frailty_items(table: pd.DataFrame, where: Path) -> tuple[NDArray[np.float32] | None, tuple[str, ...]]:
    """Return the scores float32 (n, items), NaN where missing, and their names; None where there is no such column.

    Raises:
        OperatorError: a score is no number within 0 to 1; names file, row and column.
    """
    names = tuple(str(name) for name in table if str(name).startswith(ITEM))
    found = []
    for name in names:
        given = table[name].replace("", np.nan)
        scores = pd.to_numeric(given, errors="coerce").astype(float)
        wrong = np.flatnonzero((given.notna() & scores.isna()) | (scores < 0) | (scores > 1))
        if len(wrong):
            row = int(wrong[0])
            raise OperatorError(
                f"{where}: row {row + 2}: column {name}: expected a score from 0 to 1 or nothing, got {given.iloc[row]}"
            )
        found.append(scores.to_numpy(np.float32))
    return (np.stack(found, axis=1) if found else None), names


def _complete_older_run(run: Run, seed: int) -> None:
    """Give a simulation from before crops had a table theirs, without rendering it again."""
    if run.has(DATA) and not run.has(CROP_TABLE):
        from training.simulated.dataset import SIMULATED_CUT_BY, open_data
        from training.simulated.table import crops_of

        crops_of(open_data(run), seed).save(run, SIMULATED_CUT_BY)
