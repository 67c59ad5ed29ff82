"""One adapter to the TFLite runtime: LiteRT, or tflite-runtime where LiteRT has no wheel."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Tensor
from edge.errors import BundleError, OperatorError
from edge.vision.preprocess import to_int8

_CHOICES = (("ai_edge_litert.interpreter", "ai-edge-litert"), ("tflite_runtime.interpreter", "tflite-runtime"))


@cache
def _choose() -> tuple[Any, str]:
    for module, package in _CHOICES:
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        return found.Interpreter, f"{package} {importlib.metadata.version(package)}"
    raise OperatorError("no TFLite runtime is installed; pip install ai-edge-litert (32-bit ARM: tflite-runtime)")


def runtime_name() -> str:
    """Return the runtime that was chosen and its version, for example `ai-edge-litert 2.3.0`.

    Raises:
        OperatorError: none is installed.
    """
    return _choose()[1]


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """Keep the runtime's `INFO: Created TensorFlow Lite XNNPACK delegate` off standard error, which is for messages.

    The runtime writes to file descriptor 2 itself and has no setting for it.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)


class Network:
    """One int8 network with one input and one output, ready to run. Not for use by two threads at once.

    invoked_ms: wall time of all bare invocations so far: copy in, invoke, copy out.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        """Load the network from memory: a file that is overwritten while mapped would kill the process with SIGBUS.

        Raises:
            BundleError: the runtime cannot load it, or it is not int8 in and out.
        """
        try:
            with _muted():
                self._interpreter = _choose()[0](model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
            (source,) = self._interpreter.get_input_details()
            (target,) = self._interpreter.get_output_details()
        except (ValueError, RuntimeError, SystemError, OverflowError) as error:
            raise BundleError(f"network: {runtime_name()} cannot load it: {error}") from error
        self.input, self.output = _tensor(source), _tensor(target)
        self._source, self._target = int(source["index"]), int(target["index"])
        self.invoked_ms = 0.0
        self._scale, self._zero = np.float32(self.output.scale), np.float32(self.output.zero_point)

    def run_raw(self, pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Return the int8 output, without the batch axis, for pixels uint8 (height, width, channels).

        Raises:
            ValueError: the pixels have another shape than the input.
        """
        begin = time.perf_counter()
        self._interpreter.set_tensor(self._source, to_int8(pixels)[None])
        self._interpreter.invoke()
        output: NDArray[np.int8] = self._interpreter.get_tensor(self._target)[0]
        self.invoked_ms += (time.perf_counter() - begin) * 1000
        return output

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the dequantised output, float32 without the batch axis, for pixels uint8 (height, width, channels)."""
        return (self.run_raw(pixels).astype(np.float32) - self._zero) * self._scale


def open_network(content: bytes, threads: int = 1) -> Network:
    """Return the network that a .tflite file's content holds.

    Raises:
        BundleError: it cannot be loaded, or its input is not int8 with scale 1/255 and zero point -128.
    """
    network = Network(content, threads)
    source = network.input
    if abs(source.scale * 255 - 1) > 1e-3 or source.zero_point != -128:
        raise BundleError(
            f"network: expected input scale 1/255 and zero point -128, got {source.scale:.6g} and {source.zero_point}"
        )
    return network


def _tensor(details: dict[str, Any]) -> Tensor:
    if details["dtype"] is not np.int8:
        raise BundleError(f"network: expected int8 tensors, got {np.dtype(details['dtype']).name} in {details['name']}")
    scale, zero_point = details["quantization"]
    shape = tuple(int(size) for size in details["shape"])
    return Tensor(name=details["name"], shape=shape, dtype="int8", scale=float(scale), zero_point=int(zero_point))
