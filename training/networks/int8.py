"""Full int8, per channel, input exactly pixel - 128."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import OperatorError


def quantise(network: Any, pixels: NDArray[np.uint8]) -> bytes:
    """Return the .tflite of a Keras model that takes 0..1, calibrated on pixels uint8 (n, h, w, c).

    A black and a white picture go first, so that the input's scale is 1/255 and its zero point -128 whatever the data.

    Raises:
        OperatorError: Keras runs on another backend than TensorFlow, which alone has the converter.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise OperatorError(f"quantise: expected KERAS_BACKEND=tensorflow, got {keras.backend.backend()}")
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(_fixed_batch(network))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _representatives(pixels)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return _convert(converter)


def to_float(network: Any) -> bytes:
    """Return the float32 .tflite of the same Keras model, for comparison."""
    import tensorflow as tf

    return _convert(tf.lite.TFLiteConverter.from_keras_model(_fixed_batch(network)))


def spread(count: int, most: int, seed: int = 0) -> NDArray[np.intp]:
    """Return up to `most` indices out of `count`, drawn without order: ages and lights are mixed in the data."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def silence() -> None:
    """Ask TensorFlow, before its import, to keep quiet and to leave the GPU alone."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def import_backend() -> None:
    """Import Keras, which takes seconds, without the banners that TensorFlow's C++ prints whatever it is asked."""
    silence()
    with _muted():
        import keras  # noqa: F401


def _convert(converter: Any) -> bytes:
    """Return the converted network; the converter's own chatter is kept out of the terminal."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), _muted():
        warnings.simplefilter("ignore")
        return bytes(converter.convert())


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Keep what C++ writes to standard error out of the terminal; where the body fails, show it after all."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        terminal = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _fixed_batch(network: Any) -> Any:
    """Return the same network for a batch of one: LiteRT then plans its memory once."""
    import keras

    source = keras.Input(batch_shape=(1, *network.input.shape[1:]))
    return keras.Model(source, network(source, training=False))


def _representatives(pixels: NDArray[np.uint8]) -> Iterable[list[NDArray[np.float32]]]:
    shape = (1, *pixels.shape[1:])
    yield [np.zeros(shape, np.float32)]
    yield [np.ones(shape, np.float32)]
    for one in pixels:
        yield [one[None].astype(np.float32) / 255]
