"""Prints, as JSON, the median CPU milliseconds of one invocation of each .tflite file that is named.

It runs in whatever environment starts it (`python benchmarks/invoke.py RUNTIME FILE...`), so that LiteRT and
tflite-runtime are measured on the same networks; it imports nothing of ours. Runs are interleaved: a disturbance of the
machine hits every network alike.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time

import numpy as np

MODULES = {"litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}
ROUNDS = 60


def main(runtime: str, files: list[str]) -> None:
    """Print {file: milliseconds}."""
    interpreter_class = importlib.import_module(MODULES[runtime]).Interpreter
    networks = {}
    generator = np.random.default_rng(1)
    for file in files:
        network = interpreter_class(model_path=file, num_threads=1)
        network.allocate_tensors()
        details = network.get_input_details()[0]
        if details["dtype"] is np.float32:
            pixels = generator.random(details["shape"], dtype=np.float32)
        else:
            pixels = generator.integers(-128, 128, details["shape"]).astype(np.int8)
        networks[file] = (network, details["index"], pixels)
    times: dict[str, list[float]] = {file: [] for file in files}
    for round_number in range(ROUNDS + 5):
        for file, (network, index, pixels) in networks.items():
            begin = time.process_time()
            network.set_tensor(index, pixels)
            network.invoke()
            if round_number >= 5:
                times[file].append((time.process_time() - begin) * 1000)
    print(json.dumps({file: statistics.median(values) for file, values in times.items()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
