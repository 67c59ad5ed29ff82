"""Label distribution and CRPS over age bins.

Cross-entropy against a Gaussian label distribution (Gao et al., Deep Label Distribution Learning, 2017) and the
continuous
ranked probability score of the bins (Gneiting & Raftery, 2007), which is a proper score in days.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def label_distribution(age_days: NDArray[np.float32], bins: NDArray[np.float32], sd_days: float) -> NDArray[np.float32]:
    """Return float32 (n, bins): a Gaussian around each age, summing to 1."""
    weights = np.exp(-0.5 * ((age_days[:, None] - bins) / sd_days) ** 2)
    normalised: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return normalised


def crps(
    probabilities: NDArray[np.floating], bins: NDArray[np.floating], age_days: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return the CRPS (n,), days, of distributions (n, bins) on equidistant bins at the true ages (n,)."""
    width = float(bins[1] - bins[0])
    below = np.cumsum(probabilities, axis=1)
    step = (age_days[:, None] <= bins + width / 2).astype(np.float64)
    scored: NDArray[np.floating] = ((below - step) ** 2).sum(axis=1) * width
    return scored


def age_loss(crps_weight: float = 1.0) -> Any:
    """Return a Keras loss: truth (n, bins) as label distribution, logits (n, bins).

    Cross-entropy plus weighted CRPS in bins.
    """
    from keras import ops

    def loss(truth: Any, logits: Any) -> Any:
        entropy = -ops.sum(truth * ops.log_softmax(logits, axis=-1), axis=-1)
        below = ops.cumsum(ops.softmax(logits, axis=-1) - truth, axis=-1)
        return ops.mean(entropy + crps_weight * ops.sum(ops.square(below), axis=-1))

    return loss
