"""The locator's report: its figures against values worked out by hand, and a tiny run of the command for real."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import command, here
from tests.training.labelled_project import make_project
from training.deeplabcut.read import read_project
from training.locator.cross_validation import CrossValidation, fold_of
from training.locator.metrics import cross_calibrated, distances, pck, reliability, summary, suspects

KEYPOINTS = ("snout", "leftear", "rightear")


def test_figures_of_known_errors() -> None:
    """Distances 3, 4 and 5: mean 4, median 4, root mean square sqrt(50/3); a missing part counts as missed in PCK."""
    truth = np.zeros((2, 2, 2))
    found = np.array([[[3.0, 0], [0, 4]], [[3, 4], [np.nan, np.nan]]])
    errors = distances(found, truth)
    figures = summary(errors)
    assert figures["count"] == 3
    assert figures["mean_px"] == figures["median_px"] == 4
    assert figures["root_mean_square_px"] == pytest.approx((50 / 3) ** 0.5)
    assert pck(errors, np.ones((2, 2), bool))["3"] == 0.25
    assert pck(errors, np.ones((2, 2), bool))["5"] == 0.75


def test_calibration_error_of_a_known_table() -> None:
    """Ten parts at 0.95 of which eight are hits: an error of 0.15, as in Guo et al."""
    found = reliability(np.full(10, 0.95), np.arange(10) < 8)
    assert found["expected_calibration_error"] == pytest.approx(0.15)
    assert found["table"][0]["count"] == 10


def test_a_fold_does_not_calibrate_itself() -> None:
    """A fold's own hits do not change its likelihoods, only the others' do."""
    rng = np.random.default_rng(1)
    masses, groups = rng.uniform(0.1, 0.9, (20, 2)), np.arange(20) % 2
    hits = rng.random((20, 2)) < masses
    changed = np.where((groups == 0)[:, None], ~hits, hits)
    before, after = cross_calibrated(masses, hits, groups), cross_calibrated(masses, changed, groups)
    np.testing.assert_array_equal(before[groups == 0], after[groups == 0])
    assert not np.array_equal(before[groups == 1], after[groups == 1])


def test_swapped_ears_and_far_labels_are_told_apart() -> None:
    """Ears whose labels changed places are called swapped; a snout label 30 px away is far and not swapped."""
    rng = np.random.default_rng(2)
    truth = np.tile([[0.0, 0], [20, -8], [20, 8]], (30, 1, 1))
    found = truth + rng.normal(0, 1, truth.shape)
    truth[4, [1, 2]] = truth[4, [2, 1]]
    truth[9, 0] += 30
    far, swapped = suspects(found, truth, KEYPOINTS)
    assert np.argwhere(swapped).tolist() == [[4, 1], [4, 2]]
    assert far[9, 0]
    assert far.sum() <= 5


def test_folds_cover_each_frame_once_and_blocks_stay_together(tmp_path: Path) -> None:
    """Folds differ by one frame at most; blocks are runs of neighbours."""
    project = read_project(make_project(tmp_path, frames=11))
    shuffled = fold_of(project, CrossValidation(3, 1, 1, "shuffled", 1))
    assert sorted(np.bincount(shuffled)) == [3, 4, 4]
    blocks = fold_of(project, CrossValidation(3, 1, 1, "blocks", 1))
    assert (np.diff(blocks) >= 0).all()


def test_a_tiny_report_and_a_second_one_that_trains_nothing(tmp_path: Path) -> None:
    """The command writes figures, page, sheet and plots; run again, it takes the folds that are there."""
    project = make_project(tmp_path / "project", frames=6)
    options = ("--folds", 2, "--steps", 2, "--centre-steps", 2, "--curve-steps", 0)
    done = command("locator-report", "--dlc", project, "--out", tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "run/locator-report.json").read_text())
    assert figures["int8"]["count"] == 24
    assert set(figures["by_part"]) == {"snout", "leftear", "rightear", "tailbase"}
    for name in ("locator-report.md", "worst.png", "plots.png"):
        assert (tmp_path / "run" / name).stat().st_size > 500
    again = here("locator-report", "--dlc", project, "--out", tmp_path / "run", *options)
    assert again.returncode == 0, again.stderr
    assert "parts:" in done.stderr
    assert "parts:" not in again.stderr
    assert json.loads((tmp_path / "run/locator-report.json").read_text()) == figures


def test_too_few_frames_for_the_folds(tmp_path: Path) -> None:
    """Fewer than two frames a fold: one clear error."""
    done = here("locator-report", "--dlc", make_project(tmp_path / "p", frames=3), "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "expected at least 10 labelled frames for 5 folds, got 3" in done.stderr
