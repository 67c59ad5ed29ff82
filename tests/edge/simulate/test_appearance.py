"""The life course has a plateau, and what it shows of the age lies between a shortcut and an oracle."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import OperatorError
from edge.simulate import Appearance, SimulatedAnimal, appearance_at, create_population, frailty_at

BORN = date(2025, 1, 1)
SIGNS = ("greying", "thinning", "roughness", "bald_patches", "kyphosis", "tail_paleness", "cataract")
UNRELATED = ("obesity", "barbering", "wounds", "coat_brightness")


def population(seed: int, count: int) -> tuple[SimulatedAnimal, ...]:
    return create_population(seed, count, born_from=BORN, born_until=BORN)


def column(name: str, table: np.ndarray) -> np.ndarray:
    return table[:, Appearance.FIELDS.index(name)]


def mean_signs_at(age_days: float) -> np.ndarray:
    looks = [appearance_at(animal, age_days) for animal in population(5, 300)]
    return np.array([[getattr(look, sign) for sign in SIGNS] for look in looks]).mean(axis=0)


def test_frailty_meets_the_published_values() -> None:
    assert frailty_at(152) == pytest.approx(0.02)
    assert frailty_at(578) == pytest.approx(0.12)
    assert frailty_at(852) == pytest.approx(0.33)


@given(st.floats(0, 1500), st.floats(0, 1500))
def test_frailty_never_falls_with_age(one: float, other: float) -> None:
    assert (frailty_at(one) <= frailty_at(other)) == (one <= other) or frailty_at(one) == frailty_at(other)


@given(seed=st.integers(0, 2**31 - 1), age=st.floats(0, 1400), rate=st.floats(0.5, 2.0), male=st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_appearance_is_finite_and_within_its_range(seed: int, age: float, rate: float, male: bool) -> None:
    animal = SimulatedAnimal("a", "l", "male" if male else "female", "C57BL/6J", BORN, seed, rate)
    look = appearance_at(animal, age)
    assert np.isfinite(look.vector()).all()
    assert all(0.0 <= getattr(look, sign) <= 1.0 for sign in (*SIGNS, "obesity", "barbering", "wounds"))
    assert 40 < look.body_length_mm < 125
    assert 10 < look.girth_mm < 65


def test_mid_life_is_a_plateau() -> None:
    """Between 300 and 600 days the signs change less than after, and size less than before."""
    middle, late = mean_signs_at(600) - mean_signs_at(300), mean_signs_at(900) - mean_signs_at(600)
    assert (middle < 0.85 * late).all(), dict(zip(SIGNS, zip(middle, late, strict=True), strict=True))
    lengths = [np.mean([appearance_at(a, age).body_length_mm for a in population(5, 100)]) for age in (30, 300, 600)]
    assert lengths[2] - lengths[1] < 0.1 * (lengths[1] - lengths[0])


def test_signs_of_age_only_grow() -> None:
    for animal in population(6, 40):
        course = np.array(
            [[getattr(appearance_at(animal, age), sign) for sign in SIGNS] for age in range(60, 1000, 30)]
        )
        assert (np.diff(course, axis=0) >= -1e-12).all()


def test_a_faster_rate_shows_the_same_signs_earlier() -> None:
    slow = SimulatedAnimal("a", "l", "female", "C57BL/6J", BORN, 17, 1.0)
    fast = SimulatedAnimal("a", "l", "female", "C57BL/6J", BORN, 17, 1.25)
    for sign in SIGNS:
        assert getattr(appearance_at(fast, 600), sign) == pytest.approx(getattr(appearance_at(slow, 750), sign))


def test_males_are_larger_and_obesity_barbering_and_wounds_ignore_age() -> None:
    animals = population(8, 1500)
    ages = np.random.default_rng(1).uniform(60, 900, len(animals))
    looks = np.array([appearance_at(animal, age).vector() for animal, age in zip(animals, ages, strict=True)])
    male = np.array([animal.sex == "male" for animal in animals])
    for size in ("body_length_mm", "girth_mm"):
        assert column(size, looks)[male].mean() > 1.03 * column(size, looks)[~male].mean()
    for name in UNRELATED:
        assert abs(np.corrcoef(column(name, looks), ages)[0, 1]) < 0.08, name
    assert 0.03 < (column("wounds", looks) > 0).mean() < 0.15


def test_a_wrong_age_is_refused() -> None:
    for age in (-1.0, float("nan"), float("inf")):
        with pytest.raises(OperatorError, match="age_days"):
            appearance_at(population(1, 1)[0], age)


def ratio_to_a_constant_guess(features: np.ndarray, ages: np.ndarray, train: int) -> float:
    """MAE of gradient boosting on held-out animals, divided by that of always guessing the training median."""
    boosting = pytest.importorskip("sklearn.ensemble", reason="scikit-learn comes with the training extra")
    model = boosting.HistGradientBoostingRegressor(
        loss="absolute_error", max_iter=120, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=30, random_state=1
    )
    guess = model.fit(features[:train], ages[:train]).predict(features[train:])
    constant = np.abs(np.median(ages[:train]) - ages[train:]).mean()
    return float(np.abs(guess - ages[train:]).mean() / constant)


@pytest.mark.slow
def test_latents_tell_the_age_but_not_exactly_and_size_alone_hardly() -> None:
    """All visible latents reach 0.35-0.45 of a constant guess's error, size and sex alone 0.75-0.85."""
    animals = population(7, 6000)
    ages = np.random.default_rng(0).uniform(60, 900, len(animals))
    looks = np.array([appearance_at(animal, age).vector() for animal, age in zip(animals, ages, strict=True)])
    male = np.array([animal.sex == "male" for animal in animals], float)
    size = np.column_stack([column("body_length_mm", looks), column("girth_mm", looks), male])
    unrelated = np.column_stack([*(column(name, looks) for name in UNRELATED), male])
    assert 0.35 <= ratio_to_a_constant_guess(looks, ages, 4000) <= 0.45
    assert 0.75 <= ratio_to_a_constant_guess(size, ages, 4000) <= 0.85
    assert ratio_to_a_constant_guess(unrelated, ages, 4000) >= 0.97
