"""The simulated truth: oracle, unseen animals, intervals and foreign scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edge.contract.bundle.demo import DEMO_BUNDLE, DEMO_KEY
from edge.errors import OperatorError
from edge.simulate.appearance import Appearance
from tests.training.conftest import ROOT, command, here
from training.simulated.foreign import IN_DOMAIN, KINDS, scenes_of_cage
from training.truth.coverage import coverage_of, measure_errors
from training.truth.domain import judge_scenes
from training.truth.oracle import RESOLUTION, by_day, draw_appearances, fit_oracle, paired_ratio, visible
from training.truth.unseen import Readings, render_unseen


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Appearances and ages of 1,500 animals."""
    return draw_appearances(1500, 7)


def test_the_oracle_sees_no_more_than_a_crop_shows(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """Neither the tail's length nor a difference below a pixel or a grey level reaches it."""
    appearance = drawn[0][:50].copy()
    seen = visible(appearance, True)
    appearance[:, Appearance.FIELDS.index("tail_length_mm")] += 30
    steps = np.array(list(RESOLUTION.values()))
    assert (visible(appearance, True) == seen).all()
    assert np.allclose(seen / steps, np.round(seen / steps))
    assert not {"age_days", "ageing_rate", "subject_id", "sex"} & set(RESOLUTION)


def test_the_oracle_does_much_better_than_guessing_on_other_animals(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """On animals of other seeds, in both lights."""
    oracle = fit_oracle(*drawn)
    appearance, ages = draw_appearances(400, 8)
    white = np.arange(400) % 2 == 0
    error = np.abs(oracle.predict(appearance, white) - ages)
    constant = np.abs(np.median(drawn[1]) - ages)
    assert error[white].mean() < 0.55 * constant[white].mean()
    assert error[~white].mean() < 0.55 * constant[~white].mean()


def test_the_paired_bootstrap_knows_a_fixed_ratio() -> None:
    """Where the model is always twice as wrong as the oracle, the ratio is 2 without any uncertainty."""
    rng = np.random.default_rng(3)
    truth, off = rng.uniform(50, 900, 300), rng.normal(0, 80, 300)
    found = paired_ratio(truth + 2 * off, truth - off, truth, np.repeat(np.arange(100), 3))
    assert found["animals"] == 100
    assert found["ratio"] == pytest.approx(2)
    assert found["ratio_low_95"] == pytest.approx(2)
    assert found["ratio_high_95"] == pytest.approx(2)


def test_the_bootstrap_draws_animals_and_not_rows() -> None:
    """Ten equal rows an animal tell no more than one."""
    rng = np.random.default_rng(4)
    truth, model, oracle = rng.uniform(50, 900, 80), rng.normal(0, 90, 80), rng.normal(0, 80, 80)
    once = paired_ratio(truth + model, truth + oracle, truth, np.arange(80))
    ten = paired_ratio(*(np.repeat(v, 10) for v in (truth + model, truth + oracle, truth, np.arange(80))))
    assert ten["ratio_high_95"] == pytest.approx(once["ratio_high_95"])


def test_days_are_means_as_pandas_makes_them() -> None:
    """In the order of the day numbers."""
    rng = np.random.default_rng(5)
    days, values = rng.integers(0, 20, 100), rng.normal(0, 1, 100)
    assert np.allclose(by_day(values, days), pd.Series(values).groupby(days).mean())


def test_intervals_from_measured_errors_cover(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """A predictor with known noise: nine in ten of other drawn animals, for a reading, a day and a week."""
    rng = np.random.default_rng(6)
    appearance, ages = (np.repeat(values[:400], 4, axis=0) for values in drawn)
    animals, white = np.repeat(np.arange(400), 4), np.arange(1600) % 2 == 0
    predicted = 480 + 0.7 * (ages - 480) + np.repeat(rng.normal(0, 40, 400), 4) + rng.normal(0, 40, 1600)
    model = measure_errors(predicted, appearance, white, animals, animals)
    found = coverage_of(model, 500)
    for unit in ("reading", "day", "week"):
        assert 0.85 <= found[f"coverage_90_{unit}"] <= 0.95
    assert found["width_90_days_week"] < found["width_90_days_reading"]


def test_too_few_animals_are_refused() -> None:
    """With what to do about it."""
    with pytest.raises(OperatorError, match="--cages"):
        measure_errors(np.zeros(3), np.zeros((3, 15)), np.zeros(3, bool), np.arange(3), np.arange(3))


def test_unseen_cages_are_rendered_once_and_the_same_each_time(tmp_path: Path) -> None:
    """Every second camera is nearer than any in training; a second call reads what the first one wrote."""
    first = render_unseen(tmp_path / "a", cages=2, seed=9, workers=1)
    kept = next((tmp_path / "a").glob("*.npz")).stat().st_mtime_ns
    again = render_unseen(tmp_path / "a", cages=2, seed=9, workers=1)
    assert next((tmp_path / "a").glob("*.npz")).stat().st_mtime_ns == kept
    assert isinstance(again, Readings)
    assert (first.crops == again.crops).all()
    rendered = render_unseen(tmp_path / "b", cages=1, seed=9, workers=1).crops
    assert (first.crops[: len(rendered)] == rendered).all()
    assert set(np.unique(first.outside)) == {False, True}
    assert first.crops.shape[1:] == (160, 384, 1)
    assert (first.animal == first.day // 10).all()


def test_scenes_that_another_bundle_judged_are_judged_anew(tmp_path: Path) -> None:
    """The demo's locator finds other crops than the tiny one; both are kept, each is used again."""
    tiny = ROOT / "tests/data/tiny.bundle"
    demo = judge_scenes(tmp_path, DEMO_BUNDLE, DEMO_KEY, cages=1, seed=9, workers=1)
    other = judge_scenes(tmp_path, tiny, tiny.with_suffix(".pub"), cages=1, seed=9, workers=1)
    assert len(list(tmp_path.glob("*.npz"))) == 2
    assert demo.path_crops.shape != other.path_crops.shape
    again = judge_scenes(tmp_path, DEMO_BUNDLE, DEMO_KEY, cages=1, seed=9, workers=1)
    np.testing.assert_array_equal(again.path_crops, demo.path_crops)


def test_each_kind_of_foreign_scene_can_be_drawn() -> None:
    """All thirteen in one cage, and a good scene after them; the open field comes from its own recordings."""
    scenes = scenes_of_cage(0, seed=9, each=len(KINDS))
    assert len({scene.kind for scene in scenes}) == len(KINDS) + 1
    assert scenes[-1].kind == IN_DOMAIN
    for scene in scenes:
        assert scene.image.dtype == np.uint8
        assert scene.image.shape == (720, 960, 3)
        assert np.hypot(*np.subtract(scene.snout, scene.tail_base)) > 20


def test_the_command_measures_a_run(run: Path) -> None:
    """A tiny run against the truth, by the command that people type."""
    size = ("--cages", 8, "--scene-cages", 1, "--oracle-animals", 300, "--interval-animals", 60)
    done = command("truth", "--out", run, *size, "--workers", 1, "--open-field", run / "none")
    assert done.returncode == 0, done.stderr
    figures = json.loads((run / "truth.json").read_text())
    assert figures["seed"] == 1
    assert figures["foreign_scenes"] == 4
    assert figures["day_ratio_low_95"] <= figures["day_ratio"] <= figures["day_ratio_high_95"]
    assert 0 <= figures["coverage_90_week"] <= 1


def test_a_run_without_a_model_is_refused(tmp_path: Path) -> None:
    """With the command that makes one."""
    done = here("truth", "--out", tmp_path)
    assert done.returncode == 2
    assert "quantise" in done.stderr
