"""Makes tests/data/tiny.bundle and tiny.pub: `python tests/make_tiny_bundle.py [FOLDER]`.

The weights are set by hand, nothing is trained: the locator finds dark blobs and calls their right end the snout; the
age model averages the crop's brightness. It needs TensorFlow; the private key is thrown away.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from edge.contract.bundle.bundle import write_bundle
from edge.contract.bundle.keys import new_key_pair
from edge.contract.manifest import (
    AGE,
    CARD,
    CENTRES,
    GOLDEN_INPUTS,
    GOLDEN_OUTPUTS,
    PARTS,
    PREPROCESS_VERSION,
    Age,
    Band,
    Budget,
    Centres,
    Domain,
    Intervals,
    Manifest,
    Parts,
    Validity,
)
from edge.vision.model.golden import make_golden
from edge.vision.model.runtime import open_network

NOTICE = "test model; no meaning"
BINS = tuple(float(day) for day in range(0, 800, 50))
EMBEDDING = 8
PART_NAMES = ("snout", "left_ear", "right_ear", "tail_base")


def make(folder: Path) -> tuple[Path, Path]:
    """Write the bundle and its public key; return their paths."""
    contents = {CENTRES: _centres(), PARTS: _parts(), AGE: _age()}
    networks = {name.removesuffix(".tflite"): open_network(content, 1) for name, content in contents.items()}
    rng = np.random.default_rng(7)
    inputs = {name: _blocks(network.input.shape[1:], rng)[None] for name, network in networks.items()}
    contents[GOLDEN_INPUTS], contents[GOLDEN_OUTPUTS] = make_golden(networks, inputs)
    contents[CARD] = f"# tiny\n\n{NOTICE}\n".encode()
    private, public = new_key_pair()
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle(folder / "tiny.bundle", _manifest(networks), contents, private)
    (folder / "tiny.pub").write_bytes(public)
    return folder / "tiny.bundle", folder / "tiny.pub"


def _centres() -> bytes:
    """Darkness under a Gaussian of 16 px: logit 40 * (0.24 - mean grey)."""
    import keras

    source = keras.Input((120, 160, 1))
    blur = keras.layers.Conv2D(1, 16, strides=4, padding="same")
    network = keras.Model(source, blur(source))
    blur.set_weights([-40.0 * _gaussian(16, 4.0)[..., None, None], np.array([9.6])])
    return _quantise(network)


def _parts() -> bytes:
    """Darkness plus a ramp for each part: the snout is the dark blob's right end, the tail base its left end."""
    import keras

    source = keras.Input((96, 96, 1))
    blur = keras.layers.Conv2D(4, 8, strides=4, padding="same")
    ramps = keras.layers.Conv2D(4, 1)
    x, y = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 24))
    ramp = np.stack([12 * x, 6 * x - 6 * y, 6 * x + 6 * y, -12 * x], axis=-1)[None]
    network = keras.Model(source, ramps(blur(source)) + ramp.astype(np.float32))
    blur.set_weights([np.repeat(-40.0 * _gaussian(8, 2.0)[..., None, None], 4, axis=3), np.full(4, 10.0)])
    ramps.set_weights([np.eye(4)[None, None], np.zeros(4)])
    return _quantise(network)


def _age() -> bytes:
    """Mean grey of eight slices along the body."""
    import keras

    source = keras.Input((40, 96, 1))
    slices = keras.layers.AveragePooling2D((40, 12))(source)
    return _quantise(keras.Model(source, keras.layers.Reshape((EMBEDDING,))(slices)))


def _manifest(networks: dict) -> Manifest:
    tensors = {name: {"input": network.input, "output": network.output} for name, network in networks.items()}
    weights = tuple(tuple((day - 400) / 100 for day in BINS) for _ in range(EMBEDDING))
    bands = (Band(below_days=1e9, low_days=90.0, high_days=90.0),)
    return Manifest(
        name="tiny",
        channel="test",
        release=1,
        model_version="1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        notice=NOTICE,
        preprocess_version=PREPROCESS_VERSION,
        runtime_min="2.0",
        target_group="test",
        centres=Centres(
            width=160, height=120, stride=4, channels=1, threshold=0.5, min_distance_px=20.0, **tensors["centres"]
        ),
        parts=Parts(
            size=96,
            px_per_mm=0.8,
            stride=4,
            channels=1,
            keypoints=PART_NAMES,
            likelihood_a=3.0,
            likelihood_b=0.5,
            min_likelihood=0.3,
            **tensors["parts"],
        ),
        age=Age(
            width=96,
            height=40,
            px_per_mm=1.0,
            channels=1,
            bin_centres_days=BINS,
            embedding_size=EMBEDDING,
            head_weights=weights,
            head_bias=tuple(0.0 for _ in BINS),
            temperature=1.0,
            **tensors["age"],
        ),
        intervals=tuple(
            Intervals(unit=unit, coverage=0.9, animals=1, bands=bands) for unit in ("reading", "day", "week")
        ),
        domain=Domain(
            mean=(0.5,) * EMBEDDING, whitening=tuple(tuple(row) for row in np.eye(EMBEDDING).tolist()), threshold=2.0
        ),
        validity=Validity(
            strains=("C57BL/6J",),
            min_age_days=0.0,
            max_age_days=800.0,
            view="top",
            lights=("white", "infrared"),
            max_sd_days=400.0,
            min_px_per_mm=1.0,
        ),
        budget=Budget(invoke_ms=50.0, memory_mb=200.0),
        training={"data": "none; weights set by hand"},
        metrics={},
        files=(),
    )


def _blocks(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return random 8 x 8 blocks, uint8: a golden input that packs small."""
    coarse = rng.integers(0, 256, (shape[0] // 8, shape[1] // 8, shape[2]), dtype=np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)


def _gaussian(size: int, sigma: float) -> np.ndarray:
    line = np.exp(-(((np.arange(size) - (size - 1) / 2) / sigma) ** 2) / 2)
    kernel = np.outer(line, line)
    return kernel / kernel.sum()


def _quantise(network) -> bytes:
    import keras
    import tensorflow as tf

    shape = network.input.shape[1:]
    fixed = keras.Input(batch_shape=(1, *shape))
    rng = np.random.default_rng(3)
    pictures = [np.zeros((1, *shape)), np.ones((1, *shape)), *(rng.random((4, 1, *shape)))]
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(fixed, network(fixed)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([picture.astype(np.float32)] for picture in pictures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    bundle, key = make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("data"))
    print(f"{bundle} ({bundle.stat().st_size} bytes), {key}")
