"""The continuous ranked probability score over age bins (Gneiting & Raftery, 2007): a proper score, in days."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def crps(
    probabilities: NDArray[np.floating], bins: NDArray[np.floating], age_days: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return the CRPS (n,), days, of distributions (n, bins) on equidistant bins at the true ages (n,)."""
    width = float(bins[1] - bins[0])
    below = np.cumsum(probabilities, axis=1)
    step = (age_days[:, None] <= bins + width / 2).astype(np.float64)
    scored: NDArray[np.floating] = ((below - step) ** 2).sum(axis=1) * width
    return scored
