"""The age model: fitted on aligned crops, quantised, calibrated on animals that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Age, HeadKind
from edge.errors import OperatorError
from edge.vision import image
from edge.vision.age_head import bin_probabilities, head_outputs
from edge.vision.model.runtime import open_network
from training.age.heads import Head
from training.age.networks import DEFAULT, HEAD, age_network, embedding_of, with_head
from training.networks.augment import Ranges, change_light, random_affine
from training.networks.int8 import quantise, spread
from training.networks.training_loop import Batch, Recipe, fit, refresh_statistics, seeded

_MOVES = Ranges(rotation=0.12, zoom=0.02, shear=0.02, shift_px=6.0)
"""What the locator's errors do to a crop; the zoom stays small, because size is a cue of age."""
_NATURAL = 0.25
"""Strength of the light's changes beside foreign crops: at 1 a brown coat may be a black one."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Which network. `reduce`: the crop is averaged over squares of so many pixels, a divisor of its size."""

    backbone: str = DEFAULT
    reduce: int = 1
    head: HeadKind = "distribution"


@dataclass(frozen=True, slots=True, eq=False)
class AgeResult:
    """A quantised age model: the network to the embedding, its manifest entry with the head, and the Keras original."""

    content: bytes
    spec: Age
    network: Any


def fit_age(
    crops: NDArray[np.uint8],
    age_days: NDArray[np.float32],
    spec: Age,
    recipe: Recipe,
    seed: int = 1,
    *,
    architecture: Architecture | None = None,
    items: NDArray[np.float32] | None = None,
    prepare: Callable[[Any], None] | None = None,
    outliers: NDArray[np.uint8] | None = None,
) -> Any:
    """Return the Keras model with its head, trained on crops uint8 (n, height, width, channels) of age_days (n,).

    items: scores of frailty items, float32 (n, k) within 0..1, NaN where not known: learnt beside the age.
    prepare: is given the embedding network before training, to put pretrained weights into it.
    outliers: crops uint8 (m, height, width, channels) that no age should be given for; each batch has three eighths
        more rows of them, which the embedding learns to tell from the half of the animals that keep their light.
    """
    seeded(seed)()
    architecture = architecture or Architecture()
    head = head_of(architecture.head, spec, items)
    if outliers is not None:
        head = beside_outliers(head, recipe.batch)
    small = reduced_spec(spec, architecture.reduce)
    network = age_network(small, architecture.backbone)
    if prepare is not None:
        prepare(network)
    whole = with_head(network, head.outputs, head.items, outlier=head.outliers > 0)
    targets = head.targets(age_days, items)
    batches = age_batches(
        reduced(crops, architecture.reduce), targets, recipe.batch, seed, architecture.reduce, head.natural
    )
    if outliers is not None:
        batches = with_outliers(
            batches, reduced(outliers, architecture.reduce), head.outliers, seed, architecture.reduce
        )
    fit(whole, head.loss(), batches, recipe, "age")
    refresh_statistics(whole, batches, min(40, recipe.steps))
    if architecture.reduce == 1:
        return whole
    full = with_head(
        age_network(spec, architecture.backbone, architecture.reduce),
        head.outputs,
        head.items,
        outlier=head.outliers > 0,
    )
    full.set_weights(whole.get_weights())
    return full


def head_of(kind: HeadKind, spec: Age, items: NDArray[np.float32] | None = None) -> Head:
    """Return the head over the spec's bins, with as many frailty items as the columns of `items`."""
    return Head(kind, np.array(spec.bin_centres_days, np.float32), 0 if items is None else items.shape[1])


def beside_outliers(head: Head, batch: int) -> Head:
    """Return the head for batches of so many animals, half of them in natural light, with outliers behind them."""
    return replace(head, outliers=max(1, 3 * batch // 8), natural=max(1, batch // 2))


def reduced(crops: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return crops (n, h, w, c) averaged over squares of `factor` pixels."""
    if factor == 1:
        return crops
    count, height, width, channels = crops.shape
    shape = (-1, height // factor, factor, width // factor, factor, channels)
    parts = [
        np.round(part.reshape(shape).mean(axis=(2, 4), dtype=np.float32)).astype(np.uint8)
        for part in np.array_split(crops, max(1, count // 256))
    ]
    return np.concatenate(parts)


def reduced_spec(spec: Age, factor: int) -> Age:
    """Return the spec of crops that are `factor` times smaller.

    Raises:
        OperatorError: the factor does not divide width and height, or leaves less than 32 pixels.
    """
    if spec.width % factor or spec.height % factor or min(spec.width, spec.height) // factor < 32:
        raise OperatorError(
            f"--reduce: expected a divisor of the crop's {spec.width} x {spec.height} px leaving 32 px, got {factor}"
        )
    return msgspec.structs.replace(
        spec, width=spec.width // factor, height=spec.height // factor, px_per_mm=spec.px_per_mm / factor
    )


def quantise_age(whole: Any, crops: NDArray[np.uint8], spec: Age) -> AgeResult:
    """Return the int8 network up to the embedding, its head in the manifest entry; crops must span ages and lights.

    The spec names the kind of head. Frailty items stay behind: the device reports none.
    """
    network = embedding_of(whole)
    content = quantise(network, crops[spread(len(crops), 300)])
    opened = open_network(content)
    filled = with_trained_head(spec, whole, spec.head)
    return AgeResult(content, msgspec.structs.replace(filled, input=opened.input, output=opened.output), network)


def with_trained_head(spec: Age, whole: Any, kind: HeadKind) -> Age:
    """Return the spec with the network's head of that kind: the numbers that the device applies."""
    weights, bias = (np.asarray(value, np.float64) for value in whole.get_layer(HEAD).get_weights())
    return msgspec.structs.replace(
        spec,
        head=kind,
        head_weights=tuple(tuple(np.round(row, 6).tolist()) for row in weights),
        head_bias=tuple(np.round(bias, 6).tolist()),
    )


def int8_embeddings(content: bytes, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 (n, embedding_size): what the device computes."""
    network = open_network(content, threads=2)
    return np.stack([network.run(crop) for crop in crops])


def float_embeddings(network: Any, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return float32 (n, embedding_size) of the Keras original."""
    import keras

    # PyTorch's tensors carry gradients, and numpy takes none that does.
    found = [
        keras.ops.convert_to_numpy(network(chunk.astype(np.float32) / 255, training=False))
        for chunk in np.array_split(crops, max(1, len(crops) // 64))
    ]
    return np.concatenate(found)


def distributions(embeddings: NDArray[np.float32], spec: Age) -> NDArray[np.float64]:
    """Return the probabilities (n, bins) under the spec's head and temperature.

    The same arithmetic as on the device.
    """
    outputs = head_outputs(embeddings.astype(np.float64), np.array(spec.head_weights), np.array(spec.head_bias))
    return np.asarray(bin_probabilities(outputs, spec, np.array(spec.bin_centres_days)), np.float64)


def age_batches(
    crops: NDArray[np.uint8], targets: NDArray[np.float32], batch: int, seed: int, reduce: int = 1, natural: int = 0
) -> Iterator[Batch]:
    """Yield augmented batches for ever, every crop once a pass: float32 pixels 0..1 and their targets.

    The last `natural` rows of each keep their light, nearly: what is foreign shows in it.
    """
    rng = np.random.default_rng([seed, 5])
    moves = replace(_MOVES, shift_px=_MOVES.shift_px / reduce)
    while True:
        order = rng.permutation(len(crops))
        for start in range(0, max(1, len(order) - batch + 1), batch):
            chosen = order[start : start + batch]
            pictures = []
            for place, index in enumerate(chosen):
                picture = moved(crops[index], moves, rng)
                strength = _NATURAL if place >= len(chosen) - natural else 1.0
                pictures.append(change_light(picture, rng, 0.02, strength))
            yield np.stack(pictures), targets[chosen]


def with_outliers(
    batches: Iterator[Batch], outliers: NDArray[np.uint8], count: int, seed: int, reduce: int = 1
) -> Iterator[Batch]:
    """Yield the batches with `count` augmented outliers at their end, whose targets are zeros that nobody looks at."""
    rng = np.random.default_rng([seed, 29])
    moves = replace(_MOVES, shift_px=_MOVES.shift_px / reduce)
    for pixels, targets in batches:
        chosen = rng.integers(len(outliers), size=count)
        turned = [moved(outliers[at], moves, rng) for at in chosen]
        shown = [change_light(picture, rng, 0.02, _NATURAL) for picture in turned]
        empty = np.zeros((count, targets.shape[1]), targets.dtype)
        yield np.concatenate([pixels, np.stack(shown)]), np.concatenate([targets, empty])


def moved(crop: NDArray[np.uint8], ranges: Ranges, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the crop (h, w, c) as another locator would have cut it, or its mirror image along the body."""
    height, width, channels = crop.shape
    to_old = random_affine((width, height), ranges, rng, mirrored=False)
    if rng.random() < 0.5:
        to_old = to_old @ np.array([[1.0, 0, 0], [0, -1.0, height], [0, 0, 1.0]])
    plain = crop[:, :, 0] if channels == 1 else crop
    return image.cut(plain, to_old, width, height).reshape(height, width, channels)
