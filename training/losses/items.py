"""Loss of the frailty items beside the age: cross-entropy of each item's score, where there is one."""

from __future__ import annotations

from typing import Any


def items_loss(truth: Any, logits: Any) -> Any:
    """Return the mean binary cross-entropy over known items: truth (n, items) 0..1 or NaN, logits (n, items).

    Scores of 0, 0.5 and 1, as in the mouse clinical frailty index (Whitehead et al., 2014), are targets in between.
    """
    from keras import ops

    known = ops.cast(ops.logical_not(ops.isnan(truth)), "float32")
    target = ops.where(ops.isnan(truth), ops.zeros_like(truth), truth)
    each = ops.relu(logits) - logits * target + ops.softplus(-ops.abs(logits))
    return ops.sum(each * known) / (ops.sum(known) + 1e-6)
