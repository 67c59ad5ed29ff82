"""Phenotypes that go with age but not with the gap: `associate` calls one in twenty of them significant, not more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import CubicSpline

from tests.training.statistics.null_campaign import (
    KINDS,
    PANEL,
    SHAPES,
    TRUTHS,
    Truth,
    cohort,
    false_positives,
    p_values,
    studies,
)
from training.cli import main
from training.statistics.age_term import age_columns, age_knots
from training.statistics.effects import design, linear
from training.statistics.panel import AnalysisPlan, associate

SOME = 2000
"""Null phenotypes a cell: the Monte Carlo error of 5% is 0.5 points. `null_campaign` makes 10,000."""


@pytest.mark.parametrize("uneven", [False, True], ids=["even spread", "spread grows with age"])
@pytest.mark.parametrize("name", list(TRUTHS)[:3])
@pytest.mark.parametrize("animals", [40, 500])
def test_one_null_phenotype_in_twenty_is_significant(name: str, uneven: bool, animals: int) -> None:
    """With the default age term and errors it is 4-6% (to the Monte Carlo error), whatever bends with age."""
    rate = false_positives(Truth(name, uneven), animals, SOME, 3, "spline", robust=True)
    assert 0.03 <= rate <= 0.062


def test_what_the_defaults_are_for() -> None:
    """A straight line finds what is not there where both bend, the usual errors where both scatter more in the old."""
    assert false_positives(Truth("exponential"), 500, 1000, 3, "linear", robust=True) > 0.3
    assert false_positives(Truth("straight", uneven=True), 500, 2000, 3, "spline", robust=False) > 0.08


def test_the_campaigns_p_values_are_the_products() -> None:
    """What is computed for many phenotypes at once is what `associate` says of each, sex and all."""
    [(table, values)] = studies(Truth("exponential", uneven=True), 60, 1, 4)
    whole = cohort(Truth("straight"), 60, np.random.default_rng(1))
    names = [f"p{number}" for number in range(PANEL)]
    animals = whole.animals.assign(**table).join(pd.DataFrame(values, columns=names))
    rows = associate(whole.__class__(*("n", whole.readings, animals, "n.csv", False, 0, [])), _asks(names), 60.0)
    matrix = design(table, "gap_days", ["age_days", "sex"]).to_numpy()
    np.testing.assert_allclose([row.effect.p for row in rows], p_values(values, matrix, robust=True), rtol=1e-6)
    assert {row.effect.method for row in rows} == {"linear (OLS), HC3 errors"}


def _asks(names: list[str]) -> AnalysisPlan:
    return AnalysisPlan(continuous=tuple(names))


@pytest.mark.parametrize(
    ("kind", "animals"), [("binary", 1000), ("treatment", 1000), ("survival", 1000), ("examinations", 300)]
)
def test_every_model_has_the_curve(kind: str, animals: int) -> None:
    """In a study large enough for a line to find what is not there, the curve finds nothing, whatever the model.

    Of the treatment: the old were given it more often. Of survival: times count from the first reading.
    """
    plan, exams = KINDS[kind]
    null = cohort(Truth("bowl"), animals, np.random.default_rng(5), exams)
    [line], [curve] = (associate(null, replace(plan, age_term=term), 60.0) for term in ("linear", "spline"))
    assert line.effect.p < 0.001
    assert curve.effect.p > 0.1


@pytest.mark.parametrize(("animals", "knots"), [(9, 0), (10, 3), (29, 3), (30, 4), (99, 4), (100, 5), (500, 5)])
def test_the_number_of_animals_alone_decides_the_knots(animals: int, knots: int) -> None:
    ages = np.random.default_rng(animals).uniform(100, 900, animals)
    assert len(age_knots(ages, animals)) == knots
    assert len(age_knots(ages, animals, "linear")) == 0


@pytest.mark.parametrize("animals", [20, 60, 400])
def test_the_columns_span_the_natural_cubic_spline(animals: int) -> None:
    """Between the knots every natural spline through them is a sum of the columns; beyond them all are straight."""
    rng = np.random.default_rng(animals)
    ages = np.sort(rng.uniform(100, 900, animals))
    knots = age_knots(ages, animals)
    columns = np.column_stack([np.ones(animals), age_columns(ages, knots)])
    natural = CubicSpline(knots, rng.normal(size=len(knots)), bc_type="natural")
    inside = np.clip(ages, knots[0], knots[-1])
    wanted = natural(inside) + natural(inside, 1) * (ages - inside)
    fitted = columns @ np.linalg.lstsq(columns, wanted, rcond=None)[0]
    np.testing.assert_allclose(fitted, wanted, atol=1e-8)
    assert columns.shape[1] == len(knots)
    np.testing.assert_allclose(columns[:, 1], ages - ages.mean())
    np.testing.assert_allclose(columns.T @ columns, np.diag((columns**2).sum(axis=0)), atol=1e-6 * 900 * animals)


@pytest.mark.parametrize(
    ("ages", "curved"),
    [
        ([120.0] * 30 + [800.0] * 30, 0),
        ([120.0] * 20 + [480.0] * 20 + [840.0] * 20, 1),
        ([120.0] + [480.0] * 58 + [840.0], 1),
        ([300.0] * 60, 0),
        ([119.0, 120.0, 121.0, 839.0, 840.0, 841.0] * 10, 0),
    ],
    ids=["two ages", "three ages", "nearly all of one age", "one age", "two litters"],
)
def test_animals_of_few_ages_get_as_many_columns_as_ages_tell(ages: list[float], curved: int) -> None:
    age = np.array(ages)
    columns = age_columns(age, age_knots(age, len(age)))
    assert columns.shape == (60, 1 + curved)
    assert np.isfinite(columns).all()


def test_an_animal_alone_with_its_sex_costs_no_more_than_itself() -> None:
    """HC3 divides by one minus the leverage: the only animal of unknown sex has leverage 1."""
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"gap_days": rng.normal(size=40), "age_days": rng.uniform(100, 900, 40)})
    table["sex"] = ["F", "M"] * 20
    outcome = 0.5 * table["gap_days"].to_numpy() + rng.normal(size=40)
    odd = table.assign(sex=["U", *table["sex"][1:]])
    found = linear(outcome, design(odd, "gap_days", ["age_days", "sex"]), "gap_days", None, "sd")
    assert found.n == 39
    assert found.low < 0.5 < found.high
    assert any("1 with a covariate's value that no other has" in text for text in found.warnings)


def test_the_report_says_how_age_entered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By default a curve with its knots; a line that was asked for is warned of."""
    rng = np.random.default_rng(8)
    age = rng.uniform(100, 900, 60)
    table = pd.DataFrame({"subject": [f"a{number}" for number in range(60)], "age_days": age, "sex": "F"})
    table["predicted_days"] = age + Truth("exponential").gap(age, rng)
    table["grip"] = SHAPES["exponential"](age) + rng.normal(size=60)
    table.to_csv(tmp_path / "p.csv", index=False)
    line = ["associate", "--predictions", str(tmp_path / "p.csv"), "--continuous", "grip", "--out", str(tmp_path)]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "Age enters every model as a natural cubic spline with 4 knots" in said
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["age_term"] == "spline"
    assert report["cohorts"][0]["age_knots_days"] == pytest.approx(list(np.quantile(age, [0.05, 0.35, 0.65, 0.95])))
    assert not any("straight line" in text for text in report["warnings"])
    assert main([*line, "--age-term", "linear"]) == 0
    assert "as a straight line, as --age-term linear asked for" in capsys.readouterr().out
    straight = json.loads((tmp_path / "report.json").read_text())
    assert straight["cohorts"][0]["age_knots_days"] == []
    assert "age enters as a straight line only" in straight["warnings"][0]
    assert straight["associations"][0]["estimate"] != report["associations"][0]["estimate"]
