"""Batch normalisation in one operation while a network is trained on a CPU.

Keras computes moments, scale and shift each on its own, TensorFlow has one fused kernel for them: a step of the age
network takes 0.29 s of CPU instead of 0.42 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def fused_normalisation(network: Any) -> Iterator[None]:
    """Let the network's batch normalisations train by the fused kernel inside this context.

    They are Keras' own layers again afterwards, so that a saved network needs no class of ours. Nothing changes on
    another backend than TensorFlow, nor with a GPU, where Keras' own graph is compiled as a whole.
    """
    import keras

    layers = []
    if on_tensorflow_cpu():
        layers = [layer for layer in _within(network) if type(layer) is keras.layers.BatchNormalization]
    for layer in layers:
        layer.__class__ = _fused()
    try:
        yield
    finally:
        for layer in layers:
            layer.__class__ = keras.layers.BatchNormalization


def on_tensorflow_cpu() -> bool:
    """Return whether Keras computes by TensorFlow without a GPU."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def _within(layer: Any) -> Iterator[Any]:
    """Yield the layer, and those of the networks that it is made of."""
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _within(inner)


@cache
def _fused() -> Any:
    import keras
    import tensorflow as tf

    class Fused(keras.layers.BatchNormalization):  # type: ignore[misc]
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            plain = self.scale and self.center and not self.renorm and not self.synchronized
            usable = plain and mask is None and len(inputs.shape) == 4 and self.axis in (-1, 3)
            if not (training is True and self.trainable and usable):
                return super().call(inputs, training=training, mask=mask)
            outputs, mean, variance, *_ = tf.compat.v1.nn.fused_batch_norm(
                inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
            )
            # The kernel gives the variance of a sample (n - 1), Keras keeps that of the batch (n).
            count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
            variance *= (count - 1) / count
            for kept, found in ((self.moving_mean, mean), (self.moving_variance, variance)):
                kept.assign(kept * self.momentum + found * (1.0 - self.momentum))
            return outputs

    return Fused
