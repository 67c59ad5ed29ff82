"""Examinations over time: animals that drift at rates of their own are no sign that gap and phenotype go together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from tests.training.statistics.null_campaign import Truth, false_positives_over_time, over_time
from training.statistics.by_cluster import Level, coefficient
from training.statistics.effects import design, linear, mixed
from training.statistics.panel import AnalysisPlan, associate


def p_of(animals: pd.DataFrame, share: float = 1.5) -> float:
    """Return the p of the gap as `associate` computes it, with a given instead of an estimated weight (see below)."""
    matrix = design(animals, "gap_days", ["age_days", "sex"], "spline", animals["subject"].nunique())
    members = pd.factorize(animals["subject"])[0]
    found = coefficient(animals["p"].to_numpy(), matrix.to_numpy(), 1, members, (Level(members, share),))
    assert found is not None
    return found.p


@pytest.mark.parametrize(("animals", "uneven", "count"), [(8, False, 500), (8, True, 500), (24, True, 300)])
def test_one_null_study_in_twenty_is_significant(animals: int, uneven: bool, count: int) -> None:
    """Of so many studies 5% to their Monte Carlo error (1 point); a random intercept with Wald's t finds some 20%."""
    rng = np.random.default_rng([3, animals])
    p = [p_of(over_time(Truth("plateau", uneven), animals, rng, 4).animals) for _ in range(count)]
    assert 0.025 <= np.mean(np.array(p) < 0.05) <= 0.075


def test_the_product_says_what_the_weights_say() -> None:
    """`associate` of whole studies: no more significant than chance allows of 40, method and p those of the errors."""
    assert false_positives_over_time(False, 12, 40, 5) <= 0.15
    study = over_time(Truth("plateau"), 20, np.random.default_rng(4))
    [row] = associate(study, AnalysisPlan(continuous=("p",)), 1.0)
    assert row.effect.method == "mixed (animal), errors by animal (CR2, Satterthwaite)"
    assert row.effect.p == pytest.approx(p_of(study.animals), rel=0.25)


def test_an_effect_that_is_there_is_found_and_the_interval_holds_it() -> None:
    """Phenotype = half the gap besides its own drift: intervals of 60 studies of 20 animals hold 0.5 nearly always."""
    rng, inside, seen = np.random.default_rng(6), 0, 0
    for _ in range(60):
        table = over_time(Truth("straight"), 20, rng).animals
        outcome = table["p"].to_numpy() + 0.5 * table["gap_days"].to_numpy() / 60
        matrix = design(table.assign(gap_days=table["gap_days"] / 60), "gap_days", ["age_days", "sex"], "spline", 20)
        members = pd.factorize(table["subject"])[0]
        found = coefficient(outcome, matrix.to_numpy(), 1, members, (Level(members, 1.5),))
        assert found is not None
        inside += found.low < 0.5 < found.high
        seen += found.p < 0.05
    assert inside >= 52
    assert seen >= 25


def test_clusters_of_one_row_give_the_textbook_hc2() -> None:
    """With every row a cluster of its own the errors are HC2 (MacKinnon and White, 1985), as statsmodels has them."""
    rng = np.random.default_rng(1)
    x = np.column_stack([np.ones(40), rng.normal(size=40), rng.exponential(size=40)])
    y = x @ [1.0, 0.3, 0.2] + rng.normal(size=40) * x[:, 2]
    found = coefficient(y, x, 1, np.arange(40))
    fit = sm.OLS(y, x).fit(cov_type="HC2")
    assert found is not None
    assert found.estimate == pytest.approx(fit.params[1])
    from scipy import stats

    half = stats.t.ppf(0.975, found.freedom) * fit.bse[1]
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=1e-6)


def test_two_groups_get_welchs_neighbour() -> None:
    """Of two equal groups the degrees of freedom are those of Student's test where the spreads are the same by design.

    With n in each group CR2 on single rows is the unpooled variance; Satterthwaite's freedom under equal spread is then
    2 (n - 1) exactly (Bell and McCaffrey, 2002).
    """
    x = np.column_stack([np.ones(12), np.repeat([0.0, 1.0], 6)])
    y = np.random.default_rng(2).normal(size=12)
    found = coefficient(y, x, 1, np.arange(12))
    assert found is not None
    assert found.freedom == pytest.approx(10.0)


def test_cages_in_which_animals_live_together_are_the_clusters() -> None:
    """Mixed and linear models alike: the method names the cage, few degrees of freedom are said."""
    rng = np.random.default_rng(8)
    cage = np.repeat(np.arange(6), 12)
    table = pd.DataFrame({"gap_days": rng.normal(size=6)[cage] + 0.2 * rng.normal(size=72), "age_days": 300.0})
    outcome = rng.normal(size=6)[cage] + rng.normal(size=72)
    matrix = design(table, "gap_days", [])
    subjects, cages = pd.Series(np.repeat(np.arange(18), 4)).astype(str), pd.Series(cage).astype(str)
    found = mixed(outcome, matrix, "gap_days", subjects, cages)
    assert found is not None
    assert found.method == "mixed (animal in cage), errors by cage (CR2, Satterthwaite)"
    one = linear(outcome, matrix, "gap_days", cages, "sd")
    assert one.method == "linear (OLS), errors by cage (CR2, Satterthwaite)"
    assert any("degrees of freedom" in text for text in one.warnings + found.warnings)


@pytest.mark.parametrize("cages", [6, 10])
def test_few_cages_call_no_more_than_chance_significant(cages: int) -> None:
    """Animals of a cage share gap and phenotype: of 600 null studies of few cages about 5% are significant."""
    rng, p = np.random.default_rng([9, cages]), []
    cage = np.repeat(np.arange(cages), 4)
    for _ in range(600):
        x = np.column_stack([np.ones(len(cage)), rng.normal(size=cages)[cage] + 0.3 * rng.normal(size=len(cage))])
        found = coefficient(rng.normal(size=cages)[cage] + rng.normal(size=len(cage)), x, 1, cage)
        assert found is not None
        p.append(found.p)
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.075
