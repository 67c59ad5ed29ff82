"""predictions.csv: a row for each held-out reading, raw and corrected gap apart; own animals need no simulation."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.training.conftest import command, here
from training.age.predictions import with_corrected_gap


def test_every_held_out_reading_has_its_row(run: Path) -> None:
    table = pd.read_csv(run / "predictions.csv", keep_default_na=False, na_values=[""])
    assert set(table["split"]) == {"calibration", "test"}
    by_split = {name: set(rows["cage"]) for name, rows in table.groupby("split")}
    assert not by_split["calibration"] & by_split["test"], "no cage on two sides"
    assert table[["low_90_days", "high_90_days"]].isna().all(axis=None), "of so few calibration cages no interval is"
    assert np.allclose(table["gap_days"], table["predicted_days"] - table["age_days"], atol=1e-3)
    refused = table["reject_reasons"].notna()
    assert (table["accepted"] == ~refused).all()
    assert (table.loc[table["domain_score"] > 1, "reject_reasons"].str.startswith("out_of_domain")).all()


def test_the_corrected_gap_has_no_slope_on_the_calibration_animals_and_the_raw_one_stays() -> None:
    rng = np.random.default_rng(1)
    ages = rng.uniform(60, 900, 400)
    gaps = 80 - 0.3 * ages + rng.normal(0, 10, 400)
    table = pd.DataFrame(
        {"subject": [f"m{index}" for index in range(400)], "age_days": ages, "gap_days": gaps, "accepted": True}
    )
    table["split"] = np.where(np.arange(400) % 2 == 0, "calibration", "test")
    found = with_corrected_gap(table)
    slope, level = np.polyfit(found["age_days"], found["corrected_gap_days"], 1)
    assert slope == pytest.approx(0, abs=0.01)
    assert level == pytest.approx(0, abs=5)
    assert (found["gap_days"] == gaps).all()


def test_too_few_animals_give_no_correction() -> None:
    row = {"subject": "a", "age_days": 100.0, "gap_days": 5.0, "accepted": True, "split": "calibration"}
    assert with_corrected_gap(pd.DataFrame([row]))["corrected_gap_days"].isna().all()


def test_own_animals_are_evaluated_without_a_simulation(run: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(run, own, ignore=shutil.ignore_patterns("data.npz", "*.bundle", "report.*", "predictions.csv"))
    table = pd.read_csv(own / "crops.csv")
    table = table.drop(columns=[name for name in table if name.startswith("truth_")])
    table.to_csv(own / "crops.csv", index=False)
    done = command("evaluate", "--out", own)
    assert done.returncode == 0, done.stderr
    assert "held-out animals" in (own / "report.md").read_text()
    assert (own / "predictions.csv").exists()


def test_nothing_is_signed_with_another_models_figures(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other, ignore=shutil.ignore_patterns("*.bundle"))
    network = other / "age.tflite"
    network.write_bytes(network.read_bytes() + b"\0")
    done = here("bundle", "--out", other)
    assert done.returncode == 2
    assert "figures are of another age.tflite" in done.stderr
    assert "run evaluate again" in done.stderr
    assert not list(other.glob("*.bundle"))
