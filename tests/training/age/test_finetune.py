"""The route `finetune` for real, on pictures so small that it takes seconds: heads, weights, items, pretraining."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.errors import OperatorError
from tests.training.small_animals import SPEC, small_animals, small_crops
from training.age.finetune import Finetune, finetune, load_fit, pretrain_run, train
from training.age.fit import Architecture, distributions, float_embeddings, reduced, reduced_spec, with_trained_head
from training.age.heads import HEADS
from training.age.initial_weights import DESCRIPTION, Weights, find_weights, put_weights
from training.age.networks import HEAD, age_network, backbone_of, check_name, embedding_of
from training.run import Run

QUICK = Finetune(steps=12, architecture=Architecture("plain-0.3"), head_steps=3, batch=8)


@pytest.mark.parametrize("kind", HEADS)
def test_every_head_learns_what_can_be_seen(kind) -> None:
    """Brightness tells the age: each head follows it on unseen animals, and the item beside it where it was scored.

    The network averages squares of two pixels inside itself, so it takes whole crops.
    """
    data = small_animals(20)
    bald = (data.age_days > 450).astype(np.float32)
    items = np.stack([bald, np.full_like(bald, np.nan)], axis=1)
    settings = replace(QUICK, steps=120, architecture=Architecture("plain-0.3", 2, kind), learning_rate=1e-2)
    network = train(replace(data, items=items, item_names=("bald", "kyphosis")), SPEC, settings, seed=1)
    assert network.input.shape[1:] == (64, 96, 1)
    held = small_animals(8, seed=2)
    spec = with_trained_head(SPEC, network, kind)
    bins = np.array(SPEC.bin_centres_days)
    predicted = distributions(float_embeddings(embedding_of(network), held.crops), spec) @ bins
    assert np.corrcoef(predicted, held.age_days)[0, 1] > 0.8
    outputs = np.asarray(network(held.crops.astype(np.float32) / 255, training=False))
    age_outputs = network.get_layer(HEAD).get_weights()[0].shape[1]
    assert outputs.shape[1] == age_outputs + 2
    old = held.age_days > 450
    assert outputs[old, age_outputs].mean() > outputs[~old, age_outputs].mean() + 0.05


def test_heads_compete_inside_the_training_animals(tmp_path: Path) -> None:
    """`auto` keeps the head of the least CRPS and says what each had; the same seed gives the same weights again."""
    import keras

    data = small_animals()
    said = finetune(Run(tmp_path), data, SPEC, replace(QUICK, head="auto", steps=3), seed=1)
    scores = {kind: said[f"crps_days_{kind}"] for kind in HEADS}
    assert said["head"] == min(scores, key=scores.__getitem__)
    assert load_fit(Run(tmp_path)) == json.loads((tmp_path / "age-fit.json").read_text()) == said
    again = train(
        data, SPEC, replace(QUICK, architecture=Architecture("plain-0.3", head=said["head"]), steps=3), seed=1
    )
    kept = keras.models.load_model(tmp_path / "age.keras", compile=False)
    for one, other in zip(again.get_weights(), kept.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_reduced_network_averages_the_crop_itself() -> None:
    """On a whole crop it gives what the small network of the same weights gives on the averaged crop."""
    data = small_animals(3)
    whole, small = age_network(SPEC, "plain-0.3", 2), age_network(reduced_spec(SPEC, 2), "plain-0.3")
    small.set_weights(whole.get_weights())
    here, there = float_embeddings(whole, data.crops), float_embeddings(small, reduced(data.crops, 2))
    np.testing.assert_allclose(here, there, atol=0.02)


@pytest.mark.parametrize("method", ["vicreg", "simsiam"])
def test_pretraining_lowers_its_loss_and_its_weights_are_taken_up(tmp_path: Path, method: str) -> None:
    """The backbone of `pretrain` is the one that training starts from; digest, licence, normalisation are recorded."""
    data = small_animals(8, 4)
    small_crops(data).save(Run(tmp_path))
    architecture = Architecture("plain-0.3")
    said = pretrain_run(
        Run(tmp_path), tmp_path, SPEC, architecture, method=method, steps=25, batch=8, most=100, licence="CC0", seed=1
    )
    assert said["loss_last"] < said["loss_first"]
    assert said["crops"] == 6 * 4  # two of eight cages are held out
    found = find_weights(str(tmp_path), "plain-0.3")
    assert found is not None
    described = found.describe()
    assert (described["weights_sha256"], described["weights_licence"]) == (said["sha256"], "CC0")
    assert described["weights_normalisation"] == "pixel / 255"
    import keras

    network = age_network(SPEC, "plain-0.3")
    put_weights(network, found, "plain-0.3")
    kept = keras.models.load_model(found.path, compile=False).get_weights()
    for one, other in zip(backbone_of(network).get_weights(), kept, strict=True):
        np.testing.assert_array_equal(one, other)
    if method == "vicreg":
        fitted = finetune(Run(tmp_path / "fit"), data, SPEC, replace(QUICK, weights=found, steps=2), seed=1)
        assert fitted["weights_sha256"] == said["sha256"]


def test_imagenet_is_never_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a local file the error names the file and where to put it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(OperatorError, match=r"nothing is fetched.*0\.35_224_no_top\.h5.*--weights FILE"):
        find_weights("imagenet", "mobilenet-0.35")
    with pytest.raises(OperatorError, match="expected --network mobilenet-WIDTH, got plain-1"):
        find_weights("imagenet", "plain-1")


def test_colour_weights_serve_a_grey_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the form of Keras' own (random here): grey sees what colour sees of equal channels."""
    import h5py
    import keras
    from keras.src.legacy.saving import legacy_h5_format

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    colour = keras.applications.MobileNetV2(input_shape=(64, 96, 3), alpha=0.35, include_top=False, weights=None)
    path = tmp_path / "models" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, colour)
    found = find_weights("imagenet", "mobilenet-0.35")
    assert found is not None
    assert found.describe()["weights_licence"].startswith("Apache-2.0")
    network = age_network(SPEC, "mobilenet-0.35")
    put_weights(network, found, "mobilenet-0.35")
    grey = np.random.default_rng(1).random((2, 64, 96, 1), np.float32)
    here = np.asarray(backbone_of(network)(grey, training=False))
    there = np.asarray(colour(np.repeat(grey * 2 - 1, 3, axis=3), training=False))
    np.testing.assert_allclose(here, there, atol=1e-4)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """One line that says what was expected and what to do, for another width and for a file that is no model."""
    backbone_of(age_network(SPEC, "plain-0.5")).save(tmp_path / "backbone.keras")
    weights = Weights(tmp_path / "backbone.keras", "x", "x", "x")
    with pytest.raises(OperatorError, match=r"expected \d+ tensors beginning .* give the same --network"):
        put_weights(age_network(SPEC, "plain-0.3"), weights, "plain-0.3")
    (tmp_path / "other.keras").write_text("no zip")
    with pytest.raises(OperatorError, match="expected a Keras model"):
        put_weights(age_network(SPEC, "plain-0.3"), Weights(tmp_path / "other.keras", "x", "x", "x"), "plain-0.3")
    with pytest.raises(OperatorError, match="there is no such file"):
        find_weights(str(tmp_path / "none.keras"), "plain-1")
    (tmp_path / DESCRIPTION).write_text("[")
    with pytest.raises(OperatorError, match="expected JSON"):
        find_weights(str(tmp_path), "plain-1")


@pytest.mark.parametrize("name", ["plain", "resnet-1", "plain-9", "mobilenet-0.4", "plain-x"])
def test_an_unknown_network_is_one_clear_error(name: str) -> None:
    with pytest.raises(OperatorError, match="--network: expected plain-WIDTH"):
        check_name(name)


@pytest.mark.parametrize("factor", [3, 5])
def test_a_reduction_that_does_not_divide_the_crop_is_refused(factor: int) -> None:
    with pytest.raises(OperatorError, match="--reduce: expected a divisor"):
        reduced_spec(msgspec.structs.replace(SPEC, height=100), factor)
