"""Nothing happens at import, and light programs stay light."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("program", ["edge.cli", "station.cli", "training.cli"])
def test_asking_a_program_for_help_loads_no_heavy_library(program: str) -> None:
    heavy = {"numpy", "PIL", "tensorflow", "keras", "matplotlib", "ai_edge_litert", "paho", "cryptography", "av"}
    assert not loaded_by(f"import {program}") & heavy


def test_the_publisher_loads_neither_numpy_nor_the_image_library() -> None:
    modules = [
        f"edge.publish.{path.stem}" for path in (ROOT / "edge" / "publish").glob("*.py") if path.stem != "__init__"
    ]
    loaded = loaded_by("\n".join(f"import {module}" for module in modules))
    assert not loaded & {"numpy", "PIL", "ai_edge_litert", "tflite_runtime", "cryptography"}
