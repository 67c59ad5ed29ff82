"""The heads that compete for the age model: what each is trained on, and how its outputs become age bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import HeadKind
from edge.vision.age_head import output_count
from training.losses.gaussian import gaussian_loss
from training.losses.items import items_loss
from training.losses.label_distribution import label_distribution, label_distribution_loss
from training.losses.outliers import outlier_loss
from training.losses.quantile import quantile_loss

HEADS: tuple[HeadKind, ...] = ("distribution", "gaussian", "quantile")
LABEL_SD_DAYS = 30.0
QUANTILES = 10
ITEMS_WEIGHT = 0.3
OUTLIERS_WEIGHT = 1.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """One kind of head over age bins (bins,), days, with frailty items beside it.

    outliers: so many rows at the end of each batch are no animals of the domain: they have no age, and the last output
    learns to tell them from the `natural` rows before them.
    """

    kind: HeadKind
    bins: Floats
    items: int = 0
    outliers: int = 0
    natural: int = 0

    @property
    def outputs(self) -> int:
        """How many numbers it gives for the age."""
        return output_count(self.kind, len(self.bins), QUANTILES)

    def targets(self, age_days: Floats, items: Floats | None = None) -> Floats:
        """Return what it is trained on, float32 (n, k): the age in its own form, then the items (NaN: not known)."""
        if self.kind == "distribution":
            found = label_distribution(age_days, self.bins, LABEL_SD_DAYS)
        else:
            found = age_days[:, None].astype(np.float32)
        return found if items is None else np.concatenate([found, items], axis=1, dtype=np.float32)

    def loss(self) -> Any:
        """Return the Keras loss: targets (n, k) and outputs (n, outputs + items)."""
        if self.kind == "distribution":
            of_age = label_distribution_loss()
        elif self.kind == "gaussian":
            of_age = gaussian_loss(self.bins)
        else:
            of_age = quantile_loss(self.bins, QUANTILES)
        return self._with_outliers(self._with_items(of_age))

    def _with_items(self, of_age: Any) -> Any:
        if not self.items:
            return of_age
        begins, outputs = (len(self.bins) if self.kind == "distribution" else 1), self.outputs

        def loss(truth: Any, values: Any) -> Any:
            beside = items_loss(truth[:, begins:], values[:, outputs:])
            return of_age(truth[:, :begins], values[:, :outputs]) + ITEMS_WEIGHT * beside

        return loss

    def _with_outliers(self, of_animals: Any) -> Any:
        if not self.outliers:
            return of_animals
        animals, count = self.natural, self.outliers

        def loss(truth: Any, values: Any) -> Any:
            beside = outlier_loss(values[:, -1], animals, count)
            return of_animals(truth[:-count], values[:-count, :-1]) + OUTLIERS_WEIGHT * beside

        return loss
