"""The age model's training runs on another Keras backend as it stands; TensorFlow takes its result over."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import ROOT
from tests.training.small_animals import SPEC, small_animals
from training.age import float_embeddings, int8_embeddings, quantise_age
from training.finetune import AGE_NETWORK
from training.weights import BACKBONE

_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from tests.training.small_animals import SPEC, small_animals, small_crops
from training.age import Plan
from training.finetune import Finetune, finetune, pretrain_run
from training.weights import find_weights
import keras
assert keras.backend.backend() == sys.argv[2], keras.backend.backend()
run = Path(sys.argv[1])
data = small_animals(8)
small_crops(data).save(run)
for method in ("simsiam", "vicreg"):
    pretrain_run(run, run, SPEC, Plan("plain-0.3"), method=method, steps=3, batch=8, most=99, licence="CC0")
settings = Finetune(steps=3, plan=Plan("plain-0.3"), head="auto", head_steps=2, batch=8,
                    weights=find_weights(str(run), "plain-0.3"))
finetune(run, data, SPEC, settings)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_pretraining_and_every_head_run_on_another_backend(tmp_path: Path, backend: str) -> None:
    """The same code, with KERAS_BACKEND set: what it leaves is loaded and quantised by TensorFlow."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed; it is no dependency of the project")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "KERAS_BACKEND": backend}
    line = [sys.executable, "-c", _SCRIPT, str(tmp_path), backend]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    import keras

    assert keras.backend.backend() == "tensorflow"
    assert (tmp_path / BACKBONE).exists()
    whole = keras.models.load_model(tmp_path / AGE_NETWORK, compile=False)
    crops = small_animals(4).crops
    result = quantise_age(whole, crops, SPEC)
    by_float, by_int8 = float_embeddings(result.network, crops), int8_embeddings(result.content, crops)
    assert np.corrcoef(by_float.ravel(), by_int8.ravel())[0, 1] > 0.99
