"""The likelihood of a body part: how much softmax mass near its position says of a hit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def fit_likelihood(masses: Floats, hits: NDArray[np.bool_], rounds: int = 25) -> tuple[float, float]:
    """Return a, b of sigmoid(a + b * logit(mass)): the probability of a hit, from (n,) masses 0-1 and hits.

    Platt scaling (Platt, 1999) by Newton's method. A weak pull towards a = 0, b = 1 keeps them finite where all are
    hits, and decides where there are few. b is never negative: more mass is never less likely.
    """
    logits = np.log(masses) - np.log1p(-masses)
    rows = np.column_stack([np.ones(len(logits)), logits])
    start = np.array([0.0, 1.0])
    found = start.copy()
    for _ in range(rounds):
        chance = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        slope = rows.T @ (chance - hits) + (found - start)
        bend = (rows * (chance * (1 - chance))[:, None]).T @ rows + np.eye(2)
        step = np.linalg.solve(bend, slope)
        found = found - step * min(1.0, 2.0 / max(1e-9, float(np.abs(step).max())))
    return round(float(found[0]), 4), round(max(0.0, float(found[1])), 4)
