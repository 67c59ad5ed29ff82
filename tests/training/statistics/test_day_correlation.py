"""Errors of neighbouring days go together: it is measured, and a study that ignores it is too small."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from training.cli import main
from training.statistics.errors import fit_errors
from training.statistics.power import animals_needed, from_figures, power, simulated_power
from training.statistics.studies import Design

ERRORS = from_figures(sem=60, icc=0.6, rate_sd=0.1, shrinkage=0.75)


def drawn(correlation: float, animals: int = 120, days: int = 12) -> pd.DataFrame:
    """Return one reading a day, 36 days apart, of animals with lines of their own and errors that go together."""
    rng, rows = np.random.default_rng(3), []
    for number in range(animals):
        level, rate, error = rng.normal(0, 50), rng.normal(0, 0.15), rng.normal(0, 60)
        for day in range(days):
            if day:
                error = correlation * error + np.sqrt(1 - correlation**2) * rng.normal(0, 60)
            age = 250 + 36.0 * day
            rows.append((f"a{number}", age, 200 + 0.75 * age + level + rate * (age - 450) + error))
    return pd.DataFrame(rows, columns=["subject", "age_days", "predicted_days"])


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6])
def test_the_correlation_of_days_is_found_again(correlation: float) -> None:
    """What a line leaves over is less correlated than the errors: it is corrected for, and so is their spread."""
    found = fit_errors(drawn(correlation))
    assert found.day_correlation == pytest.approx(correlation, abs=0.12)
    assert found.day_spacing == 36
    assert found.reading_sd == pytest.approx(60, rel=0.15)
    assert found.correlation(72) == pytest.approx(found.day_correlation**2)


def test_the_power_with_correlated_days_is_that_of_simulated_studies() -> None:
    """Days correlated at 0.7: a power of 0.8 that was planned for independent days is far less; the need is met."""
    plain = Design()
    planned = replace(plain, animals=animals_needed(ERRORS, plain, 0.2, 0.8) or 0)
    together = replace(planned, day_correlation=0.7)
    real = simulated_power(ERRORS, together, 0.2, 800, 1)
    assert real < 0.68
    assert power(ERRORS, together, 0.2) == pytest.approx(real, abs=0.06)
    enough = replace(together, animals=animals_needed(ERRORS, together, 0.2, 0.8) or 0)
    assert simulated_power(ERRORS, enough, 0.2, 800, 2) == pytest.approx(0.8, abs=0.06)


def test_the_command_says_what_it_used_and_how_much_hangs_on_it(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    """From readings it is measured, asked for it is as asked, from figures alone it is an assumption."""
    drawn(0.6).to_csv(tmp_path / "p.csv", index=False)
    asked = ["power", "--studies", "20", "--out", str(tmp_path)]
    assert main([*asked, "--report", str(tmp_path / "p.csv")]) == 0
    said = capsys.readouterr().out
    assert "(measured on the repeated readings)" in said
    assert main([*asked, "--sem", "60", "--icc", "0.6", "--day-correlation", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "days correlated at 0.50 (as asked)" in said
    needs = dict(line.strip().split(": ") for line in said.splitlines() if re.match(r" *0(\.\d)?: ", line))
    assert list(needs) == ["0", "0.3", "0.5", "0.7", "0.9"]
    assert int(needs["0"]) < int(needs["0.3"]) < int(needs["0.5"]) < int(needs["0.7"])
    assert main([*asked, "--sem", "60", "--icc", "0.6"]) == 0
    assert "days correlated at 0.00 (assumed: no readings were given)" in capsys.readouterr().out
