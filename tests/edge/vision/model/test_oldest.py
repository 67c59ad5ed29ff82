"""The tiny bundle in the oldest environment that the metadata promises: numpy 1.24, tflite-runtime, LiteRT."""

import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import GOLDEN_INPUTS
from edge.vision.model.golden import NAMES, TOLERANCE_QUANTA
from edge.vision.model.loaded import LoadedModel

ROOT = Path(__file__).parents[4]
DATA = ROOT / "tests/data"
PYTHON = Path(os.environ.get("CAGECLOCK_OLDEST", ROOT / ".venv-oldest")) / "bin/python"

needs_oldest = pytest.mark.skipif(
    not PYTHON.exists(), reason="there is no .venv-oldest; `sh tools/oldest.sh` makes it where this Python has wheels"
)

ANSWERS = """
import io, json, sys
from pathlib import Path
hidden = sys.argv[1]
if hidden != "nothing":
    sys.modules[hidden] = None  # an import of it fails, as where it is not installed
import numpy as np
from edge.contract.bundle.bundle import read_bundle
from edge.vision.model.golden import check_golden
from edge.vision.model.loaded import load_model
from edge.vision.model.runtime import runtime_name
data = Path(sys.argv[2])
bundle = read_bundle(data / "tiny.bundle", [(data / "tiny.pub").read_bytes()])
model = load_model(bundle)
inputs = np.load(io.BytesIO(bundle.files["golden.npz"]))
answers = {n: [getattr(model, n).run_raw(one).ravel().tolist() for one in inputs[n]] for n in inputs.files}
print(json.dumps({"runtime": runtime_name(), "numpy": np.__version__, "answers": answers,
                  "failures": check_golden(model, bundle)}))
"""


def answers_with(hidden: str) -> dict:
    """Return what the oldest environment's runtime answers; the module named is hidden from it."""
    done = subprocess.run(
        [PYTHON, "-c", ANSWERS, hidden, DATA],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    return json.loads(done.stdout.splitlines()[-1])


@needs_oldest
@pytest.mark.parametrize(
    ("hidden", "runtime"), [("nothing", "ai-edge-litert"), ("ai_edge_litert.interpreter", "tflite-runtime")]
)
def test_the_oldest_versions_answer_as_the_newest_do(
    tiny_bundle: Bundle, tiny_model: LoadedModel, hidden, runtime
) -> None:
    found = answers_with(hidden)
    assert found["numpy"].startswith("1.24.")
    assert found["runtime"].startswith(runtime + " ")
    assert found["failures"] == []
    for name, ours in newest(tiny_bundle, tiny_model).items():
        difference = np.abs(ours - np.array(found["answers"][name], np.int16))
        assert difference.max() <= TOLERANCE_QUANTA, name


def newest(bundle: Bundle, model: LoadedModel) -> dict[str, np.ndarray]:
    """Return this environment's answers to the golden inputs, int16 (inputs, outputs) a network."""
    with np.load(io.BytesIO(bundle.files[GOLDEN_INPUTS])) as inputs:
        return {
            name: np.array([getattr(model, name).run_raw(one).ravel() for one in inputs[name]], np.int16)
            for name in NAMES
        }
