"""`pretrain`, `fit --route finetune` with its options, `quantise` and `candidates`, with a step or two each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.contract.manifest import Age
from training.age.network_comparison import Profile, compare_candidates
from training.cli import main
from training.crops.table import Crops
from training.run import AGE_SPEC, CALIBRATION, Calibration, Run

pytestmark = pytest.mark.slow
NETWORK = ("--network", "plain-0.3", "--reduce", "4")


def test_from_pretraining_to_an_int8_model_with_another_head(run: Path, tmp_path: Path) -> None:
    """The head goes into the device's spec, digest and licence of the weights into what the manifest says."""
    pre, out = tmp_path / "pre", tmp_path / "run"
    begin = ("pretrain", "--out", str(pre), "--crops", str(run), "--licence", "CC0", *NETWORK)
    assert main([*begin, "--method", "simsiam", "--steps", "2", "--batch", "4"]) == 0
    Crops.load(Run(run)).save(Run(out))
    options = ("--weights", str(pre), "--head", "quantile", "--steps", "2")
    assert main(["fit", "--out", str(out), *NETWORK, *options]) == 0
    assert main(["quantise", "--out", str(out)]) == 0
    spec = Run(out).read_struct(AGE_SPEC, Age)
    assert (spec.head, spec.width, spec.height, len(spec.head_bias)) == ("quantile", 384, 160, 10)
    said = Run(out).read_struct(CALIBRATION, Calibration).training
    described = json.loads((pre / "backbone.json").read_text())
    assert said["weights_sha256"] == described["sha256"]
    assert (said["weights_licence"], said["network"], said["reduce"]) == ("CC0", "plain-0.3", 4)
    assert "int8_mae_loss" in said


def test_candidates_are_compared_once(run: Path, tmp_path: Path) -> None:
    """Error, bytes and latency of each; a candidate that is done is not trained again."""
    Crops.load(Run(run)).save(Run(tmp_path))
    profile = Profile((("plain-0.3", 4),), steps=1)
    text = compare_candidates(Run(tmp_path), profile)
    row = json.loads((tmp_path / "candidates.json").read_text())["candidates"][0]
    assert row["input"] == "96 x 40"
    assert row["bytes"] > 5000
    assert row["latency_ms"] > 0
    assert row["crps_days"] > 0
    assert "| plain-0.3 | 96 x 40 |" in text
    kept = next((tmp_path / "candidates").iterdir()).stat().st_mtime_ns
    assert compare_candidates(Run(tmp_path), profile) == text
    assert next((tmp_path / "candidates").iterdir()).stat().st_mtime_ns == kept


def test_weights_that_are_not_there_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--weights imagenet` for another network, and a missing file: code 2, before anything is trained."""
    assert main(["fit", "--out", str(tmp_path), "--weights", "imagenet"]) == 2
    assert main(["fit", "--out", str(tmp_path), "--weights", str(tmp_path / "none")]) == 2
    first, second = capsys.readouterr().err.strip().splitlines()
    assert first == "cageclock-train: --weights imagenet: expected --network mobilenet-WIDTH, got plain-1"
    assert "there is no such file; expected none, imagenet, backbone.keras" in second
