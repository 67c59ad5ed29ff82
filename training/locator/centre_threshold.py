"""From which likelihood on a peak of the first stage is an animal: fitted on pictures that it was not trained on."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Centres
from edge.vision.locate import decode_centres
from edge.vision.model.runtime import open_network

LEAST, MOST = 0.15, 0.9
_FAINTEST = 0.02
_PEAKS = 16


def with_threshold(
    content: bytes, spec: Centres, views: NDArray[np.uint8], centres: NDArray[np.float32], reach: NDArray[np.float32]
) -> Centres:
    """Return the first stage's manifest entry with the threshold that tells animals from what lies beside them.

    views uint8 (n, h, w, 1); centres float32 (n, k, 2), pixels of the view, NaN where there is no animal; reach (n,):
    a peak that near to an animal is that animal's, several are one.
    """
    network = open_network(content)
    faint = msgspec.structs.replace(spec, threshold=_FAINTEST)
    animals: list[float] = []
    beside: list[float] = []
    for view, truth, near in zip(views, centres, reach, strict=True):
        there = truth[~np.isnan(truth[:, 0])]
        peaks = decode_centres(network.run(view), faint, _PEAKS)
        places = np.array([place for place, _ in peaks]).reshape(-1, 1, 2)
        likelihoods = np.array([likelihood for _, likelihood in peaks])
        close = np.hypot(*np.moveaxis(places - there, -1, 0)) <= near
        animals += [float(likelihoods[mine].max(initial=0.0)) for mine in close.T]
        beside += likelihoods[~close.any(axis=1)].tolist()
    return msgspec.structs.replace(spec, threshold=best_threshold(animals, beside))


def best_threshold(animals: list[float], beside: list[float]) -> float:
    """Return the middle of the widest range of thresholds with the highest F1 score, from 0.15 to 0.9.

    animals: the likelihood of each animal's best peak, 0 where it has none; beside: of each peak that is no animal's.
    """
    edges = sorted({0.0, 1.0, *animals, *beside})
    ranges: list[tuple[float, float, float]] = []
    for low, high in itertools.pairwise(edges):
        hits = sum(likelihood >= high for likelihood in animals)
        false = sum(likelihood >= high for likelihood in beside)
        score = 2 * hits / (hits + false + len(animals))
        ranges.append((score, high - low, (low + high) / 2))
    return round(min(max(max(ranges)[2], LEAST), MOST), 3)
