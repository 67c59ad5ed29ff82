"""The locator: centres on the small view, parts on each animal's crop; fitted, quantised, scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Centres, Parts
from edge.locate import decode_centres, decode_parts
from edge.model.runtime import open_network
from edge.preprocess import Crop
from training.augment import Ranges, augmented, mirror_order
from training.fitting import Recipe, fit, refresh_statistics, seeded
from training.losses.keypoints import centre_loss, keypoint_loss
from training.networks import centres_network, parts_network
from training.quantise import quantise, spread

_NO_SHIFT = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True, eq=False)
class CentresResult:
    """A quantised first stage with its manifest entry."""

    content: bytes
    spec: Centres
    network: Any


@dataclass(frozen=True, slots=True, eq=False)
class PartsResult:
    """A quantised second stage with its manifest entry."""

    content: bytes
    spec: Parts
    network: Any


def fit_centres(
    views: NDArray[np.uint8], centres: NDArray[np.float32], spec: Centres, recipe: Recipe, seed: int = 1
) -> CentresResult:
    """Return the first stage trained on views uint8 (n, h, w, c) with centres (n, k, 2) in view pixels.

    NaN for none.
    """
    seeded(seed)()
    network = centres_network(spec)
    ranges = Ranges(zoom=0.15, shift_px=10.0)
    batches = augmented(views, centres, batch=recipe.batch, ranges=ranges, order=None, seed=seed)
    fit(network, centre_loss(spec.stride), batches, recipe, "centres")
    refresh_statistics(network, batches, 40)
    content = quantise(network, views[spread(len(views), 150)])
    opened = open_network(content)
    return CentresResult(content, msgspec.structs.replace(spec, input=opened.input, output=opened.output), network)


def fit_parts(
    crops: NDArray[np.uint8], keypoints: NDArray[np.float32], spec: Parts, recipe: Recipe, seed: int = 1
) -> PartsResult:
    """Return the second stage trained on crops uint8 (n, size, size, c) with keypoints (n, parts, 3): x, y, visible."""
    seeded(seed)()
    network = parts_network(spec)
    order = mirror_order(spec.keypoints)
    batches = augmented(crops, keypoints, batch=recipe.batch, ranges=Ranges(), order=order, seed=seed)
    fit(network, keypoint_loss(spec.stride), batches, recipe, "parts")
    refresh_statistics(network, batches, 40)
    content = quantise(network, crops[spread(len(crops), 150)])
    opened = open_network(content)
    return PartsResult(content, msgspec.structs.replace(spec, input=opened.input, output=opened.output), network)


def part_errors(
    content: bytes, spec: Parts, crops: NDArray[np.uint8], keypoints: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (Euclidean errors in crop pixels, likelihoods), both float64 (n, parts).

    NaN where the part is not visible.
    """
    network = open_network(content)
    errors = np.full(keypoints.shape[:2], np.nan)
    likelihoods = np.full(keypoints.shape[:2], np.nan)
    for index, (crop, truth) in enumerate(zip(crops, keypoints, strict=True)):
        found = decode_parts(network.run(crop), spec, Crop(crop, _NO_SHIFT, 1.0))
        for part, point in enumerate(found):
            if truth[part, 2] > 0:
                errors[index, part] = float(np.hypot(point.x - truth[part, 0], point.y - truth[part, 1]))
                likelihoods[index, part] = point.likelihood
    return errors, likelihoods


def centre_scores(
    content: bytes, spec: Centres, views: NDArray[np.uint8], centres: NDArray[np.float32], within_px: float = 10.0
) -> dict[str, float]:
    """Return recall and precision of centres within `within_px` view pixels, and their mean error."""
    network = open_network(content)
    hits, wanted, found_count = 0, 0, 0
    errors: list[float] = []
    for view, truth in zip(views, centres, strict=True):
        there = truth[~np.isnan(truth[:, 0])]
        found = np.array([point for point, _ in decode_centres(network.run(view), spec, 8)]).reshape(-1, 2)
        wanted += len(there)
        found_count += len(found)
        for point in there:
            distances = np.hypot(*(found - point).T) if len(found) else np.array([np.inf])
            if distances.min() <= within_px:
                hits += 1
                errors.append(float(distances.min()))
    return {
        "centre_recall": hits / max(1, wanted),
        "centre_precision": hits / max(1, found_count),
        "centre_error_px": float(np.mean(errors)) if errors else float("nan"),
    }


def save_stage(folder: Path, name: str, content: bytes, spec: Centres | Parts) -> None:
    """Write `<name>.tflite` and `<name>.json`, from which `bundle` packs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.tflite").write_bytes(content)
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(spec), indent=1))
