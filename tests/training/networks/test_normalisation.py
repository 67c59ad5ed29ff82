"""Training by the fused kernel is training by Keras' own batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.networks.normalisation import fused_normalisation, on_tensorflow_cpu


def _trained(fused: bool) -> tuple[list[float], Any]:
    import keras

    keras.utils.set_random_seed(3)
    inner = keras.Sequential([keras.layers.Conv2D(6, 3, strides=2), keras.layers.BatchNormalization(momentum=0.9)])
    source = keras.Input((16, 16, 1))
    network = keras.Model(source, keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(inner(source))))
    network.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse", jit_compile=False)
    rng = np.random.default_rng(5)
    pixels, truth = rng.random((8, 16, 16, 1), np.float32), rng.random((8, 6), np.float32)
    if not fused:
        return [float(network.train_on_batch(pixels, truth)) for _ in range(12)], network
    with fused_normalisation(network):
        assert type(inner.layers[1]) is not keras.layers.BatchNormalization
        return [float(network.train_on_batch(pixels, truth)) for _ in range(12)], network


def test_losses_weights_and_running_statistics_are_the_same() -> None:
    """To what float32 rounds; and the layers are plain ones again, so that anybody's Keras loads them."""
    import keras

    assert on_tensorflow_cpu()
    (losses, plain), (others, fused) = _trained(fused=False), _trained(fused=True)
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(others, losses, rtol=1e-4)
    for one, other in zip(plain.get_weights(), fused.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5)
    assert type(fused.layers[1].layers[1]) is keras.layers.BatchNormalization
    pixels = np.random.default_rng(6).random((3, 16, 16, 1), np.float32)
    np.testing.assert_allclose(fused(pixels, training=False), plain(pixels, training=False), rtol=1e-3, atol=1e-4)
