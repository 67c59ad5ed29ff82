"""Each command does its real work on a tiny scale, from simulated mice to a bundle that the device reads."""

import json
from pathlib import Path

import numpy as np
import pytest

from edge.model.bundle import read_bundle
from edge.model.golden import check_golden
from edge.model.loaded import load_model
from edge.preprocess import to_int8
from training.cli import main
from training.simulate import Dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every step done, a few training steps each."""
    folder = tmp_path_factory.mktemp("run")
    small = ["--cages", "10", "--frames", "3", "--centre-steps", "6", "--part-steps", "6", "--age-steps", "6"]
    assert main(["demo-bundle", "--out", str(folder), *small]) == 0
    return folder


def test_the_bundle_loads_and_meets_its_golden_outputs(run: Path) -> None:
    bundle = read_bundle(run / "cageclock-demo.bundle", [(run / "key.pub").read_bytes()])
    assert check_golden(load_model(bundle), bundle) == []
    assert "no biological claim" in bundle.manifest.notice
    assert "no biological claim" in bundle.files["MODEL_CARD.md"].decode()


def test_the_input_of_every_network_is_pixel_minus_128(run: Path) -> None:
    manifest = read_bundle(run / "cageclock-demo.bundle", [(run / "key.pub").read_bytes()]).manifest
    for spec in (manifest.centres, manifest.parts, manifest.age):
        assert spec.input.scale == pytest.approx(1 / 255, rel=1e-4)
        assert spec.input.zero_point == -128
    assert to_int8(np.array([0, 128, 255], np.uint8)).tolist() == [-128, 0, 127]


def test_the_report_compares_float_and_int8_on_the_same_animals(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    assert report["mae_days"] > 0
    assert report["mae_days_float32"] > 0
    assert report["test_animals"] >= 1
    assert (run / "contact-sheet.png").stat().st_size > 1000


def test_training_and_device_cut_the_same_bits(run: Path) -> None:
    """The golden crops came out of training; the device's own preprocessing of the same photograph gives them again."""
    from training.simulate import _render_cage

    data = Dataset.load(run / "data.npz")
    again = _render_cage((1, 0, 3))
    own = data.view_cage == 0
    np.testing.assert_array_equal(data.views[own], again.views)
    np.testing.assert_array_equal(data.crops[data.cage == 0], again.crops)


def test_a_finished_step_is_not_done_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "age.keras").stat().st_mtime_ns
    assert main(["fit", "--out", str(run), "--steps", "6"]) == 0
    assert (run / "age.keras").stat().st_mtime_ns == before


@pytest.mark.parametrize("command", ["fit", "quantise", "evaluate", "bundle", "locator"])
def test_a_step_without_the_one_before_says_what_to_run(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("cageclock-train: ")
    assert "run `cageclock-train simulate" in line
