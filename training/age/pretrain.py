"""Self-supervised pretraining of the age model's backbone on crops without ages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Age
from training.age.fit import moved, reduced, reduced_spec
from training.age.networks import age_network, backbone_of
from training.networks.augment import Ranges, change_light
from training.networks.training_loop import Batch, Recipe, fit, refresh_statistics, seeded

if TYPE_CHECKING:
    from training.age.pretraining_network import Method

_MOVES = Ranges(rotation=0.3, zoom=0.04, shear=0.05, shift_px=20.0)
"""Wider than for the age itself, but for the zoom: size is a cue that must survive."""
_ERASED = 0.35  # most of a side that a patch covers


def pretrain(
    crops: NDArray[np.uint8],
    spec: Age,
    recipe: Recipe,
    *,
    method: Method = "vicreg",
    backbone: str,
    reduce: int = 1,
    seed: int = 1,
) -> tuple[Any, list[float]]:
    """Return the trained backbone (Keras model, crop of the reduced size to feature map) and the loss of every step."""
    from training.age.pretraining_network import Pretrainer

    seeded(seed)()
    network = backbone_of(age_network(reduced_spec(spec, reduce), backbone))
    pretrainer = Pretrainer(network, method)
    batches = view_batches(reduced(crops, reduce), recipe.batch, seed, reduce)
    pretrainer(next(batches)[0])
    losses = fit(pretrainer, None, batches, recipe, method)
    refresh_statistics(pretrainer, batches, min(40, recipe.steps))
    return network, losses


def view_batches(crops: NDArray[np.uint8], batch: int, seed: int, reduce: int = 1) -> Iterator[Batch]:
    """Yield two random views of each picture, float32 (batch, 2, h, w, c) within 0..1, and no labels, for ever."""
    rng = np.random.default_rng([seed, 29])
    ranges = Ranges(_MOVES.rotation, _MOVES.zoom, _MOVES.shear, _MOVES.shift_px / reduce)
    size = min(batch, len(crops))
    nothing = np.zeros((size, 1), np.float32)
    while True:
        order = rng.permutation(len(crops))
        for start in range(0, len(order) - size + 1, size):
            chosen = crops[order[start : start + size]]
            yield np.stack([[_view(crop, ranges, rng) for _ in range(2)] for crop in chosen]), nothing


def _view(crop: NDArray[np.uint8], ranges: Ranges, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the crop moved, in another light, with a grey patch over a part of it (Zhong et al., 2020)."""
    picture = change_light(moved(crop, ranges, rng), rng, 0.03)
    height, width = picture.shape[:2]
    h, w = (int(rng.uniform(0.1, _ERASED) * side) for side in (height, width))
    y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    picture[y : y + h, x : x + w] = rng.random()
    return picture
