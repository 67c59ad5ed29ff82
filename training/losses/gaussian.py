"""Loss of the heteroscedastic head: a mean and a standard deviation for every picture.

The continuous ranked probability score of a normal distribution in closed form (Gneiting et al., Calibrated
probabilistic forecasting using ensemble model output statistics and minimum CRPS estimation, 2005, equation 5), plus
its negative log likelihood (Nix & Weigend, 1994). CRPS alone learns spread slowly; the likelihood alone neglects
pictures that it can call uncertain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROOT_2, _ROOT_PI, _ROOT_2PI = float(np.sqrt(2)), float(np.sqrt(np.pi)), float(np.sqrt(2 * np.pi))


def crps_of_normal(mean: Any, spread: Any, truth: Any) -> Any:
    """Return the CRPS (n,) of normal distributions with mean and standard deviation (n,) at the truth (n,)."""
    from keras import ops

    z = (truth - mean) / spread
    density = ops.exp(-0.5 * ops.square(z)) / _ROOT_2PI
    return spread * (z * ops.erf(z / _ROOT_2) + 2 * density - 1 / _ROOT_PI)


def log_loss_of_normal(mean: Any, spread: Any, truth: Any) -> Any:
    """Return the negative log density (n,), without its constant."""
    from keras import ops

    return ops.log(spread) + 0.5 * ops.square((truth - mean) / spread)


def gaussian_loss(bins: NDArray[np.float32], likelihood_weight: float = 0.25) -> Any:
    """Return a Keras loss: truth (n, 1), days; outputs (n, 2) as `edge.vision.age_head.mean_and_spread` reads them.

    CRPS in bins plus the weighted log likelihood.
    """
    from keras import ops

    middle, half, width = float(bins[0] + bins[-1]) / 2, float(bins[-1] - bins[0]) / 2, float(bins[1] - bins[0])

    def loss(truth: Any, outputs: Any) -> Any:
        mean = middle + half * outputs[:, 0]
        spread = width / 2 + half * ops.softplus(outputs[:, 1])
        score = crps_of_normal(mean, spread, truth[:, 0]) / width
        return ops.mean(score + likelihood_weight * log_loss_of_normal(mean, spread, truth[:, 0]))

    return loss
