"""An embedding becomes an age: the numbers, worked by hand."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edge.contract.manifest import Band, Intervals, Validity
from edge.vision.acceptance import reject_reasons
from edge.vision.estimate import distribution_of, domain_score, estimate_age, interval_of
from edge.vision.model.head_check import improper
from training.age.calibrate import domain_scores, fit_domain


@pytest.fixture
def hand_worked(tiny_model):
    """Return a model whose head passes two of the embedding's numbers on to two bins, at 100 and 300 days."""
    manifest = tiny_model.manifest
    size = manifest.age.embedding_size
    weights = np.zeros((size, 2), np.float32)
    weights[0, 0] = weights[1, 1] = 1
    whitening = np.zeros((2, size), np.float32)
    whitening[0, 0], whitening[1, 1] = 3, 2
    band = Band(below_days=1e9, low_days=30.0, high_days=50.0)
    changed = msgspec.structs.replace(
        manifest,
        age=msgspec.structs.replace(manifest.age, temperature=2.0),
        domain=msgspec.structs.replace(manifest.domain, threshold=5.0),
        intervals=(Intervals(unit="reading", coverage=0.9, animals=20, bands=(band,)),),
    )
    return replace(
        tiny_model,
        manifest=changed,
        head_weights=weights,
        head_bias=np.zeros(2, np.float32),
        bin_centres=np.array([100.0, 300.0], np.float32),
        domain_mean=np.zeros(size, np.float32),
        domain_whitening=whitening,
    )


def embedding(model, *values: float) -> np.ndarray:
    found = np.zeros(model.manifest.age.embedding_size, np.float32)
    found[: len(values)] = values
    return found


def test_the_temperature_softens_the_distribution(hand_worked) -> None:
    """Logits 2 ln 3 and 0 at temperature 2 are odds of 3 to 1; without it they would be 9 to 1."""
    found = distribution_of(embedding(hand_worked, 2 * np.log(3)), hand_worked)
    assert found == pytest.approx([0.75, 0.25], abs=1e-6)


def test_very_large_logits_stay_finite(hand_worked) -> None:
    assert distribution_of(embedding(hand_worked, 5000.0), hand_worked) == pytest.approx([1.0, 0.0])


def test_age_spread_interval_and_coverage_follow_from_the_distribution(hand_worked) -> None:
    """3/4 at 100 and 1/4 at 300 days: mean 150, standard deviation sqrt(3/16) * 200 = 86.60."""
    found = estimate_age(embedding(hand_worked, 2 * np.log(3)), hand_worked)
    assert (found.age_days, found.sd_days) == (150.0, 86.6)
    assert (found.interval_low_days, found.interval_high_days, found.coverage) == (120.0, 200.0, 0.9)
    assert found.distribution == (0.75, 0.25)


def test_without_bands_there_is_an_age_and_no_interval(hand_worked) -> None:
    """A bundle of too few animals gives its age, and neither interval nor coverage; the golden check agrees with it."""
    none = (Intervals(unit="reading", coverage=0.9, animals=6, bands=()),)
    few = replace(hand_worked, manifest=msgspec.structs.replace(hand_worked.manifest, intervals=none))
    found = estimate_age(embedding(few, 2 * np.log(3)), few)
    assert found.age_days == 150.0
    assert (found.interval_low_days, found.interval_high_days, found.coverage) == (None, None, None)
    assert improper(found, few) is None


def test_the_domain_score_is_the_whitened_distance_over_its_threshold(hand_worked) -> None:
    """Whitened (3 * 1, 2 * 2) has length 5, and the threshold is 5."""
    assert domain_score(embedding(hand_worked, 1.0, 2.0), hand_worked) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("age_days", "expected"), [(99.9, (94.9, 106.9)), (100.0, (80.0, 130.0)), (400.0, (380.0, 430.0))]
)
def test_an_interval_comes_from_the_band_of_the_predicted_age(age_days, expected) -> None:
    bands = (Band(below_days=100, low_days=5, high_days=7), Band(below_days=300, low_days=20, high_days=30))
    intervals = Intervals(unit="reading", coverage=0.9, animals=20, bands=bands)
    assert interval_of(age_days, intervals) == pytest.approx(expected)


def test_a_foreign_look_counts_where_it_says_more_than_the_distance(hand_worked) -> None:
    """Weights (0.5, 0) and bias -0.2: 1 + 0.5 * 1 - 0.2 = 1.3 beside a distance of 5 / 5; then 0.3 beside 5 / 5."""
    domain = msgspec.structs.replace(hand_worked.manifest.domain, foreign_bias=-0.2)
    weights = embedding(hand_worked, 0.5)
    separated = replace(
        hand_worked, manifest=msgspec.structs.replace(hand_worked.manifest, domain=domain), foreign_weights=weights
    )
    assert domain_score(embedding(separated, 1.0, 2.0), separated) == pytest.approx(1.3)
    assert domain_score(embedding(separated, -1.0, 2.0), separated) == pytest.approx(1.0)


@pytest.mark.slow
def test_training_and_device_give_the_same_domain_score(hand_worked) -> None:
    size = hand_worked.manifest.age.embedding_size
    rng = np.random.default_rng(3)
    train, held = (rng.normal(size=(300, size)).astype(np.float32) for _ in range(2))
    domain = fit_domain(train, held, outliers=held[:100] + 3)
    model = replace(
        hand_worked,
        manifest=msgspec.structs.replace(hand_worked.manifest, domain=domain),
        domain_mean=np.array(domain.mean, np.float32),
        domain_whitening=np.array(domain.whitening, np.float32),
        foreign_weights=np.array(domain.foreign_weights, np.float32),
    )
    device = [domain_score(row, model) for row in held]
    assert device == pytest.approx(domain_scores(held, domain), rel=1e-4)


@pytest.mark.parametrize(
    ("score", "sd_days", "reasons"),
    [
        (1.0, 220.0, []),
        (1.001, 220.0, ["out_of_domain"]),
        (1.0, 220.5, ["too_uncertain"]),
        (1.5, 300.0, ["out_of_domain", "too_uncertain"]),
    ],
)
def test_an_estimate_at_its_limits_is_accepted_and_beyond_them_each_reason_is_named(
    score: float, sd_days: float, reasons: list[str]
) -> None:
    """One rule for a reading, for the average of a burst and for the report's table."""
    validity = Validity(
        strains=(),
        min_age_days=50.0,
        max_age_days=900.0,
        view="top",
        lights=("white",),
        max_sd_days=220.0,
        min_px_per_mm=3.9,
    )
    assert reject_reasons(score, sd_days, validity) == reasons
