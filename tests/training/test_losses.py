"""Losses agree with their definitions, worked out by hand or by another library."""

import numpy as np
import pytest

from training.losses.ageing import age_loss, crps, label_distribution
from training.losses.keypoints import centre_loss, keypoint_loss

BINS = np.arange(45.0, 975.0, 30.0)


def test_a_label_distribution_sums_to_one_and_has_the_age_as_its_mean() -> None:
    ages = np.array([200.0, 511.0, 800.0], np.float32)
    weights = label_distribution(ages, BINS.astype(np.float32), 30.0)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(weights @ BINS, ages, atol=0.5)


def test_the_crps_of_a_certain_and_right_distribution_is_zero() -> None:
    certain = np.zeros((1, len(BINS)))
    certain[0, 7] = 1
    assert crps(certain, BINS, np.array([BINS[7]]))[0] == pytest.approx(0, abs=1e-9)


def test_the_crps_of_a_certain_distribution_is_its_absolute_error() -> None:
    certain = np.zeros((1, len(BINS)))
    certain[0, 3] = 1
    assert crps(certain, BINS, np.array([BINS[9]]))[0] == pytest.approx(abs(BINS[9] - BINS[3]))


def test_the_crps_of_a_gaussian_agrees_with_its_closed_form() -> None:
    """Gneiting & Raftery (2007), equation 21, for a normal of 120 days at its mean: sd * (sqrt(2) - 1) / sqrt(pi)."""
    mean, sd = 500.0, 120.0
    weights = label_distribution(np.array([mean], np.float32), np.arange(-500.0, 1500.0, 2.0, np.float32), sd)
    found = crps(weights, np.arange(-500.0, 1500.0, 2.0), np.array([mean]))[0]
    assert found == pytest.approx(sd * (np.sqrt(2) - 1) / np.sqrt(np.pi), rel=0.02)


def test_the_age_loss_is_least_at_the_truth() -> None:
    truth = label_distribution(np.array([400.0], np.float32), BINS.astype(np.float32), 30.0)
    right = float(age_loss()(truth, np.log(truth + 1e-9)))
    for shift in (-3, 3):
        assert right < float(age_loss()(truth, np.log(np.roll(truth, shift, axis=1) + 1e-9)))


def one_peak(x: float, y: float, size: int = 12) -> np.ndarray:
    columns = np.arange(size) + 0.5
    return -((columns[None, :] - x) ** 2 + (columns[:, None] - y) ** 2) / 2


def test_the_keypoint_loss_falls_as_the_peak_comes_nearer() -> None:
    truth = np.array([[[24.0, 20.0, 1.0]]], np.float32)[..., None]
    losses = [
        float(keypoint_loss(4)(truth, one_peak(6 + away, 5)[None, :, :, None].astype(np.float32))) for away in (0, 1, 3)
    ]
    assert losses == sorted(losses)


def test_a_part_that_is_not_visible_costs_nothing() -> None:
    truth = np.array([[[24.0, 20.0, 1.0], [1.0, 1.0, 0.0]]], np.float32)[..., None]
    seen, other = one_peak(6, 5), one_peak(2, 9)
    values = [
        float(keypoint_loss(4)(truth, np.stack([seen, second], -1)[None].astype(np.float32)))
        for second in (seen, other)
    ]
    assert values[0] == pytest.approx(values[1])


def test_the_centre_loss_ignores_absent_animals_and_prefers_the_right_peak() -> None:
    truth = np.array([[[24.0, 20.0], [np.nan, np.nan]]], np.float32)[..., None]
    right, wrong = one_peak(6, 5) + 3, one_peak(10, 2) + 3
    values = [float(centre_loss(4)(truth, heat[None, :, :, None].astype(np.float32))) for heat in (right, wrong)]
    assert values[0] < values[1]
    assert np.isfinite(values).all()
