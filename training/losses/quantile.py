"""Pinball loss of the quantile head (Koenker & Bassett, Regression Quantiles, 1978).

Averaged over equally spaced levels and doubled it approximates the CRPS (Laio & Tamea, 2007), in days.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pinball(quantiles: Any, levels: Any, truth: Any) -> Any:
    """Return the pinball loss (n, k) of quantiles (n, k) at levels (k,) within 0..1 for the truth (n, 1)."""
    from keras import ops

    error = truth - quantiles
    return ops.maximum(levels * error, (levels - 1) * error)


def quantile_loss(bins: NDArray[np.float32], quantiles: int) -> Any:
    """Return a Keras loss: truth (n, 1), days; outputs (n, quantiles) for `edge.vision.age_head.quantiles_of`.

    Twice the mean pinball loss, in bins.
    """
    from keras import ops

    from edge.vision.age_head import quantile_levels

    middle, half, width = float(bins[0] + bins[-1]) / 2, float(bins[-1] - bins[0]) / 2, float(bins[1] - bins[0])
    levels = quantile_levels(quantiles).astype(np.float32)

    def loss(truth: Any, outputs: Any) -> Any:
        steps = ops.softplus(outputs[:, 1:]) * (2 / quantiles)
        first = outputs[:, :1] - 1
        known = middle + half * ops.concatenate([first, first + ops.cumsum(steps, axis=1)], axis=1)
        # A tensor: PyTorch multiplies none by an array from numpy.
        return 2 * ops.mean(pinball(known, ops.convert_to_tensor(levels), truth)) / width

    return loss
