"""Calibration: intervals that cover by animal, a domain that keeps its own and refuses strangers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.estimate import interval_of
from training.calibrate import domain_scores, fit_domain, fit_intervals, fit_likelihood


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
