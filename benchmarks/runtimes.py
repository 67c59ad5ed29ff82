"""LiteRT against tflite-runtime and against float32, on the demo bundle's networks and a MobileNetV2-0.35 for scale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.table import Row
from edge.contract.bundle.bundle import read_bundle
from edge.contract.bundle.demo import DEMO_BUNDLE, DEMO_KEY
from edge.contract.manifest import Manifest
from training.networks.int8 import silence, to_float

ROOT = Path(__file__).parents[1]
OLDEST = ROOT / ".venv-oldest/bin/python"
NAMES = ("centres", "parts", "age")


def rows() -> list[Row]:
    """Return a row a network and runtime."""
    with tempfile.TemporaryDirectory() as folder:
        files = _unpack(Path(folder))
        litert = _measure(sys.executable, "litert", files)
        oldest = _measure(str(OLDEST), "tflite-runtime", files) if OLDEST.exists() else None
    found = []
    reference = litert["mobilenet-int8"]
    for name in files:
        found.append(
            Row(f"{name}, LiteRT", f"{litert[name]:.2f} ms", f"{litert[name] / reference:.2f}", "to mobilenet-int8")
        )
        if oldest is None:
            continue
        ratio = oldest[name] / litert[name]
        found.append(
            Row(f"{name}, tflite-runtime", f"{oldest[name]:.2f} ms", f"{ratio:.2f}", "to LiteRT, same network")
        )
    if oldest is None:
        found.append(Row("tflite-runtime", "-", "", "skipped: no wheel for this Python"))
    return found


def _unpack(folder: Path) -> dict[str, Path]:
    bundle = read_bundle(DEMO_BUNDLE, [DEMO_KEY.read_bytes()])
    files = {}
    for name in NAMES:
        files[name] = folder / f"{name}.tflite"
        files[name].write_bytes(bundle.files[f"{name}.tflite"])
    _write_floats(folder, bundle.manifest)
    for name in NAMES:
        files[f"{name}-float32"] = folder / f"{name}-float32.tflite"
    write_mobilenets(folder)
    mobilenets = {f"mobilenet-{kind}": folder / f"mobilenet-{kind}.tflite" for kind in ("int8", "float32")}
    return mobilenets | files


def _write_floats(folder: Path, manifest: Manifest) -> None:
    """Write the bundle's three architectures as float32, with random weights: only their time is looked at."""
    silence()
    from training.age.networks import age_network
    from training.locator.networks import centres_network, parts_network

    networks = {
        "centres": centres_network(manifest.centres),
        "parts": parts_network(manifest.parts),
        "age": age_network(manifest.age),
    }
    for name, network in networks.items():
        (folder / f"{name}-float32.tflite").write_bytes(to_float(network))


def write_mobilenets(folder: Path) -> None:
    """Write MobileNetV2-0.35 at 224 with random weights, int8 and float32: the yardstick of the time budget."""
    code = (
        "import sys, numpy as np, keras, tensorflow as tf\n"
        "net = keras.applications.MobileNetV2(input_shape=(224, 224, 3), alpha=0.35, weights=None)\n"
        "rand = lambda: np.random.rand(1, 224, 224, 3).astype('f4')\n"
        "def one(int8):\n"
        "    conv = tf.lite.TFLiteConverter.from_keras_model(net)\n"
        "    if int8:\n"
        "        conv.optimizations = [tf.lite.Optimize.DEFAULT]\n"
        "        conv.representative_dataset = lambda: ([rand()] for _ in range(8))\n"
        "        conv.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]\n"
        "        conv.inference_input_type = conv.inference_output_type = tf.int8\n"
        "    return conv.convert()\n"
        "for kind in ('int8', 'float32'):\n"
        "    open(f'{sys.argv[1]}/mobilenet-{kind}.tflite', 'wb').write(one(kind == 'int8'))\n"
    )
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, env=quiet)


def _measure(python: str, runtime: str, files: dict[str, Path]) -> dict[str, float]:
    command = [python, str(Path(__file__).with_name("invoke.py")), runtime, *map(str, files.values())]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    by_file = json.loads(done.stdout.strip().splitlines()[-1])
    return {name: by_file[str(path)] for name, path in files.items()}
