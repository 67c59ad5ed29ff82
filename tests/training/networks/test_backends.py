"""The age model's training runs on another Keras backend as it stands; TensorFlow takes its result over.

JAX and PyTorch are no dependencies: where one is not installed beside TensorFlow, CAGECLOCK_JAX_PYTHON or
CAGECLOCK_TORCH_PYTHON names the Python of another environment that has it, Keras, and what training needs otherwise.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import ROOT
from tests.training.small_animals import SPEC, small_animals
from training.age.fit import float_embeddings, int8_embeddings, quantise_age
from training.run import AGE_NETWORK, BACKBONE

_SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from tests.training.small_animals import SPEC, small_animals, small_crops
from training.age.fit import Architecture
from training.age.finetune import Finetune, finetune, pretrain_run
from training.age.initial_weights import find_weights
from training.run import Run
import keras
assert keras.backend.backend() == sys.argv[2], keras.backend.backend()
run = Path(sys.argv[1])
data = small_animals(8)
small_crops(data).save(Run(run))
for method in ("simsiam", "vicreg"):
    network = Architecture("plain-0.3")
    pretrain_run(Run(run), run, SPEC, network, method=method, steps=3, batch=8, most=99, licence="CC0")
settings = Finetune(steps=3, architecture=Architecture("plain-0.3"), head="auto", head_steps=2, batch=8,
                    weights=find_weights(str(run), "plain-0.3"))
scores = np.random.default_rng(2).choice([0, 0.5, 1, np.nan], (len(data.crops), 2)).astype("float32")
data = replace(data, items=scores, item_names=("coat", "gait"), outliers=255 - data.crops[:12])
finetune(Run(run), data, SPEC, settings)
"""

_LOSSES = """
import json
import numpy as np
from keras import ops
from training.losses import gaussian, items, keypoints, label_distribution, outliers, quantile, simsiam, vicreg
rng = np.random.default_rng(5)
def some(*shape):
    return ops.convert_to_tensor(rng.normal(0, 1, shape).astype("float32"))
bins, days = np.arange(30, 930, 30, dtype="float32"), rng.uniform(60, 900, 6).astype("float32")
spread, score = ops.convert_to_tensor(label_distribution.label_distribution(days, bins, 30)), rng.uniform(0, 1, (6, 3))
score[0, 1], days = np.nan, ops.convert_to_tensor(days[:, None])
places = rng.uniform(4, 44, (6, 4, 3, 1)).astype("float32")
places[:, :, 2] = rng.integers(0, 2, (6, 4, 1))
centres = rng.uniform(4, 44, (6, 2, 2, 1)).astype("float32")
centres[0, 1] = np.nan
found = {
    "label_distribution": label_distribution.label_distribution_loss()(spread, some(6, len(bins))),
    "gaussian": gaussian.gaussian_loss(bins)(days, some(6, 2)),
    "quantile": quantile.quantile_loss(bins, 9)(days, some(6, 9)),
    "items": items.items_loss(ops.convert_to_tensor(score.astype("float32")), some(6, 3)),
    "outliers": outliers.outlier_loss(some(12), 6, 3),
    "parts": keypoints.keypoint_loss(4)(ops.convert_to_tensor(places), some(6, 12, 12, 4)),
    "centres": keypoints.centre_loss(4)(ops.convert_to_tensor(centres), some(6, 12, 12, 1)),
    "simsiam": simsiam.simsiam_loss(some(6, 2, 8), some(6, 2, 8)),
    "vicreg": vicreg.vicreg_loss(some(6, 2, 8)),
}
print(json.dumps({name: float(value) for name, value in found.items()}))
"""


def interpreter(backend: str) -> str:
    """Return a Python that can import the backend, or skip the test."""
    variable = f"CAGECLOCK_{backend.upper()}_PYTHON"
    if named := os.environ.get(variable):
        return named
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed, and {variable} names no Python that has it")
    return sys.executable


def _run(python: str, backend: str, script: str, *arguments: str) -> str:
    """Run the script on the backend and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend}
    line = [python, "-c", script, *arguments]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_loss_has_the_same_value_on_another_backend(backend: str) -> None:
    """Of the same numbers, those that are missing too, every loss is what TensorFlow makes it."""
    other = json.loads(_run(interpreter(backend), backend, _LOSSES).splitlines()[-1])
    here = json.loads(_run(sys.executable, "tensorflow", _LOSSES).splitlines()[-1])
    assert np.isfinite(list(here.values())).all()
    assert other == pytest.approx(here, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_pretraining_and_every_head_run_on_another_backend(tmp_path: Path, backend: str) -> None:
    """The same code, with KERAS_BACKEND set: what it leaves is loaded and quantised by TensorFlow."""
    _run(interpreter(backend), backend, _SCRIPT, str(tmp_path), backend)
    import keras

    assert keras.backend.backend() == "tensorflow"
    assert (tmp_path / BACKBONE).exists()
    whole = keras.models.load_model(tmp_path / AGE_NETWORK, compile=False)
    crops = small_animals(4).crops
    result = quantise_age(whole, crops, SPEC)
    by_float, by_int8 = float_embeddings(result.network, crops), int8_embeddings(result.content, crops)
    assert np.corrcoef(by_float.ravel(), by_int8.ravel())[0, 1] > 0.99
