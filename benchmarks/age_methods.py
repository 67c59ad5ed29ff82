"""Which way to train the age model: heads, and pretraining with a tenth of the labels and with all of them.

    python -m benchmarks.age_methods RUN [--reduce 4] [--steps 1500] [--pretrain-steps 1500] [--seed 1] [--only heads]

RUN is a folder of `cageclock-train simulate`. Trained on the training cages, scored (float32, means over animals) on
the calibration cages, by which one chooses, and on the test cages. Not part of `make bench`: it takes many minutes of
CPU time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge.contract.manifest import HeadKind
from training.age.data import AgeData, age_data
from training.age.finetune import score
from training.age.fit import Plan, fit_age
from training.age.heads import HEADS
from training.age.networks import backbone_of
from training.age.pretrain import pretrain
from training.crops.split import split_by_group
from training.networks.int8 import import_backend
from training.networks.shapes import age_spec
from training.networks.training_loop import Recipe

Prepare = Callable[[Any], None]


def main() -> None:
    """Print one row a trained network."""
    parser = argparse.ArgumentParser(description="Compare heads and pretraining of the age model.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--reduce", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--pretrain-steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("heads", "pretraining"))
    options = parser.parse_args()
    data = age_data(options.run)
    import_backend()
    split = split_by_group(data.group, 1)
    train, held, test = data.where(split.train), data.where(split.calibration), data.where(split.test)
    print("| pretraining | head | cages | CRPS, MAE calibration | CRPS, MAE test | gap slope | CPU s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for kind in HEADS if options.only != "pretraining" else ():
        _row("none", kind, train, options.steps, held, test, options, None)
    if options.only == "heads":
        return
    cages = np.unique(train.group)
    some = np.random.default_rng([options.seed, 3]).permutation(cages)[: len(cages) // 10]
    few = train.where(np.isin(train.group, some))
    for method in ("none", "vicreg", "simsiam"):
        prepare = None if method == "none" else _pretrained(train, method, options)
        for labelled, steps in ((few, options.steps // 2), (train, options.steps)):
            _row(method, "distribution", labelled, steps, held, test, options, prepare)


def _pretrained(train: AgeData, method: str, options: argparse.Namespace) -> Prepare:
    recipe = Recipe(options.pretrain_steps, 64, 3e-3)
    backbone, _ = pretrain(
        train.crops,
        age_spec(),
        recipe,
        method=method,
        backbone="plain-1",
        reduce=options.reduce,
        seed=options.seed,
    )
    weights = backbone.get_weights()
    return lambda network: backbone_of(network).set_weights(weights)


def _row(
    method: str,
    kind: HeadKind,
    train: AgeData,
    steps: int,
    held: AgeData,
    test: AgeData,
    options: argparse.Namespace,
    prepare: Prepare | None,
) -> None:
    spec, begin = age_spec(), time.process_time()
    plan = Plan("plain-1", options.reduce, kind)
    network = fit_age(
        train.crops, train.age_days, spec, Recipe(steps, 32, 3e-3), options.seed, plan=plan, prepare=prepare
    )
    took = time.process_time() - begin
    found = [score(network, data, spec, kind) for data in (held, test)]
    pairs = [f"{figures['crps_days']:.1f}, {figures['mae_days']:.1f}" for figures in found]
    cages = len(np.unique(train.group))
    slope = found[1]["gap_slope"]
    print(f"| {method} | {kind} | {cages} | {pairs[0]} | {pairs[1]} | {slope:.2f} | {took:.0f} |", flush=True)


if __name__ == "__main__":
    main()
