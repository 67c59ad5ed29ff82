"""A frozen embedding of a run's crops as the table of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.contract.manifest import AGE
from edge.errors import OperatorError
from training.crops.split import split_by_group
from training.crops.table import Crops
from training.features.prepare import LEAST_ANIMALS, FeatureTable
from training.run import AGE_NETWORK, BACKBONE, CROP_TABLE, DATA, Run

EMBEDDINGS = ("int8", "float", "backbone")


def embedded(run: Run, kind: str, seed: int, network: Run | None = None) -> FeatureTable:
    """Return the embedding of RUN's crops with age_days as the target.

    kind: "int8" (age.tflite, what the device computes), "float" (age.keras) or "backbone" (backbone.keras of
    `pretrain`, which saw no ages). The age network has seen the ages of its training animals, so with the first two
    only held-out animals are used, unless the network comes from another run (`network`). Animals that ever shared a
    cage stay on one side.

    Raises:
        OperatorError: the network or the crops are not there, or too few animals are left.
    """
    path = (network or run).require({"int8": AGE, "float": AGE_NETWORK, "backbone": BACKBONE}[kind])
    crops = Crops.load(run)
    if kind != "backbone" and path.parent.resolve() == run.folder.resolve():
        crops = crops.at(~split_by_group(_split_of(run, crops), seed).train)
    crops = crops.at(crops.table.age_days.notna().to_numpy())
    groups = crops.groups()
    if len(np.unique(groups)) < LEAST_ANIMALS:
        raise OperatorError(
            f"{run.path(CROP_TABLE)}: expected at least {LEAST_ANIMALS} animals or cages that the network has not "
            f"seen, got {len(np.unique(groups))}"
        )
    vectors = _vectors(path, kind, crops.pixels)
    return FeatureTable(
        features=pd.DataFrame(vectors, columns=[f"e{number:03d}" for number in range(vectors.shape[1])]).astype(float),
        categories=(),
        target=crops.table.age_days.to_numpy(float),
        animals=groups.astype(str).astype(object),
        lines=np.arange(2, len(crops) + 2),
        name="age_days",
    )


def _split_of(run: Run, crops: Crops) -> NDArray[np.int32]:
    """Return the groups by which the age network was split: the simulation's cages, else those of the table."""
    if run.has(DATA):
        with np.load(run.path(DATA), allow_pickle=False) as arrays:
            cages: NDArray[np.int32] = arrays["cage"]
        return cages
    return crops.groups()


def _vectors(path: Path, kind: str, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    from training.age.fit import float_embeddings, int8_embeddings, reduced

    if kind == "int8":
        return int8_embeddings(path.read_bytes(), pixels)
    import keras

    whole = keras.models.load_model(path, compile=False)
    if kind == "float":
        return float_embeddings(keras.Model(whole.input, whole.get_layer("embedding").output), pixels)
    found = float_embeddings(whole, reduced(pixels, pixels.shape[1] // whole.input_shape[1]))
    return found if found.ndim == 2 else np.asarray(found.mean(axis=(1, 2)))
