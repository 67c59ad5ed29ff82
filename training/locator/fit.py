"""The locator: centres on the small view, parts on each animal's crop; fitted, quantised, scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Centres, Parts
from edge.vision.locate import decode_centres, decode_parts
from edge.vision.model.runtime import open_network
from edge.vision.preprocess import Crop
from training.locator.likelihood import fit_likelihood
from training.locator.networks import centres_network, parts_network
from training.losses.keypoints import centre_loss, keypoint_loss
from training.networks.augment import Augmented, Ranges, mirror_order
from training.networks.checkpoint import Checkpoint, fingerprint
from training.networks.int8 import quantise, spread
from training.networks.training_loop import Recipe, fit, refresh_statistics, seeded

HIT_MM = 3.0
"""A part is found where it is visible and this near: its likelihood is the probability of that."""
_NO_SHIFT = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a training keeps its checkpoint, how often (seconds), and whether it goes on from one that is there."""

    folder: Path
    resume: bool = True
    every_s: float = 60.0


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
    views: NDArray[np.uint8],
    centres: NDArray[np.float32],
    spec: Centres,
    recipe: Recipe,
    seed: int = 1,
    kept: Kept | None = None,
) -> CentresResult:
    """Return the first stage trained on views uint8 (n, h, w, c) with centres (n, k, 2) in view pixels.

    NaN for none. kept: where its checkpoint lies, if it is to have one.
    """
    seeded(seed)()
    network = centres_network(spec)
    ranges = Ranges(zoom=0.15, shift_px=10.0)
    batches = Augmented(views, centres, batch=recipe.batch, ranges=ranges, order=None, seed=seed)
    checkpoint = _checkpoint(kept, "centres", views, centres, recipe, seed)
    fit(network, centre_loss(spec.stride), batches, recipe, "centres", checkpoint)
    refresh_statistics(network, batches, min(40, recipe.steps))
    content = quantise(network, views[spread(len(views), 150)])
    if checkpoint is not None:
        checkpoint.remove()
    opened = open_network(content)
    return CentresResult(content, msgspec.structs.replace(spec, input=opened.input, output=opened.output), network)


def fit_parts(
    crops: NDArray[np.uint8],
    keypoints: NDArray[np.float32],
    spec: Parts,
    recipe: Recipe,
    seed: int = 1,
    kept: Kept | None = None,
) -> PartsResult:
    """Return the second stage trained on crops uint8 (n, s, s, c) with keypoints (n, parts, 3): x, y, visible.

    s is `spec.size` or more: what is around the crops is turned and shifted into view.
    kept: where its checkpoint lies, if it is to have one.
    """
    seeded(seed)()
    network = parts_network(spec)
    order = mirror_order(spec.keypoints)
    size = (spec.size, spec.size)
    batches = Augmented(crops, keypoints, batch=recipe.batch, ranges=Ranges(), order=order, seed=seed, size=size)
    checkpoint = _checkpoint(kept, "parts", crops, keypoints, recipe, seed)
    fit(network, keypoint_loss(spec.stride), batches, recipe, "parts", checkpoint)
    refresh_statistics(network, batches, min(40, recipe.steps))
    margin = (crops.shape[1] - spec.size) // 2
    middle = crops[:, margin : margin + spec.size, margin : margin + spec.size]
    content = quantise(network, middle[spread(len(crops), 150)])
    opened = open_network(content)
    if checkpoint is not None:
        checkpoint.remove()
    return PartsResult(content, msgspec.structs.replace(spec, input=opened.input, output=opened.output), network)


def _checkpoint(kept: Kept | None, name: str, *parts: object) -> Checkpoint | None:
    if kept is None:
        return None
    return Checkpoint(kept.folder / f"{name}.checkpoint.npz", fingerprint(name, *parts), kept.resume, kept.every_s)


def part_errors(
    content: bytes, spec: Parts, crops: NDArray[np.uint8], keypoints: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (Euclidean errors in crop pixels, likelihoods), both float64 (n, parts).

    NaN where the part is not visible.
    """
    found = found_parts(content, spec, crops)
    seen = keypoints[..., 2] > 0
    errors = np.hypot(found[..., 0] - keypoints[..., 0], found[..., 1] - keypoints[..., 1])
    return np.where(seen, errors, np.nan), np.where(seen, found[..., 2], np.nan)


def with_likelihood(content: bytes, spec: Parts, crops: NDArray[np.uint8], keypoints: NDArray[np.float32]) -> Parts:
    """Return the second stage's manifest entry, its likelihood fitted on crops that the network has not seen.

    A hit is a visible part that is found within HIT_MM.
    """
    plain = msgspec.structs.replace(spec, likelihood_a=0.0, likelihood_b=1.0)
    found = found_parts(content, plain, crops)
    errors = np.hypot(found[..., 0] - keypoints[..., 0], found[..., 1] - keypoints[..., 1])
    hits = (keypoints[..., 2] > 0) & (errors <= HIT_MM * spec.px_per_mm)
    masses = np.clip(found[..., 2], 1e-4, 1 - 1e-4)
    a, b = fit_likelihood(masses.ravel(), hits.ravel())
    return msgspec.structs.replace(spec, likelihood_a=a, likelihood_b=b)


def found_parts(content: bytes, spec: Parts, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (n, parts, 3): x, y in crop pixels and likelihood, as the device decodes them."""
    network = open_network(content)
    found = np.empty((len(crops), len(spec.keypoints), 3))
    for index, crop in enumerate(crops):
        points = decode_parts(network.run(crop), spec, Crop(crop, _NO_SHIFT, 1.0))
        found[index] = [(point.x, point.y, point.likelihood) for point in points]
    return found


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
