"""From the age head's outputs to probabilities of age bins, for every kind of head. Pure numpy.

Device and training call the same function, so that both have the same numbers.

A `distribution` head gives one logit a bin. A `gaussian` head gives mean and spread (Nix & Weigend, 1994), a `quantile`
head equally spaced quantiles (Koenker & Bassett, 1978); both are turned into the same bins, so that everything behind
the head, from the interval to the station, knows one form.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Age, HeadKind

Floats = NDArray[np.floating[Any]]
_LEAST_STEP = 1e-6  # of half the range of ages: two quantiles never fall together


def output_count(kind: HeadKind, bins: int, quantiles: int = 10) -> int:
    """Return how many numbers a head of this kind gives for `bins` age bins."""
    return {"distribution": bins, "gaussian": 2, "quantile": quantiles}[kind]


def head_outputs(embeddings: Floats, weights: Floats, bias: Floats) -> Floats:
    """Return (n, outputs) of embeddings (n, embedding_size)."""
    found: Floats = embeddings @ weights + bias
    return found


def bin_probabilities(outputs: Floats, spec: Age, bins: Floats) -> Floats:
    """Return the probability of each bin, (n, bins), each row summing to 1, of a head's outputs (n, outputs).

    bins: equidistant centres, days (bins,). The spec's temperature widens the distribution above 1, narrows it below.
    """
    logits: Floats = outputs
    if spec.head == "gaussian":
        mean, spread = mean_and_spread(outputs, bins)
        logits = -0.5 * ((bins - mean[:, None]) / spread[:, None]) ** 2
    elif spec.head == "quantile":
        return _from_quantiles(quantiles_of(outputs, bins), bins, spec.temperature)
    logits = logits / outputs.dtype.type(spec.temperature)
    weights: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def mean_and_spread(outputs: Floats, bins: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (n,), days, that a gaussian head's outputs (n, 2) stand for.

    The deviation is never below half a bin: bins could not show less.
    """
    middle, half, width = _range_of(bins)
    return middle + half * outputs[:, 0], width / 2 + half * _softplus(outputs[:, 1])


def quantiles_of(outputs: Floats, bins: Floats) -> Floats:
    """Return the quantiles (n, k), days, rising, at levels (i + 0.5) / k, that a quantile head's outputs stand for.

    The first output places the lowest quantile (0: at the youngest bin), the others are steps, which softplus keeps
    above zero: quantiles never cross.
    """
    middle, half, _ = _range_of(bins)
    steps = (_softplus(outputs[:, 1:]) + _LEAST_STEP) * (2 / outputs.shape[1])
    rising = np.concatenate([outputs[:, :1] - 1, outputs[:, :1] - 1 + np.cumsum(steps, axis=1)], axis=1)
    found: Floats = middle + half * rising
    return found


def quantile_levels(count: int) -> Floats:
    """Return the levels (count,) of that many quantiles, 0 to 1."""
    return (np.arange(count) + 0.5) / count


def _from_quantiles(quantiles: Floats, bins: Floats, temperature: float) -> Floats:
    """Return the bins' masses under a distribution function that is a straight line between quantiles.

    The outermost half steps go on at the slope of their neighbours; what lies beyond the bins counts to the last ones.
    """
    count = quantiles.shape[1]
    middle = np.median(quantiles, axis=1, keepdims=True)
    known = middle + (quantiles - middle) * temperature
    low = known[:, :1] - (known[:, 1:2] - known[:, :1]) / 2
    high = known[:, -1:] + (known[:, -1:] - known[:, -2:-1]) / 2
    knots = np.concatenate([low, known, high], axis=1)
    levels = np.concatenate([[0.0], quantile_levels(count), [1.0]])
    edges = (bins[:-1] + bins[1:]) / 2
    below = np.stack([np.interp(edges, row, levels) for row in knots])
    ends = np.zeros((len(knots), 1)), np.ones((len(knots), 1))
    masses: Floats = np.diff(np.concatenate([ends[0], below, ends[1]], axis=1), axis=1)
    return masses.astype(quantiles.dtype)


def _range_of(bins: Floats) -> tuple[float, float, float]:
    """Return the middle of the bins' range, half its width, and one bin's width, days."""
    first, last = float(bins[0]), float(bins[-1])
    return (first + last) / 2, (last - first) / 2, float(bins[1] - bins[0])


def _softplus(values: Floats) -> Floats:
    found: Floats = np.logaddexp(values, 0)
    return found
