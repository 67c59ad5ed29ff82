"""Nothing happens at import, and light programs stay light."""

import subprocess
import sys
import tomllib
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
    files = [path.relative_to(ROOT) for path in (ROOT / "edge/publish").rglob("*.py") if path.stem != "__init__"]
    modules = [".".join(path.with_suffix("").parts) for path in files]
    assert "edge.publish.status.health" in modules
    loaded = loaded_by("\n".join(f"import {module}" for module in modules))
    assert not loaded & {"numpy", "PIL", "ai_edge_litert", "tflite_runtime", "cryptography"}


def test_the_stations_contract_forbids_every_folder_of_the_device_but_the_contract() -> None:
    """A folder that is new must be named in the contract, or the station could import it unnoticed."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (named,) = (one["forbidden_modules"] for one in contracts if one.get("source_modules") == ["station"])
    there = {f"edge.{path.stem}" for path in (ROOT / "edge").iterdir() if not path.name.startswith("__")}
    assert set(named) == there - {"edge.contract", "edge.errors", "edge.version"}
