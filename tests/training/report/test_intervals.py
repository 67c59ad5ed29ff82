"""Intervals of the report: published examples, and what must hold where an animal's readings share their error."""

import numpy as np
import pytest

from training.report.intervals import (
    DRAWS,
    by_animal,
    effective_count,
    resampled,
    share_difference,
    share_interval,
)


def test_wilson_and_newcombe_give_newcombes_examples() -> None:
    """Newcombe (1998): 81/263 is 0.2553 to 0.3662; 56/70 less 48/80, method 10, is 0.0524 to 0.3339."""
    assert share_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert share_difference((56 / 70, 70), (48 / 80, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_copies_of_a_reading_narrow_nothing() -> None:
    """Ten readings of an animal with one and the same error give the interval of one."""
    rng = np.random.default_rng(1)
    error = rng.normal(0, 1, 40)
    one = np.column_stack([error, np.ones(40)])
    animals = np.arange(40)
    single = by_animal(animals, one, lambda s: s[:, 0] / s[:, 1])
    copied = by_animal(np.repeat(animals, 10), np.repeat(one, 10, axis=0), lambda s: s[:, 0] / s[:, 1])
    assert copied == pytest.approx(single)
    assert single[1] - single[0] == pytest.approx(2 * 1.96 * error.std() / np.sqrt(40), rel=0.15)
    assert DRAWS >= 1000


def test_the_two_bootstraps_agree() -> None:
    rng = np.random.default_rng(2)
    animals = np.repeat(np.arange(50), 4)
    values = rng.normal(0, 1, 50)[animals] + rng.normal(0, 1, 200)
    first = by_animal(animals, np.column_stack([values, np.ones(200)]), lambda s: s[:, 0] / s[:, 1])
    second = resampled(animals, lambda rows: float(values[rows].mean()), draws=2000)
    assert first == pytest.approx(second, abs=0.06)


def test_few_animals_have_no_interval() -> None:
    found = by_animal(np.repeat(np.arange(4), 50), np.ones((200, 2)), lambda s: s[:, 0] / s[:, 1])
    assert np.isnan(found).all()


def test_readings_that_repeat_their_animal_count_once() -> None:
    """All alike within an animal: as many as animals. Independent: as many as readings, about."""
    rng = np.random.default_rng(3)
    animals = np.repeat(np.arange(200), 5)
    alike = np.repeat(rng.random(200) < 0.3, 5)
    assert effective_count(alike, animals) == pytest.approx(200, rel=0.02)
    assert effective_count(rng.random(1000) < 0.3, animals) > 850
    assert effective_count(np.zeros(1000, bool), animals) == 200
