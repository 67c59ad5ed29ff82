"""From an embedding to an age: distribution, mean, calibrated interval, domain score. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Intervals
from edge.contract.reading import Estimate
from edge.vision.age_head import bin_probabilities, head_outputs
from edge.vision.model.loaded import LoadedModel

Vector = NDArray[np.float32]


def distribution_of(embedding: Vector, model: LoadedModel) -> Vector:
    """Return the probability of each age bin, float32 (bins,), for a dequantised embedding (embedding_size,)."""
    outputs = head_outputs(embedding[None], model.head_weights, model.head_bias)
    found: Vector = bin_probabilities(outputs, model.manifest.age, model.bin_centres)[0]
    return found


def domain_score(embedding: Vector, model: LoadedModel) -> float:
    """Return how foreign the embedding is; above 1 is out of domain.

    A Mahalanobis distance over its threshold (Lee et al., 2018), on the int8 network's own embeddings, or the
    separation from outliers that the network was trained on (Hendrycks et al., 2019), whichever is larger.
    """
    domain = model.manifest.domain
    distance = float(np.linalg.norm(model.domain_whitening @ (embedding - model.domain_mean))) / domain.threshold
    if model.foreign_weights.size == 0:
        return distance
    return max(distance, 1.0 + float(model.foreign_weights @ embedding) + domain.foreign_bias)


def interval_of(age_days: float, intervals: Intervals) -> tuple[float, float]:
    """Return the calibrated (low, high), days, for a predicted age; bands are looked up by the prediction.

    NaN, NaN where there are no bands: the animals were too few for this coverage.
    """
    if not intervals.bands:
        return float("nan"), float("nan")
    band = next((band for band in intervals.bands if age_days < band.below_days), intervals.bands[-1])
    return age_days - band.low_days, age_days + band.high_days


def estimate_age(embedding: Vector, model: LoadedModel) -> Estimate:
    """Return the estimate for one reading; nothing is corrected for regression to the mean."""
    probabilities = distribution_of(embedding, model)
    age_days = float(probabilities @ model.bin_centres)
    spread = float(np.sqrt(max(0.0, float(probabilities @ (model.bin_centres - age_days) ** 2))))
    intervals = next(entry for entry in model.manifest.intervals if entry.unit == "reading")
    low, high = interval_of(age_days, intervals) if intervals.bands else (None, None)
    return Estimate(
        age_days=round(age_days, 2),
        sd_days=round(spread, 2),
        interval_low_days=None if low is None else round(low, 2),
        interval_high_days=None if high is None else round(high, 2),
        coverage=intervals.coverage if intervals.bands else None,
        domain_score=round(domain_score(embedding, model), 4),
        distribution=_rounded(probabilities),
        embedding=_rounded(embedding),
    )


def _rounded(values: Vector) -> tuple[float, ...]:
    return tuple(np.round(values.astype(np.float64), 5).tolist())
