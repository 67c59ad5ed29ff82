"""Quantisation-aware fine-tuning, where rounding a finished network costs too much."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.base import Scalar
from edge.contract.manifest import Age
from training.age import (
    AgeResult,
    age_batches,
    distributions,
    float_embeddings,
    head_of,
    int8_embeddings,
    quantise_age,
)
from training.fitting import Recipe, fit
from training.quantise import spread

MOST_LOSS = 0.02
"""Share of the mean absolute error that rounding may add before the network is tuned for it."""
TUNING = Recipe(steps=300, batch=32, learning_rate=2e-4, warmup_steps=20)
_SAMPLE = 400


def quantise_carefully(
    whole: Any,
    crops: NDArray[np.uint8],
    age_days: NDArray[np.float32],
    spec: Age,
    *,
    seed: int = 1,
    most_loss: float = MOST_LOSS,
    recipe: Recipe = TUNING,
) -> tuple[AgeResult, dict[str, Scalar]]:
    """Return the int8 model, and what rounding cost as a share of the mean absolute error, before and after tuning.

    The network is tuned only where rounding adds more than `most_loss`; of both int8 networks the better one is kept.
    The loss is measured on training crops: held-out animals decide nothing here.
    """
    some = spread(len(crops), _SAMPLE, seed)
    plain = quantise_age(whole, crops, spec)
    by_float = _mae(float_embeddings(plain.network, crops[some]), age_days[some], plain.spec)
    before = _loss_of(plain, crops[some], age_days[some], by_float)
    said: dict[str, Scalar] = {"int8_mae_loss": round(before, 5), "quantisation_aware": False}
    if before <= most_loss:
        return plain, said
    tuned = quantise_age(_tuned(whole, crops, age_days, spec, recipe, seed), crops, spec)
    after = _loss_of(tuned, crops[some], age_days[some], by_float)
    said |= {"int8_mae_loss_aware": round(after, 5), "quantisation_aware": after < before}
    return (tuned if after < before else plain), said


def _tuned(
    whole: Any, crops: NDArray[np.uint8], age_days: NDArray[np.float32], spec: Age, recipe: Recipe, seed: int
) -> Any:
    """Return a network like `whole`, tuned with rounding in it; `whole` stays as it is."""
    import keras

    from training.aware_layers import aware_copy, copy_weights

    head = head_of(spec.head, spec)
    shown = crops[spread(len(crops), 100, seed)].astype(np.float32) / 255
    aware = aware_copy(_without_items(whole), shown)
    fit(aware, head.loss(), age_batches(crops, head.targets(age_days), recipe.batch, seed + 1), recipe, "int8")
    tuned = keras.models.clone_model(_without_items(whole))
    copy_weights(aware, tuned)
    return tuned


def _without_items(whole: Any) -> Any:
    """Return the network to the age head's outputs."""
    import keras

    from training.age_networks import HEAD

    return keras.Model(whole.input, whole.get_layer(HEAD).output)


def _loss_of(result: AgeResult, crops: NDArray[np.uint8], age_days: NDArray[np.float32], by_float: float) -> float:
    return _mae(int8_embeddings(result.content, crops), age_days, result.spec) / max(by_float, 1e-9) - 1


def _mae(embeddings: NDArray[np.float32], age_days: NDArray[np.float32], spec: Age) -> float:
    predicted = distributions(embeddings, spec) @ np.array(spec.bin_centres_days)
    return float(np.abs(predicted - age_days).mean())
