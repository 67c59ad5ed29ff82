"""Where the CPU time of one capture goes, stage by stage, and what a capture costs beside its networks.

The budget: all but the bare invocations, CPU time of one thread, at most 5 ms where a MobileNetV2-0.35 int8 at 224
takes 3 ms. As a ratio to that network it holds on any machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.runtimes import write_mobilenets
from benchmarks.table import Row
from edge.contract.bundle.demo import DEMO_BUNDLE, DEMO_KEY

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests/data/tiny.bundle"
LIMIT = 5 / 3
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def rows() -> list[Row]:
    """Return a row a stage, then the sums and the ratio to the limit."""
    bundle, key = (DEMO_BUNDLE, DEMO_KEY) if DEMO_BUNDLE.exists() else (TINY, TINY.with_suffix(".pub"))
    found = _measure(bundle, key)
    times: dict[str, float] = found["times"]
    mobilenet, rest, invocations = times.pop("mobilenet"), found["rest"], found["invocations"]
    whole = times.pop("whole")
    larger = {name: times.pop(name) for name in list(times) if name.startswith("whole ")}
    rows = [Row(name, f"{ms:.3f} ms", f"{ms / mobilenet:.3f}", "to mobilenet-int8") for name, ms in times.items()]
    shapes = _shapes(found["shapes"])
    remark = f"bundle {found['bundle']}, {shapes}; outcome {found['outcome']}, animals {found['animals']}"
    if bundle == TINY:
        remark += "; the test bundle: smaller crops and networks than a trained one"
    return [
        *rows,
        Row("one capture, all of it", f"{whole:.3f} ms", f"{whole / mobilenet:.3f}", f"to mobilenet-int8; {remark}"),
        Row("its bare invocations", f"{invocations:.3f} ms", f"{invocations / mobilenet:.3f}", "to mobilenet-int8"),
        Row("everything but the invocations", f"{rest:.3f} ms", f"{rest / invocations:.2f}", "to its bare invocations"),
        Row("", f"{rest:.3f} ms", f"{rest / mobilenet:.2f}", f"to mobilenet-int8, {mobilenet:.2f} ms here"),
        Row("", "", f"{rest / mobilenet / LIMIT:.2f}", f"of that to the limit of {LIMIT:.2f}"),
        *(Row(name, f"{ms:.3f} ms", f"{ms / whole:.2f}", "to the whole at 640x480") for name, ms in larger.items()),
    ]


def _shapes(shapes: dict[str, list[int]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape[1:]))}" for name, shape in shapes.items())


def _measure(bundle: Path, key: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        write_mobilenets(Path(folder))
        mobilenet = Path(folder) / "mobilenet-int8.tflite"
        command = [sys.executable, "-m", "benchmarks.one_capture", str(bundle), str(key), str(mobilenet)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | _ONE_THREAD)
    if done.returncode:
        raise RuntimeError(f"benchmarks.one_capture: {done.stderr.strip()[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result
