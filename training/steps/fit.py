"""`fit --route finetune`: the age model trained on the run's training cages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from training.crops.split import split_by_group
from training.networks.int8 import import_backend
from training.networks.shapes import age_spec
from training.run import AGE_NETWORK, Run

if TYPE_CHECKING:
    from training.age.finetune import Finetune


def train_age(run: Run, settings: Finetune, seed: int = 1, *, again: bool = False) -> None:
    """Train the age model on the run's training cages and keep it as age.keras, with age-fit.json beside it."""
    from training.age.data import age_data
    from training.age.finetune import finetune
    from training.age.outliers import outliers_for

    if run.has(AGE_NETWORK) and not again:
        return
    data = age_data(run, seed)
    train = data.where(split_by_group(data.group, seed).train)
    train = replace(train, outliers=outliers_for(run, train, seed))
    import_backend()
    finetune(run, train, age_spec(), settings, seed)
