"""The slope ratio: exact where it can be, and as good as its word in simulated studies."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edge.errors import OperatorError
from training.statistics import studies
from training.statistics.errors import ErrorModel, fit_errors
from training.statistics.power import animals_needed, from_figures, power, simulated_power
from training.statistics.slopes import Slopes, animal_slopes, arm, by_unit, ratio
from training.statistics.studies import Design


def measured(seed: int = 3, animals: int = 150) -> pd.DataFrame:
    """Readings, four a day on six days, of animals whose error's parts are known."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.uniform(60, 900, (animals, 6)), axis=1).round()
    level, rate = rng.normal(0, 70, (animals, 1)), rng.normal(0, 0.15, (animals, 1))
    daily = 150 + 0.7 * days + level + rate * (days - 480) + rng.normal(0, 30, days.shape)
    pictures = daily[..., None] + rng.normal(0, 50, (*days.shape, 4))
    subject = np.broadcast_to(np.arange(animals)[:, None, None], pictures.shape)
    age = np.broadcast_to(days[..., None], pictures.shape)
    columns = {"subject": subject.ravel().astype(str), "age_days": age.ravel(), "predicted_days": pictures.ravel()}
    return pd.DataFrame(columns)


@given(st.integers(0, 10_000), st.floats(0.2, 3), st.floats(-300, 300))
def test_shrinking_every_prediction_leaves_the_ratio_and_its_interval(seed: int, factor: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    times = rng.uniform(100, 700, (2, 12, 6))
    values = times * np.array([0.5, 0.8])[:, None, None] + rng.normal(0, 40, times.shape)
    results = []
    for one in (values, shift + factor * values):
        slopes = [arm(animal_slopes(t, v)) for t, v in zip(times, one, strict=True)]
        results.append(ratio(*slopes))
    for name in ("ratio", "low", "high", "p"):
        assert getattr(results[1], name) == pytest.approx(getattr(results[0], name), rel=1e-6)
    assert bool(results[0].p < 0.05) == (not results[0].low <= 1 <= results[0].high)


def test_a_slope_is_least_squares_and_missing_readings_do_not_count() -> None:
    times = np.array([[1.0, 2, 4, np.nan, 7], [3, np.nan, np.nan, np.nan, np.nan]])
    values = np.array([[2.0, 5, 6, 9, 14], [1, 2, 3, 4, 5]])
    found = animal_slopes(times, values)
    reference = stats.linregress([1, 2, 4, 7], [2, 5, 6, 14])
    assert found.slope[0] == pytest.approx(reference.slope)
    assert np.sqrt(found.residual[0] / found.freedom[0] / found.sxx[0]) == pytest.approx(reference.stderr)
    assert np.isnan(found.slope[1])


def test_with_equal_weights_the_arms_are_compared_by_welchs_test() -> None:
    rng = np.random.default_rng(2)
    one, two = rng.normal(0.6, 0.1, 9), rng.normal(0.8, 0.2, 14)

    def equal(slope: np.ndarray) -> Slopes:
        return Slopes(slope, np.ones_like(slope), np.zeros_like(slope), np.zeros_like(slope))

    found = ratio(arm(equal(one)), arm(equal(two)))
    reference = stats.ttest_ind(one, two, equal_var=False)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.freedom == pytest.approx(reference.df)


def test_a_control_that_does_not_age_gives_an_unbounded_interval() -> None:
    rng = np.random.default_rng(4)
    times = rng.uniform(0, 10, (2, 5, 4))
    found = ratio(*(arm(animal_slopes(t, rng.normal(0, 50, t.shape))) for t in times))
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_units_join_animals_by_what_their_slopes_are_worth() -> None:
    slopes = Slopes(np.array([1.0, 2.0, np.nan, 5.0]), np.array([1.0, 3.0, 0, 2.0]), np.ones(4), np.ones(4))
    found = by_unit(slopes, np.array([0, 0, 1, 1]))
    assert found.slope == pytest.approx([1.75, 5.0])


def test_the_errors_parts_are_found_again() -> None:
    errors = fit_errors(measured(animals=400))
    assert errors.days_separable
    assert errors.reading_sd == pytest.approx(50, rel=0.05)
    assert errors.day_sd == pytest.approx(30, rel=0.15)
    assert errors.animal_sd == pytest.approx(70, rel=0.15)
    assert errors.rate_sd == pytest.approx(0.15, rel=0.15)
    assert errors.slope(200, 700) == pytest.approx(0.7, abs=0.03)


def test_animals_that_were_seen_within_days_say_little_of_rates() -> None:
    """Three days next to each other give lines of any steepness; they must not pass for animals of another rate."""
    table = measured(animals=400)
    rng = np.random.default_rng(8)
    brief = pd.DataFrame(
        {
            "subject": np.repeat([f"brief {number}" for number in range(20)], 3),
            "age_days": (rng.uniform(100, 800, (20, 1)).round() + np.arange(3)).ravel(),
            "predicted_days": 0.0,
        }
    )
    brief["predicted_days"] = 150 + 0.7 * brief["age_days"] + rng.normal(0, 50, len(brief))
    errors = fit_errors(pd.concat([table, brief]))
    assert errors.rate_sd == pytest.approx(0.15, rel=0.15)


def test_studies_cover_the_truth_and_find_nothing_where_nothing_is() -> None:
    """1,000 studies: the promise is 93-97% coverage and 3-7% false positives; the difference of slopes fails."""
    found = studies.run(measured(), studies=1000, seed=1)
    assert 0.93 <= found["coverage"] <= 0.97
    assert 0.93 <= found["coverage_no_effect"] <= 0.97
    assert 0.03 <= found["false_positives"] <= 0.07
    assert found["power"] > 0.7
    assert found["coverage_difference"] < 0.85
    assert found == studies.run(measured(), studies=1000, seed=1), "one seed gives the same numbers"


def test_the_cage_as_unit_keeps_the_false_positives_that_animals_do_not() -> None:
    design = Design(animals=45, per_cage=3, cage_rate_sd=0.3)
    errors = fit_errors(measured())
    wrong = studies.run(errors, studies=1000, design=design)
    right = studies.run(errors, studies=1000, design=Design(**{**wrong["design"], "cage_unit": True}))
    assert wrong["false_positives"] > 0.1
    assert 0.03 <= right["false_positives"] <= 0.07


@pytest.mark.parametrize("per_cage", [1, 3])
def test_the_power_that_is_computed_is_the_power_of_simulated_studies(per_cage: int) -> None:
    errors = from_figures(sem=50, icc=0.6, rate_sd=0.15, shrinkage=0.7)
    design = Design(readings=8, per_cage=per_cage, cage_rate_sd=0.1, cage_unit=per_cage > 1)
    need = animals_needed(errors, design, change=0.2, wanted=0.8)
    assert need is not None
    design = Design(need, 8, per_cage=per_cage, cage_rate_sd=0.1, cage_unit=per_cage > 1)
    if per_cage > 1:
        assert simulated_power(errors, design, 0.2, 1000, seed=1) == pytest.approx(0.8, abs=0.05)
    else:
        flat = Design(**{**asdict(design), "cage_rate_sd": 0.0})
        assert simulated_power(errors, flat, 0.2, 1000, seed=1) == pytest.approx(power(errors, flat, 0.2), abs=0.05)


@given(st.integers(4, 60), st.integers(4, 40), st.floats(0.05, 0.5))
def test_more_animals_and_more_readings_never_cost_power(animals: int, readings: int, change: float) -> None:
    errors: ErrorModel = from_figures(sem=60, icc=0.5, rate_sd=0.2, shrinkage=0.7)
    less = power(errors, Design(animals=animals, readings=readings), change)
    assert power(errors, Design(animals=animals + 3, readings=readings), change) >= less - 1e-9
    assert power(errors, Design(animals=animals, readings=readings + 3), change) >= less - 1e-9


def test_too_few_repeated_animals_are_said() -> None:
    table = measured(animals=9)
    with pytest.raises(OperatorError, match="at least 10 animals seen on 3 days or more"):
        fit_errors(table, "p.csv")
