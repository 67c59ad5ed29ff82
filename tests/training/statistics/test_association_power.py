"""The animals that an association needs: as many as simulated studies need with the model of `associate`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.training.statistics.null_campaign import p_values
from training.cli import main
from training.statistics.association_power import association_power, columns_of
from training.statistics.effects import design
from training.statistics.power import from_figures
from training.statistics.studies import Design


@pytest.mark.parametrize(("animals", "correlation"), [(25, 0.6), (60, 0.4), (150, 0.25)])
def test_the_power_that_is_computed_is_that_of_simulated_studies(animals: int, correlation: float) -> None:
    """The gap is known with an error, age is a curve, errors are HC3: the share of p < 0.05 is what was promised."""
    errors = from_figures(sem=60, icc=0.5, rate_sd=0.2, shrinkage=0.75)
    study = Design(readings=4, missed=0.0)
    rng = np.random.default_rng(animals)
    found = []
    for _ in range(200):
        age = rng.uniform(100, 900, animals)
        own = rng.normal(size=animals)
        table = pd.DataFrame({"age_days": age, "sex": rng.choice(["F", "M"], animals)})
        table["gap_days"] = -0.3 * age + errors.animal_sd * own + rng.normal(0, 60 / np.sqrt(4), animals)
        rest = rng.normal(size=(animals, 10)) * np.sqrt(1 - correlation**2)
        matrix = design(table, "gap_days", ["age_days", "sex"])
        assert matrix.shape[1] == columns_of(animals, "spline") + 1
        found.append(p_values(correlation * own[:, None] + rest, matrix.to_numpy(), robust=True))
    simulated = float((np.concatenate(found) < 0.05).mean())
    assert simulated == pytest.approx(association_power(errors, study, correlation, animals), abs=0.05)


def test_the_curve_costs_animals_and_readings_save_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["power", "--sem", "60", "--icc", "0.5", "--correlation", "0.4", "--out", str(tmp_path)]
    assert main(line) == 0
    assert "days with a reading: " in capsys.readouterr().out
    curve = json.loads((tmp_path / "power.json").read_text())
    assert main([*line, "--age-term", "linear"]) == 0
    straight = json.loads((tmp_path / "power.json").read_text())
    assert curve["animals"] > straight["animals"]
    animals = [row["animals"] for row in curve["table"]]
    assert animals == sorted(animals, reverse=True)
    assert animals[0] > animals[-1]
    assert main([*line, "--correlation", "0.01"]) == 2
    assert "2000 animals do not show a correlation of 0.01" in capsys.readouterr().err
