"""Convolutions that already see in training what int8 will do to them. TensorFlow only, as the converter is.

Rounding forward, identity backward within the range (the straight-through estimator: Bengio et al., 2013; Jacob et
al., CVPR 2018). Weights are rounded per output channel and symmetrically, so that the scaling of a batch normalisation
behind them, which the converter folds into them, changes nothing.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

_TINY = 1e-8


def rounded_kernel(kernel: Any, axis: int) -> Any:
    """Return the kernel as int8 holds it: 255 levels from -m to m for each channel of an axis, -1 or -2."""
    if axis == -2:
        return tf.transpose(rounded_kernel(tf.transpose(kernel, (0, 1, 3, 2)), -1), (0, 1, 3, 2))
    most = tf.stop_gradient(tf.maximum(tf.reduce_max(tf.abs(kernel), axis=[0, 1, 2]), _TINY))
    return tf.quantization.fake_quant_with_min_max_vars_per_channel(kernel, -most, most, num_bits=8, narrow_range=True)


class AwareConv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """A convolution of rounded pixels with a rounded kernel; low, high: the range of its input, zero within."""

    def __init__(self, *, low: float, high: float, **options: Any) -> None:
        """Keep the range that calibration found."""
        super().__init__(**options)
        self.low, self.high = low, high

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """Return the convolution."""
        pixels = tf.quantization.fake_quant_with_min_max_args(inputs, self.low, self.high)
        return super().convolution_op(pixels, rounded_kernel(kernel, -1))


class AwareDepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """The same for a depthwise convolution without bias and activation, as MobileNetV2 has them."""

    def __init__(self, *, low: float, high: float, **options: Any) -> None:
        """Keep the range that calibration found."""
        super().__init__(**options)
        self.low, self.high = low, high

    def call(self, inputs: Any) -> Any:
        """Return the convolution."""
        pixels = tf.quantization.fake_quant_with_min_max_args(inputs, self.low, self.high)
        return keras.ops.depthwise_conv(
            pixels, rounded_kernel(self.kernel, -2), strides=self.strides, padding=self.padding
        )


def aware_copy(network: Any, pictures: Any) -> Any:
    """Return a copy of a Keras model whose convolutions round; ranges are those of pictures float32 (n, h, w, c).

    Batch normalisation is frozen in it: its statistics are part of what is converted.
    """
    convolutions = [layer for layer in network.layers if _is_plain(layer)]
    watched = keras.Model(network.input, [layer.input for layer in convolutions])
    found = watched(pictures, training=False)
    seen = found if isinstance(found, (list, tuple)) else [found]
    ranges = {
        layer.name: (min(0.0, float(keras.ops.min(values))), max(1e-3, float(keras.ops.max(values))))
        for layer, values in zip(convolutions, seen, strict=True)
    }

    def clone(layer: Any) -> Any:
        if layer.name not in ranges:
            return layer.__class__.from_config(layer.get_config())
        low, high = ranges[layer.name]
        kind = AwareConv2D if type(layer) is keras.layers.Conv2D else AwareDepthwiseConv2D
        return kind(**layer.get_config(), low=low, high=high)

    copy = keras.models.clone_model(network, clone_function=clone)
    copy_weights(network, copy)
    for layer in copy.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    return copy


def copy_weights(source: Any, target: Any) -> None:
    """Copy every layer's weights; the two models have the same layers by name."""
    for layer in source.layers:
        if layer.get_weights():
            target.get_layer(layer.name).set_weights(layer.get_weights())


def _is_plain(layer: Any) -> bool:
    if type(layer) is keras.layers.Conv2D:
        return True
    plain = type(layer) is keras.layers.DepthwiseConv2D
    return plain and not layer.use_bias and layer.activation is keras.activations.linear
