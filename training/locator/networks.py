"""The locator's networks: plain 3x3 convolutions, batch normalisation, ReLU6.

No squeeze-excite, no hard-swish (they quantise badly).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge.contract.manifest import Centres, Parts
from training.networks.blocks import block


def centres_network(spec: Centres, widths: Sequence[int] = (8, 16, 32)) -> Any:
    """Return a Keras model: (h, w, channels) in 0..1 to a logit map (h / stride, w / stride, 1)."""
    import keras

    source = keras.Input((spec.height, spec.width, spec.channels))
    output = _encoder_decoder(source, widths, 1, spec.stride)
    return keras.Model(source, output, name="centres")


def parts_network(spec: Parts, widths: Sequence[int] = (12, 24, 32, 48, 64)) -> Any:
    """Return a Keras model: (size, size, channels) in 0..1 to a logit map (size / stride, size / stride, parts)."""
    import keras

    source = keras.Input((spec.size, spec.size, spec.channels))
    output = _encoder_decoder(source, widths, len(spec.keypoints), spec.stride)
    return keras.Model(source, output, name="parts")


def _encoder_decoder(source: Any, widths: Sequence[int], outputs: int, stride: int) -> Any:
    """Return logits at `stride`: strides of 2 down, bilinear upsampling with added skips back up."""
    from keras import layers

    levels = []
    values = source
    for width in widths:
        values = block(values, width, stride=2)
        values = layers.Add()([values, block(values, width)])
        levels.append(values)
    wanted = stride.bit_length() - 2  # index of the level at `stride`: 2 -> 0, 4 -> 1
    for skip in reversed(levels[wanted:-1]):
        values = block(values, skip.shape[-1], size=1)
        values = layers.UpSampling2D(2, interpolation="bilinear")(values)
        values = block(layers.Add()([values, skip]), skip.shape[-1])
    return layers.Conv2D(outputs, 1, name="logits")(values)
