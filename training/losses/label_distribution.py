"""The loss of the age distribution: a Gaussian label for each age, and cross-entropy with CRPS against it.

Label distributions: Gao et al., Deep Label Distribution Learning, 2017. CRPS: see `crps.py`.
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


def label_distribution_loss(crps_weight: float = 1.0) -> Any:
    """Return a Keras loss: truth (n, bins) as label distribution, logits (n, bins).

    Cross-entropy plus weighted CRPS in bins.
    """
    from keras import ops

    def loss(truth: Any, logits: Any) -> Any:
        entropy = -ops.sum(truth * ops.log_softmax(logits, axis=-1), axis=-1)
        below = ops.cumsum(ops.softmax(logits, axis=-1) - truth, axis=-1)
        return ops.mean(entropy + crps_weight * ops.sum(ops.square(below), axis=-1))

    return loss
