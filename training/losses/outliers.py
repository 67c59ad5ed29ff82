"""Loss of telling outliers from a batch's animals: cross-entropy, both sides of equal weight."""

from __future__ import annotations

from typing import Any


def outlier_loss(logits: Any, animals: int, count: int) -> Any:
    """Return the cross-entropy of logits (n,): the last `count` are outliers, `animals` before them are none.

    Rows before these are not looked at.

    Outlier exposure with a discriminator of its own (Hendrycks, Mazeika & Dietterich, ICLR 2019).
    """
    from keras import ops

    return ops.mean(ops.softplus(logits[-count - animals : -count])) + ops.mean(ops.softplus(-logits[-count:]))
