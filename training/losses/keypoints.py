"""Heatmap cross-entropy plus soft-argmax distance, for body parts.

Spatial softmax over logits against a Gaussian target, and the Euclidean distance of the soft-argmax (integral
regression:
Sun et al., ECCV 2018; coordinates by DSNT: Nibali et al., 2018).
"""

from __future__ import annotations

from typing import Any

SIGMA_PX = 4.0


def keypoint_loss(stride: int, sigma_px: float = SIGMA_PX, distance_weight: float = 1.0) -> Any:
    """Return a Keras loss: truth (n, parts, 3, 1) as x, y in input pixels and visible 0/1; logits (n, h, w, parts).

    The distance is in cells. Parts that are not visible do not count.
    """
    from keras import ops

    def loss(truth: Any, logits: Any) -> Any:
        height, width = logits.shape[1], logits.shape[2]
        x, y, visible = truth[:, :, 0, 0] / stride, truth[:, :, 1, 0] / stride, truth[:, :, 2, 0]
        columns = ops.arange(width, dtype="float32") + 0.5
        rows = ops.arange(height, dtype="float32") + 0.5
        dx = ops.square(columns[None, :, None] - x[:, None, :])
        dy = ops.square(rows[None, :, None] - y[:, None, :])
        target = ops.exp(-(dy[:, :, None, :] + dx[:, None, :, :]) / (2 * (sigma_px / stride) ** 2))
        flat_target = ops.reshape(target, (-1, height * width, target.shape[-1]))
        flat_target = flat_target / (ops.sum(flat_target, axis=1, keepdims=True) + 1e-6)
        flat = ops.reshape(logits, (-1, height * width, logits.shape[-1]))
        log_weights = ops.log_softmax(flat, axis=1)
        entropy = -ops.sum(flat_target * log_weights, axis=1)
        weights = ops.reshape(ops.exp(log_weights), (-1, height, width, logits.shape[-1]))
        found_x = ops.sum(ops.sum(weights, axis=1) * columns[None, :, None], axis=1)
        found_y = ops.sum(ops.sum(weights, axis=2) * rows[None, :, None], axis=1)
        distance = ops.sqrt(ops.square(found_x - x) + ops.square(found_y - y) + 1e-6)
        each = (entropy + distance_weight * distance) * visible
        return ops.sum(each) / (ops.sum(visible) + 1e-6)

    return loss


def centre_loss(stride: int, sigma_px: float = 6.0) -> Any:
    """Return a Keras loss: truth (n, animals, 2, 1) in input pixels, NaN where there is none; logits (n, h, w, 1).

    The penalty-reduced focal loss of CenterNet (Zhou et al., 2019), on a Gaussian a centre.
    """
    from keras import ops

    def loss(truth: Any, logits: Any) -> Any:
        height, width = logits.shape[1], logits.shape[2]
        there = ops.logical_not(ops.isnan(truth[:, :, 0, 0]))
        x = ops.where(there, truth[:, :, 0, 0], -1e4) / stride
        y = ops.where(there, truth[:, :, 1, 0], -1e4) / stride
        columns = ops.arange(width, dtype="float32") + 0.5
        rows = ops.arange(height, dtype="float32") + 0.5
        dx = ops.square(columns[None, None, :] - x[..., None])
        dy = ops.square(rows[None, None, :] - y[..., None])
        target = ops.exp(-(dy[:, :, :, None] + dx[:, :, None, :]) / (2 * (sigma_px / stride) ** 2))
        target = ops.max(target, axis=1)
        score = logits[..., 0]
        log_p, log_q = ops.log_sigmoid(score), ops.log_sigmoid(-score)
        p = ops.sigmoid(score)
        positive = ops.cast(target > 0.9, "float32")
        each = -(positive * ops.square(1 - p) * log_p + (1 - positive) * (1 - target) ** 4 * ops.square(p) * log_q)
        return ops.sum(each) / (ops.sum(positive) + 1.0)

    return loss
