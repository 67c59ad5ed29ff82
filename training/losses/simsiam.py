"""SimSiam: negative cosine similarity with a stopped gradient (Chen & He, CVPR 2021, algorithm 1)."""

from __future__ import annotations

from typing import Any


def simsiam_loss(predicted: Any, projected: Any) -> Any:
    """Return the symmetric loss, -1 to 1, of predictions and projections (n, 2, d) of two views each.

    Each view's prediction is held against the other view's projection, through which no gradient flows: without that
    the network collapses to a constant.
    """
    from keras import ops

    target = ops.stop_gradient(projected)
    one = _cosine(predicted[:, 0], target[:, 1])
    other = _cosine(predicted[:, 1], target[:, 0])
    return -ops.mean(one + other) / 2


def _cosine(first: Any, second: Any) -> Any:
    from keras import ops

    return ops.sum(ops.normalize(first, axis=-1) * ops.normalize(second, axis=-1), axis=-1)
