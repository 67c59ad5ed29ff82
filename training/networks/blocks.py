"""The building block that the locator's and the age model's networks share."""

from __future__ import annotations

from typing import Any


def block(values: Any, width: int, *, stride: int = 1, size: int = 3) -> Any:
    """Return convolution, batch normalisation and ReLU6 on top of the values."""
    from keras import layers

    values = layers.Conv2D(width, size, strides=stride, padding="same", use_bias=False)(values)
    values = layers.BatchNormalization(momentum=0.95)(values)
    return layers.ReLU(6.0)(values)
