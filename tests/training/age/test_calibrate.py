"""Calibration: intervals that cover by animal, a domain that keeps its own and refuses strangers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from edge.errors import OperatorError
from edge.vision.estimate import interval_of
from tests.training.small_animals import small_animals, small_crops
from training.age.aggregates import aggregates, count_real
from training.age.calibrate import domain_scores, fit_domain, fit_intervals
from training.age.repeated_readings import Readings, further_animals
from training.few_units import chance_of_poor_coverage, in_words
from training.locator.likelihood import fit_likelihood
from training.run import Run


def readings(rng: np.random.Generator, animals: int, each: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (predicted, truth, animal) where most of the error belongs to the animal."""
    animal = np.repeat(np.arange(animals, dtype=np.int32), each)
    truth = rng.uniform(60, 900, len(animal)).astype(np.float32)
    error = np.repeat(rng.normal(0, 70, animals), each) + rng.normal(0, 40, len(animal))
    return truth.astype(np.float64) - error, truth, animal


def test_a_readings_interval_covers_new_animals() -> None:
    """90% intervals made on some animals cover about 90% of readings of others."""
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(8):
        predicted, truth, animal = readings(rng, 150)
        reading = fit_intervals(predicted, truth, animal)[0]
        new_predicted, new_truth, _ = readings(rng, 150)
        bounds = np.array([interval_of(float(value), reading) for value in new_predicted])
        covered.append(((bounds[:, 0] <= new_truth) & (new_truth <= bounds[:, 1])).mean())
    assert 0.86 < float(np.mean(covered)) < 0.97


def test_a_week_is_narrower_than_a_reading_but_not_by_the_square_root_of_its_number() -> None:
    """The error that belongs to the animal does not average out over its frames."""
    predicted, truth, animal = readings(np.random.default_rng(6), 300, each=12)
    by_unit = {entry.unit: entry.bands[1] for entry in fit_intervals(predicted, truth, animal)}
    reading = by_unit["reading"].low_days + by_unit["reading"].high_days
    week = by_unit["week"].low_days + by_unit["week"].high_days
    assert reading / np.sqrt(12) < week < reading


@pytest.mark.parametrize(("units", "poor"), [(9, 0.134), (10, 0.107), (19, 0.083)])
def test_few_units_cover_what_is_said_and_how_often_too_little(units: int, poor: float) -> None:
    """Over 250 calibrations the mean coverage is 90% or more; how often it is below 80% is what the report says."""
    rng, found = np.random.default_rng([5, units]), []
    for _ in range(250):
        truth = rng.uniform(250, 470, units)
        error = rng.normal(0, 60, units)
        made = fit_intervals(truth - error, truth.astype(np.float32), np.arange(units, dtype=np.int32))[0]
        low, high = interval_of(0.0, made)
        found.append(norm.cdf(high / 60) - norm.cdf(low / 60))
    assert chance_of_poor_coverage(units) == pytest.approx(poor, abs=0.001)
    assert np.mean(found) >= 0.89
    assert np.mean(np.array(found) < 0.8) == pytest.approx(poor, abs=0.06)


@pytest.mark.parametrize("units", [2, 6, 8])
def test_a_level_that_so_few_units_cannot_give_is_not_published(units: int) -> None:
    """(n + 1) * 0.9 is more than n: the entry has its level and units, and no band; the words say how many more."""
    truth = np.linspace(250, 470, units)
    made = fit_intervals(truth + 10, truth.astype(np.float32), np.arange(units, dtype=np.int32))
    assert [(one.unit, one.coverage, one.animals, one.bands) for one in made] == [
        (unit, 0.9, units, ()) for unit in ("reading", "day", "week")
    ]
    assert f"{units} calibration cages cannot give one, 9 are the least. It takes {9 - units} more" in in_words(made)
    assert np.isnan(interval_of(300.0, made[0])).all()


def test_a_half_width_is_the_error_of_some_unit() -> None:
    """Exact conformal quantiles: of nine units the largest absolute error on both sides, nothing interpolated."""
    truth = np.linspace(250, 470, 9)
    errors = np.array([1.0, -2, 3, -4, 5, -6, 7, -8, 9])
    [band, *_] = fit_intervals(truth - errors, truth.astype(np.float32), np.arange(9, dtype=np.int32))[0].bands
    assert band.low_days == band.high_days == pytest.approx(9.0, abs=0.01)


def colony(
    rng: np.random.Generator, cages: int, each: int = 3, *, of_cage: float = 60.0, of_animal: float = 50.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (predicted, truth, animal, cage): four readings on three days of one week of each animal.

    Errors have a part of the cage and one of the animal, days of spread, and 40 days of noise a reading.
    """
    count = cages * each
    days = np.repeat(rng.uniform(60, 900, cages), each)[:, None] + np.array([0.1, 3.1, 6.1])
    truth = np.repeat(days.ravel(), 4).astype(np.float32)
    animal = np.repeat(np.arange(count, dtype=np.int32), 12)
    error = np.repeat(rng.normal(0, of_cage, cages), each * 12) + np.repeat(rng.normal(0, of_animal, count), 12)
    predicted = truth - error - rng.normal(0, 40, len(truth))
    return predicted, truth, animal, (animal // each).astype(np.int32)


def coverage_of_new(rng: np.random.Generator, intervals: tuple, cages: int = 600, **kind: float) -> dict[str, float]:
    """Return the share of new cages' animals that each unit's interval covers, each animal by a random one."""
    predicted, truth, animal, _ = colony(rng, cages, **kind)
    found = {}
    for entry in intervals:
        means = aggregates(predicted, truth.astype(np.float64), animal, entry.unit)
        order = rng.permutation(len(means.animal))
        rows = order[np.unique(means.animal[order], return_index=True)[1]]
        bounds = np.array([interval_of(float(value), entry) for value in means.predicted[rows]])
        found[entry.unit] = float(
            ((bounds[:, 0] <= means.age_days[rows]) & (means.age_days[rows] <= bounds[:, 1])).mean()
        )
    return found


@pytest.mark.parametrize(("of_cage", "of_animal"), [(90.0, 20.0), (60.0, 50.0), (0.0, 0.0)])
def test_intervals_cover_the_animals_of_new_cages(of_cage: float, of_animal: float) -> None:
    """90% intervals of reading, day and week cover 88-92% on average over seeds, made on 2,000 cages."""
    covered = []
    for seed in range(3):
        rng = np.random.default_rng([seed, 41])
        made = fit_intervals(*colony(rng, 2000, of_cage=of_cage, of_animal=of_animal), seed=seed)
        assert {entry.animals for entry in made} == {2000}
        covered.append(coverage_of_new(rng, made, of_cage=of_cage, of_animal=of_animal))
    for unit in ("reading", "day", "week"):
        assert 0.88 <= np.mean([one[unit] for one in covered]) <= 0.92, unit


def test_with_few_cages_animals_as_units_cover_too_little_and_cages_enough() -> None:
    """Where most of the error belongs to the cage, 5 animals of a cage are hardly more than one."""
    kind = {"of_cage": 100.0, "of_animal": 10.0}
    by_cage, by_animal = [], []
    for seed in range(16):
        rng = np.random.default_rng([seed, 42])
        predicted, truth, animal, cage = colony(rng, 22, each=5, **kind)
        by_cage.append(coverage_of_new(rng, fit_intervals(predicted, truth, animal, cage, seed), 200, **kind)["week"])
        by_animal.append(coverage_of_new(rng, fit_intervals(predicted, truth, animal, seed=seed), 200, **kind)["week"])
    assert np.mean(by_animal) < 0.89
    assert np.mean(by_cage) > 0.885


def test_a_real_day_is_a_calendar_day_and_a_week_seven_days() -> None:
    """Five readings on one day are one day, a sixth on the next is in none of it; 12 on 3 days of 7 are a week."""
    day = np.array([100.0, 100.2, 100.4, 100.6, 100.9, 101.0])
    one = np.zeros(6, np.int32)
    found = aggregates(day, day, one, "day")
    assert found.age_days.tolist() == [pytest.approx(100.42)]
    assert found.real.all()
    assert not aggregates(day, day, one, "week").real.any()

    week = np.concatenate([[100.0] * 5, [103.0] * 5, [106.5] * 2, [107.0] * 5])
    found = aggregates(week, week, np.zeros(17, np.int32), "week")
    assert found.real.all()
    assert found.age_days.max() == pytest.approx(np.mean(week[5:])), "from day 103: the week to 110"
    assert found.age_days.min() == pytest.approx(np.mean(week[:12])), "day 107 is the eighth day"


def test_an_animal_without_real_days_gets_the_nearest_readings_and_is_counted() -> None:
    """Animal 0 has one reading a month, animal 1 a day of four: one of two has a real day, none a real week."""
    ages = np.concatenate([np.arange(6) * 30.0 + 60, [200.1, 200.2, 200.3, 200.4]])
    animals = np.array([0] * 6 + [1] * 4, np.int32)
    assert count_real(ages, animals) == {"real_day_animals": 1, "real_week_animals": 0}
    found = aggregates(ages, ages, animals, "day")
    assert sorted(found.age_days[~found.real]) == pytest.approx([105, 105, 105, 135, 165, 165])
    assert found.animal.tolist() == [0] * 6 + [1]


def test_where_enough_cages_have_real_days_substitutes_do_not_count() -> None:
    """Readings months apart share no error of the day: beside 50 cages with real days they would only mislead."""
    rng = np.random.default_rng(8)
    apart, of_day = np.repeat(np.arange(50), 6), np.repeat(np.arange(50, 100), 6)
    animals = np.concatenate([apart, of_day]).astype(np.int32)
    ages = np.concatenate([np.tile(np.arange(6) * 60.0 + 60, 50), np.full(300, 360.5)])
    alone, shared = rng.normal(0, 35, 300), np.repeat(rng.normal(0, 35, 50), 6)
    predicted = ages + np.concatenate([alone, shared])
    real = fit_intervals(predicted[300:], ages[300:].astype(np.float32), animals[300:])[1]
    both = fit_intervals(predicted, ages.astype(np.float32), animals)[1]
    assert both.bands[1].high_days == pytest.approx(real.bands[1].high_days, rel=0.25)
    assert both.bands[1].low_days + both.bands[1].high_days > 90, "means of four alone give half of 115"


def test_further_animals_are_none_that_the_run_holds(tmp_path: Path) -> None:
    """A cage of the run may have taught the model: one error, naming it; others are taken whole."""
    small_crops(small_animals(6)).save(Run(tmp_path / "run"))
    other = small_crops(small_animals(6))
    other.save(Run(tmp_path / "same"))
    with pytest.raises(OperatorError, match=r"same/crops\.csv: column subject: expected no animal of"):
        further_animals(Run(tmp_path / "run"), Run(tmp_path / "same"), 1)
    other.table["subject"] = "other-" + other.table["subject"]
    other.save(Run(tmp_path / "other"))
    found = further_animals(Run(tmp_path / "run"), Run(tmp_path / "other"), 1)
    assert len(found.crops) == len(other)
    both = Readings.of(small_animals(6)).beside(Readings.of(found))
    assert both.counts() == {"interval_animals": 12, "interval_cages": 12}


def test_an_aggregate_is_banded_by_its_own_mean() -> None:
    """Days of readings at 100 and 600 days are of the middle band, and none is of the young or the old."""
    animals = np.repeat(np.arange(40, dtype=np.int32), 4)
    truth = np.full(160, 300.0, np.float32)
    predicted = np.tile([100.0, 100.0, 600.0, 600.0], 40)
    day = fit_intervals(predicted, truth, animals)[1]
    assert [(band.low_days, band.high_days) for band in day.bands] == [(50.0, 0.0)] * 3


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_domain_keeps_most_of_its_own_and_refuses_what_is_far(seed: int) -> None:
    """At least 95% of held-out readings score below 1; ten spreads away in any feature scores above."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(8, 8))
    train, held = (rng.normal(size=(600, 8)) @ mix).astype(np.float32), (rng.normal(size=(300, 8)) @ mix)
    domain = fit_domain(train, held.astype(np.float32))
    assert (domain_scores(held.astype(np.float32), domain) <= 1).mean() >= 0.95
    for feature in range(8):
        stranger = train.mean(0)
        stranger[feature] += 10 * train[:, feature].std()
        assert domain_scores(stranger[None], domain)[0] > 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_known_outliers_are_told_even_within_the_datas_spread(seed: int) -> None:
    """Two spreads away in one direction is no far distance in twelve dimensions; whoever saw such ones knows better."""
    rng = np.random.default_rng(seed)
    train, held = (rng.normal(size=(count, 12)).astype(np.float32) for count in (600, 400))
    away = rng.normal(size=12)
    away = (away / np.linalg.norm(away) * 5).astype(np.float32)
    seen, unseen = ((rng.normal(size=(200, 12)) * 0.5).astype(np.float32) + away for _ in range(2))
    domain = fit_domain(train, held, outliers=seen)
    assert (domain_scores(held, domain) <= 1).mean() >= 0.95
    assert (domain_scores(unseen, domain) > 1).mean() > 0.9
    assert (domain_scores(unseen, fit_domain(train, held)) > 1).mean() < (domain_scores(unseen, domain) > 1).mean()


def test_a_likelihood_of_six_tenths_is_right_in_six_of_ten() -> None:
    """On masses it was not fitted on, hits come as often as the likelihood says, whatever the network's own scale."""
    rng = np.random.default_rng(8)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        masses = rng.uniform(0.01, 0.99, count)
        return masses, rng.random(count) < 1 / (1 + np.exp(-(1.5 + 0.6 * np.log(masses / (1 - masses)))))

    a, b = fit_likelihood(*draw(4000))
    masses, hits = draw(4000)
    likelihoods = 1 / (1 + np.exp(-(a + b * np.log(masses / (1 - masses)))))
    for low in np.arange(0.3, 0.9, 0.1):
        inside = (likelihoods >= low) & (likelihoods < low + 0.1)
        if inside.sum() > 150:
            assert abs(hits[inside].mean() - likelihoods[inside].mean()) < 0.07


def test_a_likelihood_stays_finite_where_all_are_hits_or_none() -> None:
    masses = np.linspace(0.3, 0.95, 60)
    sure, never = fit_likelihood(masses, np.ones(60, bool)), fit_likelihood(masses, np.zeros(60, bool))
    assert np.isfinite([*sure, *never]).all()
    assert sure[0] > 0 > never[0]
    assert min(sure[1], never[1]) >= 0
