"""Models against published results on data sets that ship with the libraries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from lifelines.datasets import load_rossi

from edge.errors import OperatorError
from training.statistics import effects
from training.statistics.effects import design


def test_cox_gives_rossis_published_coefficients() -> None:
    """Recidivism (Rossi, Berk and Lenihan, 1980), table in Fox (2002): fin -0.379, age -0.057, prio 0.091."""
    rossi = load_rossi()
    covariates = ["age", "race", "wexp", "mar", "paro", "prio"]
    matrix = design(rossi, "fin", covariates)
    found = effects.cox(rossi["week"].to_numpy(float), rossi["arrest"].to_numpy(float), None, matrix, "fin", None)
    assert found.estimate == pytest.approx(-0.379, abs=5e-4)
    assert found.p == pytest.approx(0.0473, abs=5e-4)
    assert found.events == 114
    matrix = design(rossi, "age", ["fin", "race", "wexp", "mar", "paro", "prio"])
    found = effects.cox(rossi["week"].to_numpy(float), rossi["arrest"].to_numpy(float), None, matrix, "age", None)
    assert found.estimate == pytest.approx(-0.0574, abs=5e-5)
    assert any("changes with time" in text for text in found.warnings), "Fox finds non-proportional hazards of age"


def test_logistic_gives_greenes_published_coefficients() -> None:
    """Spector and Mazzeo's grades in Greene (2003), table 21.1: PSI 2.379 (1.065), GPA 2.826 (1.263)."""
    data = sm.datasets.spector.load_pandas().data
    outcome = data["GRADE"].to_numpy(float)
    for x, others, estimate, error in (("PSI", ["GPA", "TUCE"], 2.379, 1.065), ("GPA", ["PSI", "TUCE"], 2.826, 1.263)):
        found = effects.logistic(outcome, design(data, x, others), x, None)
        assert found.estimate == pytest.approx(estimate, abs=5e-4)
        assert (found.high - found.low) / 2 / 1.959964 == pytest.approx(error, abs=5e-4)
        assert any("few events" in text for text in found.warnings)


def test_linear_gives_longleys_certified_coefficient() -> None:
    """NIST's StRD: Longley's regression, unemployment's coefficient -2.02022980381683 (0.488399681651699)."""
    data = sm.datasets.longley.load_pandas().data
    others = [name for name in data if name not in ("TOTEMP", "UNEMP")]
    found = effects.linear(data["TOTEMP"].to_numpy(), design(data, "UNEMP", others), "UNEMP", None, "sd")
    assert found.estimate == pytest.approx(-2.02022980381683, rel=1e-6)
    assert any("collinear" in text for text in found.warnings), "the textbook case of collinearity"


def test_a_separated_outcome_gets_firths_estimate_and_says_so() -> None:
    """With a 2x2 table Firth's method adds one half to each cell (Heinze and Schemper, 2002)."""
    x = np.repeat([0.0, 1.0], 20)
    outcome = np.concatenate([np.zeros(20), np.repeat([0.0, 1.0], [8, 12])])
    found = effects.logistic(outcome, design(pd.DataFrame({"x": x}), "x", []), "x", None)
    assert found.method == "logistic (Firth)"
    assert found.estimate == pytest.approx(np.log((12.5 / 8.5) / (0.5 / 20.5)), abs=1e-5)
    assert any("separated" in text for text in found.warnings)


def test_left_truncation_removes_the_bias_of_having_lived() -> None:
    """Of animals that enter late only the long-lived are seen; with their entry the hazard ratio is right."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=6000)
    entry = rng.uniform(0, 2, 6000)
    time = rng.exponential(np.exp(-0.7 * x))
    seen = time > entry
    matrix = design(pd.DataFrame({"x": x[seen]}), "x", [])
    right = effects.cox(time[seen], np.ones(seen.sum()), entry[seen], matrix, "x", None)
    wrong = effects.cox(time[seen], np.ones(seen.sum()), None, matrix, "x", None)
    assert right.low < 0.7 < right.high
    assert not wrong.low < 0.7 < wrong.high


def test_what_a_library_leaves_out_stands_in_the_method() -> None:
    """Errors by cage of a left-truncated Cox model ignore entry times; those of the others do not, and say nothing."""
    rng = np.random.default_rng(5)
    cages = pd.Series(np.repeat(np.arange(40), 3).astype(str))
    time, matrix = rng.exponential(size=120) + 1, design(pd.DataFrame({"x": rng.normal(size=120)}), "x", [])
    late = effects.cox(time, np.ones(120), rng.uniform(0, 1, 120), matrix, "x", cages)
    assert late.method == "Cox, left-truncated, errors by cage (lifelines leaves entry times out of them: 0-8% off)"
    assert effects.cox(time, np.ones(120), None, matrix, "x", cages).method == "Cox, errors by cage"


def test_errors_by_cage_are_wider_where_cages_differ() -> None:
    rng = np.random.default_rng(7)
    cages = np.repeat(np.arange(30), 4)
    x = rng.normal(size=30)[cages]
    outcome = rng.normal(size=30)[cages] + rng.normal(0, 0.3, 120)
    matrix = design(pd.DataFrame({"x": x}), "x", [])
    alone = effects.linear(outcome, matrix, "x", None, "sd")
    by_cage = effects.linear(outcome, matrix, "x", pd.Series(cages.astype(str)), "sd")
    assert (by_cage.high - by_cage.low) > 1.5 * (alone.high - alone.low)


def test_what_the_covariates_tell_exactly_is_refused() -> None:
    table = pd.DataFrame({"x": np.arange(20.0), "age": 3 * np.arange(20.0) + 1})
    with pytest.raises(OperatorError, match="column x: it follows exactly from the covariates"):
        effects.linear(np.arange(20.0) ** 2, design(table, "x", ["age"]), "x", None, "sd")
