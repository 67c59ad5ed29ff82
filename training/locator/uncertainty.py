"""How unsure the locator is of a frame, from what it finds in it alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Parts
from edge.vision.frame import Image
from edge.vision.locate import decode_centres, decode_parts
from edge.vision.model.loaded import LoadedModel
from edge.vision.preprocess import Crop, centres_input, parts_input, small_view
from edge.vision.views import views_of
from training.networks.augment import mirror_order

SPREAD_CELLS = 2.0
DISAGREEMENT_PX = 5.0
NUDGE_PX = 6.0


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """A frame's predictions, float64 (animals, parts, 3) x, y, likelihood, and its terms of uncertainty, 0-1 each.

    unlikely: 1 - mean likelihood. spread: the heatmaps' standard deviation, 1 from SPREAD_CELLS beyond a sharp peak.
    unstable: the mean distance between what is found in the crop, in its mirror image and in one cut NUDGE_PX beside,
    1 from DISAGREEMENT_PX on. A frame without any animal has uncertainty 1: it is empty, or the first stage failed.
    """

    points: NDArray[np.float64]
    unlikely: float
    spread: float
    unstable: float

    @property
    def total(self) -> float:
        """Return the mean of the terms, 0-1."""
        return (self.unlikely + self.spread + self.unstable) / 3


def uncertainty_of(main: Image, model: LoadedModel, px_per_mm: float | None, most: int = 5) -> Uncertainty:
    """Return the uncertainty of one picture, uint8 (h, w, 3)."""
    spec, first = model.manifest.parts, model.manifest.centres
    views = views_of(main, model.manifest.preprocess_version)
    peaks = decode_centres(model.centres.run(centres_input(small_view(views, first.small_width), first)), first, most)
    height, width = main.shape[:2]
    rows, terms = [], []
    for (x, y), _ in peaks:
        at = x * width / first.width, y * height / first.height
        crop = parts_input(views, at, px_per_mm, spec)
        logits = model.parts.run(crop.pixels)
        points = _points(logits, spec, crop)
        nudged = parts_input(views, (at[0] + NUDGE_PX, at[1] - NUDGE_PX), px_per_mm, spec)
        others = [_mirrored(crop, spec, model), _points(model.parts.run(nudged.pixels), spec, nudged)]
        apart = np.mean([np.hypot(*(other[:, :2] - points[:, :2]).T).mean() for other in others])
        terms.append((1 - points[:, 2].mean(), spread_of(logits), min(1.0, float(apart) / DISAGREEMENT_PX)))
        rows.append(points)
    if not rows:
        return Uncertainty(np.empty((0, len(spec.keypoints), 3)), 1.0, 1.0, 1.0)
    unlikely, spread, unstable = np.max(terms, axis=0)  # the worst animal makes the frame worth labelling
    return Uncertainty(np.stack(rows), float(unlikely), float(spread), float(unstable))


def spread_of(logits: NDArray[np.float32]) -> float:
    """Return 0-1: how broad the softmax of a map (h, w, parts) is, the mean over the parts; 0 for one cell or two."""
    height, width, count = logits.shape
    flat = logits.reshape(-1, count).astype(np.float64)
    weights = np.exp(flat - flat.max(0))
    weights = (weights / weights.sum(0)).reshape(height, width, count)
    variance = np.zeros(count)
    for axis, length in ((0, height), (1, width)):
        along = weights.sum(1 - axis)
        places = np.arange(length)[:, None]
        middle = (along * places).sum(0)
        variance += (along * (places - middle) ** 2).sum(0)
    return float(np.clip((np.sqrt(variance) - 1) / SPREAD_CELLS, 0, 1).mean())


def _mirrored(crop: Crop, spec: Parts, model: LoadedModel) -> NDArray[np.float64]:
    """Return what is found in the crop's mirror image, back in the picture, left and right in their places."""
    flip = np.array([[-1.0, 0.0, spec.size], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    pixels = np.ascontiguousarray(crop.pixels[:, ::-1])
    mirror = Crop(pixels, crop.to_main @ flip, crop.inside)
    return _points(model.parts.run(pixels), spec, mirror)[mirror_order(spec.keypoints)]


def _points(logits: NDArray[np.float32], spec: Parts, crop: Crop) -> NDArray[np.float64]:
    return np.array([(point.x, point.y, point.likelihood) for point in decode_parts(logits, spec, crop)])
