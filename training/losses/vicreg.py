"""VICReg: variance, invariance and covariance (Bardes, Ponce & LeCun, ICLR 2022).

As in the authors' published code, the variance term is the mean of both views and the invariance term a mean over
dimensions; the paper's equations 1 to 6 write sums there. Their coefficients: 25, 25, 1.
"""

from __future__ import annotations

from typing import Any

_EPSILON = 1e-4


def vicreg_loss(projected: Any, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> Any:
    """Return the loss of projections (n, 2, d) of two views each; n is at least 2."""
    from keras import ops

    first, second = projected[:, 0], projected[:, 1]
    alike = ops.mean(ops.square(first - second))
    wide = (_variance_term(first) + _variance_term(second)) / 2
    apart = _covariance_term(first) + _covariance_term(second)
    return invariance * alike + variance * wide + covariance * apart


def _variance_term(values: Any) -> Any:
    """Return how far the standard deviation of the dimensions falls short of 1, on average."""
    from keras import ops

    count = ops.cast(ops.shape(values)[0], "float32")
    centred = values - ops.mean(values, axis=0)
    deviation = ops.sqrt(ops.sum(ops.square(centred), axis=0) / (count - 1) + _EPSILON)
    return ops.mean(ops.relu(1 - deviation))


def _covariance_term(values: Any) -> Any:
    """Return the sum of squared covariances between dimensions, over the number of dimensions."""
    from keras import ops

    count = ops.cast(ops.shape(values)[0], "float32")
    centred = values - ops.mean(values, axis=0)
    matrix = ops.matmul(ops.transpose(centred), centred) / (count - 1)
    squares = ops.square(matrix)
    return (ops.sum(squares) - ops.sum(ops.diagonal(squares))) / values.shape[1]
