"""Quantisation-aware fine-tuning, where rounding a finished network costs too much."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.base import Scalar
from edge.contract.manifest import Age
from training.age.fit import (
    AgeResult,
    age_batches,
    beside_outliers,
    distributions,
    float_embeddings,
    head_of,
    int8_embeddings,
    quantise_age,
    with_outliers,
)
from training.networks.int8 import spread
from training.networks.training_loop import Recipe, fit

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
    outliers: NDArray[np.uint8] | None = None,
) -> tuple[AgeResult, dict[str, Scalar]]:
    """Return the int8 model, and what rounding cost as a share of the mean absolute error, before and after tuning.

    The network is tuned only where rounding adds more than `most_loss`; of both int8 networks the better one is kept.
    The loss is measured on training crops: held-out animals decide nothing here. outliers: crops uint8 (m, h, w, c)
    that the network was trained to tell from animals, so that tuning keeps that too.
    """
    some = spread(len(crops), _SAMPLE, seed)
    plain = quantise_age(whole, crops, spec)
    by_float = _mae(float_embeddings(plain.network, crops[some]), age_days[some], plain.spec)
    before = _loss_of(plain, crops[some], age_days[some], by_float)
    record: dict[str, Scalar] = {"int8_mae_loss": round(before, 5), "quantisation_aware": False}
    if before <= most_loss:
        return plain, record
    tuned = quantise_age(_tuned(whole, crops, age_days, spec, recipe, seed, outliers), crops, spec)
    after = _loss_of(tuned, crops[some], age_days[some], by_float)
    record |= {"int8_mae_loss_aware": round(after, 5), "quantisation_aware": after < before}
    return (tuned if after < before else plain), record


def _tuned(
    whole: Any,
    crops: NDArray[np.uint8],
    age_days: NDArray[np.float32],
    spec: Age,
    recipe: Recipe,
    seed: int,
    outliers: NDArray[np.uint8] | None,
) -> Any:
    """Return a network like `whole`, tuned with rounding in it; `whole` stays as it is."""
    import keras

    from training.networks.fake_quantisation import aware_copy, copy_weights

    head = head_of(spec.head, spec)
    if outliers is not None:
        head = beside_outliers(head, recipe.batch)
    batches = age_batches(crops, head.targets(age_days), recipe.batch, seed + 1, natural=head.natural)
    if outliers is not None:
        batches = with_outliers(batches, outliers, head.outliers, seed + 1)
    shown = crops[spread(len(crops), 100, seed)].astype(np.float32) / 255
    plain = _without_items(whole, outlier=outliers is not None)
    aware = aware_copy(plain, shown)
    fit(aware, head.loss(), batches, recipe, "int8")
    tuned = keras.models.clone_model(plain)
    copy_weights(aware, tuned)
    return tuned


def _without_items(whole: Any, *, outlier: bool) -> Any:
    """Return the network to the age head's outputs, and the logit of being foreign behind them."""
    import keras

    from training.age.networks import HEAD, OUTLIER

    found = whole.get_layer(HEAD).output
    if outlier:
        found = keras.layers.Concatenate()([found, whole.get_layer(OUTLIER).output])
    return keras.Model(whole.input, found)


def _loss_of(result: AgeResult, crops: NDArray[np.uint8], age_days: NDArray[np.float32], by_float: float) -> float:
    return _mae(int8_embeddings(result.content, crops), age_days, result.spec) / max(by_float, 1e-9) - 1


def _mae(embeddings: NDArray[np.float32], age_days: NDArray[np.float32], spec: Age) -> float:
    predicted = distributions(embeddings, spec) @ np.array(spec.bin_centres_days)
    return float(np.abs(predicted - age_days).mean())
