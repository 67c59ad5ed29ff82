"""Rounding to int8: what it costs is measured, and a network that it hurts is tuned for it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.small_animals import SPEC, small_animals
from training.age.finetune import Finetune, train
from training.age.fit import Architecture
from training.age.networks import age_network, with_head
from training.networks.training_loop import Recipe


def test_a_rounded_kernel_is_the_one_that_int8_holds() -> None:
    """255 levels a channel, worked out by numpy; the gradient passes through."""
    tf = pytest.importorskip("tensorflow")
    from training.networks.fake_quantisation import rounded_kernel

    kernel = np.random.default_rng(2).normal(0, 1, (3, 3, 4, 5)).astype(np.float32) * np.array([0.01, 0.1, 1, 10, 100])
    for axis in (-1, -2):
        others = tuple(i for i in range(4) if i != axis % 4)
        scale = np.abs(kernel).max(axis=others, keepdims=True) / 127
        variable = tf.Variable(kernel.astype(np.float32))
        with tf.GradientTape() as tape:
            found = rounded_kernel(variable, axis)
            total = tf.reduce_sum(found)
        np.testing.assert_allclose(found.numpy(), np.round(kernel / scale) * scale, atol=float(scale.max()) * 1e-3)
        assert (tape.gradient(total, variable).numpy() == 1).mean() > 0.95


@pytest.mark.parametrize("name", ["plain-0.3", "mobilenet-0.35"])
def test_a_copy_that_rounds_differs_by_little(name: str) -> None:
    """Same layers, same weights, outputs a rounding apart: neither equal nor far off."""
    from training.networks.fake_quantisation import AwareConv2D, AwareDepthwiseConv2D, aware_copy

    network = with_head(age_network(SPEC, name), 2)
    pictures = small_animals(4).crops.astype(np.float32) / 255
    for _ in range(60):  # untrained statistics let the signal vanish on its way down
        network(pictures, training=True)
    copy = aware_copy(network, pictures)
    kinds = {type(layer) for layer in copy.layers}
    assert AwareConv2D in kinds
    assert (AwareDepthwiseConv2D in kinds) == (name == "mobilenet-0.35")
    here, there = np.asarray(network(pictures, training=False)), np.asarray(copy(pictures, training=False))
    off = np.abs(here - there).max()
    assert 0 < off < 0.2 * np.abs(here).max()


def test_a_network_that_rounding_hurts_too_much_is_tuned_for_it() -> None:
    """Where rounding costs too much, both int8 networks are measured and the better one is kept."""
    from training.age.quantise_aware import quantise_carefully

    data = small_animals(16)
    network = train(
        data, SPEC, Finetune(steps=20, architecture=Architecture("plain-0.3"), batch=8, learning_rate=1e-2), seed=1
    )
    _, harmless = quantise_carefully(network, data.crops, data.age_days, SPEC, most_loss=10)
    assert harmless["quantisation_aware"] is False
    recipe = Recipe(10, 16, 1e-3, 5)
    result, said = quantise_carefully(network, data.crops, data.age_days, SPEC, most_loss=-1, recipe=recipe)
    assert {"int8_mae_loss", "int8_mae_loss_aware"} <= said.keys()
    assert said["quantisation_aware"] == (said["int8_mae_loss_aware"] < said["int8_mae_loss"])
    assert result.content[4:8] == b"TFL3"
