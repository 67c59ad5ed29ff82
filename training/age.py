"""The age model: fitted on aligned crops, quantised, calibrated on animals that it has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge import image
from edge.contract.manifest import Age
from edge.model.runtime import open_network
from training.augment import Ranges, change_light, random_affine
from training.fitting import Batch, Recipe, fit, refresh_statistics, seeded
from training.losses.ageing import age_loss, label_distribution
from training.networks import age_network, with_head
from training.quantise import quantise, spread

LABEL_SD_DAYS = 30.0
_MOVES = Ranges(rotation=0.12, zoom=0.02, shear=0.02, shift_px=6.0)
"""What the locator's errors do to a crop; the zoom stays small, because size is a cue of age."""


@dataclass(frozen=True, slots=True, eq=False)
class AgeResult:
    """A quantised age model: the network to the embedding, its manifest entry with the head, and the Keras original."""

    content: bytes
    spec: Age
    network: Any


def fit_age(crops: NDArray[np.uint8], age_days: NDArray[np.float32], spec: Age, recipe: Recipe, seed: int = 1) -> Any:
    """Return the Keras model with its head, trained on crops uint8 (n, height, width.

    C) of animals aged age_days (n,).
    """
    seeded(seed)()
    bins = np.array(spec.bin_centres_days, np.float32)
    whole = with_head(age_network(spec), len(bins))
    batches = _batches(crops, age_days, bins, recipe.batch, seed)
    fit(whole, age_loss(), batches, recipe, "age")
    refresh_statistics(whole, batches, 40)
    return whole


def quantise_age(whole: Any, crops: NDArray[np.uint8], spec: Age) -> AgeResult:
    """Return the int8 network up to the embedding, its head in the manifest entry; crops must span ages and lights."""
    import keras

    network = keras.Model(whole.input, whole.get_layer("embedding").output)
    content = quantise(network, crops[spread(len(crops), 300)])
    opened = open_network(content)
    weights, bias = (np.asarray(value, np.float64) for value in whole.get_layer("head").get_weights())
    filled = msgspec.structs.replace(
        spec,
        input=opened.input,
        output=opened.output,
        head_weights=tuple(tuple(np.round(row, 6).tolist()) for row in weights),
        head_bias=tuple(np.round(bias, 6).tolist()),
    )
    return AgeResult(content, filled, network)


def int8_embeddings(content: bytes, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 (n, embedding_size): what the device computes."""
    network = open_network(content, threads=2)
    return np.stack([network.run(crop) for crop in crops])


def float_embeddings(network: Any, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 (n, embedding_size) of the Keras original."""
    found = [
        np.asarray(network(chunk.astype(np.float32) / 255, training=False))
        for chunk in np.array_split(crops, max(1, len(crops) // 64))
    ]
    return np.concatenate(found)


def distributions(embeddings: NDArray[np.float32], spec: Age) -> NDArray[np.float64]:
    """Return the probabilities (n, bins) under the spec's head and temperature.

    The same arithmetic as on the device.
    """
    logits = embeddings.astype(np.float64) @ np.array(spec.head_weights) + np.array(spec.head_bias)
    logits /= spec.temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    normalised: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def _batches(
    crops: NDArray[np.uint8], age_days: NDArray[np.float32], bins: NDArray[np.float32], batch: int, seed: int
) -> Iterator[Batch]:
    """Yield augmented batches for ever, every crop once a pass."""
    rng = np.random.default_rng([seed, 5])
    targets = label_distribution(age_days, bins, LABEL_SD_DAYS)
    while True:
        order = rng.permutation(len(crops))
        for start in range(0, max(1, len(order) - batch + 1), batch):
            chosen = order[start : start + batch]
            pictures = []
            for index in chosen:
                picture = _moved(crops[index], rng)
                pictures.append(change_light(picture.astype(np.float32) / 255, rng, 0.02))
            yield np.stack(pictures), targets[chosen]


def _moved(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the crop (h, w, c) as another locator would have cut it, or its mirror image along the body."""
    height, width, channels = crop.shape
    to_old = random_affine((width, height), _MOVES, rng, mirrored=False)
    if rng.random() < 0.5:
        to_old = to_old @ np.array([[1.0, 0, 0], [0, -1.0, height], [0, 0, 1.0]])
    plain = crop[:, :, 0] if channels == 1 else crop
    return image.cut(plain, to_old, width, height).reshape(height, width, channels)
