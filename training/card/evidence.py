"""What a run's folder holds of evidence for its card: the crops' table, calibration, report and predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from edge.contract.manifest import Age
from training.bundle.label import Label
from training.crops.split import Split, split_by_group
from training.crops.table import TEXT, TRUTH, Crops, split_groups
from training.run import AGE_SPEC, PREDICTIONS, Calibration, Run


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of a run. table: all crops; predictions: None where `evaluate` wrote none; split: of known ages."""

    label: Label
    table: pd.DataFrame
    split: Split
    metrics: Mapping[str, float]
    calibration: Calibration
    age: Age
    predictions: pd.DataFrame | None
    locator: str
    seed: int

    @property
    def simulated(self) -> bool:
        """Whether the animals are simulated: only those have latents in their table."""
        return any(str(name).startswith(TRUTH) for name in self.table)

    @property
    def aged(self) -> pd.DataFrame:
        """The rows whose age is known, in the order of the split."""
        return self.table[self.table["age_days"].notna()].reset_index(drop=True)

    @property
    def animals(self) -> str:
        """What the animals are called."""
        return "simulated mice" if self.simulated else "the researchers' own mice"


def gather(
    run: Run, label: Label, metrics: Mapping[str, float], calibration: Calibration, locator: str, seed: int
) -> Evidence:
    """Return the evidence that the run's folder holds; locator: where the locator came from, one line."""
    table = Crops.load(run).table
    aged = table[table["age_days"].notna()].reset_index(drop=True)
    predictions = None
    if run.has(PREDICTIONS):
        predictions = pd.read_csv(
            run.path(PREDICTIONS), dtype=dict.fromkeys(TEXT, str), keep_default_na=False, na_values=[""]
        )
        predictions[[name for name in TEXT if name in predictions]] = predictions[
            [name for name in TEXT if name in predictions]
        ].fillna("")
    split = split_by_group(split_groups(aged), seed)
    return Evidence(
        label, table, split, metrics, calibration, run.read_struct(AGE_SPEC, Age), predictions, locator, seed
    )
