"""What all sections are made of: readings with what is known and predicted of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.contract.manifest import Age
from training.age.data import AgeData
from training.age.fit import distributions, int8_embeddings
from training.crops.split import Split
from training.run import Calibration

Floats = NDArray[np.float64]
MOST_TRAINING = 6000
"""Training readings that are embedded; of more, each animal gives evenly spaced ones."""
BANDS_DAYS = (0.0, 120.0, 240.0, 360.0, 480.0, 600.0, 720.0, float("inf"))


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """All readings of known age, and the int8 model.

    table: n rows of the crops' table, with `animal` (int), `group` (int: what is never split, a cage or an animal) and
    `split` (train, calibration, test). crops uint8 (n, h, w, c). embeddings float32 (n, size), NaN where a training
    reading was left out. predictions: predictions.csv's columns of the test readings, in the table's order, with
    `animal`. content: the int8 network. median_days: of the training readings, the constant guess. again: the same
    columns as `predictions`, of further animals that were read repeatedly, where there are any.
    """

    table: pd.DataFrame
    crops: NDArray[np.uint8]
    embeddings: NDArray[np.float32]
    predictions: pd.DataFrame
    spec: Age
    calibration: Calibration
    content: bytes
    median_days: float
    simulated: bool
    seed: int
    again: pd.DataFrame | None = None

    @property
    def age_days(self) -> Floats:
        """Return the true ages (n,)."""
        ages: Floats = self.table["age_days"].to_numpy(np.float64)
        return ages

    @property
    def animal(self) -> NDArray[np.int_]:
        """Return the animals (n,)."""
        animals: NDArray[np.int_] = self.table["animal"].to_numpy()
        return animals

    def side(self, *names: str) -> NDArray[np.intp]:
        """Return the rows of these splits that have an embedding."""
        mask = self.table["split"].isin(names).to_numpy() & np.isfinite(self.embeddings[:, 0])
        return np.flatnonzero(mask)

    @property
    def probabilities(self) -> Floats:
        """Return the age distributions (test readings, bins)."""
        return distributions(self.embeddings[self.side("test")], self.spec)


def gather(
    data: AgeData,
    table: pd.DataFrame,
    split: Split,
    held: NDArray[np.float32],
    predictions: pd.DataFrame,
    model: tuple[bytes, Age, Calibration],
    seed: int,
) -> Material:
    """Return the material; held: embeddings of the calibration and test readings; predictions: those of the same."""
    content, spec, calibration = model
    side = np.where(split.train, "train", np.where(split.test, "test", "calibration"))
    known = table.assign(animal=data.animal, group=data.group, split=side)
    embeddings = np.full((len(known), held.shape[1]), np.nan, np.float32)
    embeddings[~split.train] = held
    some = thinned(data.animal, np.flatnonzero(split.train), MOST_TRAINING)
    embeddings[some] = int8_embeddings(content, data.crops[some])
    test = predictions["split"] == "test"
    of_test = predictions[test].reset_index(drop=True).assign(animal=data.animal[split.test])
    median = float(np.median(data.age_days[split.train]))
    return Material(known, data.crops, embeddings, of_test, spec, calibration, content, median, data.simulated, seed)


def thinned(animals: NDArray[np.integer], rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return at most about `most` of the rows, every k-th in the order of their animals."""
    if len(rows) <= most:
        return rows
    order = rows[np.argsort(animals[rows], kind="stable")]
    return np.sort(order[:: -(-len(rows) // most)])


def age_band(age_days: Floats) -> NDArray[np.object_]:
    """Return each age's band as a text in weeks."""
    names = [
        f"{low / 7:.0f} to {high / 7:.0f} weeks" if np.isfinite(high) else f"over {low / 7:.0f} weeks"
        for low, high in pairwise(BANDS_DAYS)
    ]
    return np.array(names, object)[np.digitize(age_days, BANDS_DAYS[1:-1])]


def bands_in_order(age_days: Floats) -> list[str]:
    """Return the bands that occur, the youngest first."""
    return list(dict.fromkeys(age_band(np.sort(age_days))))
