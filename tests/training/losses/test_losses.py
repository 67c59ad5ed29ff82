"""Losses against values worked out by other means: numpy, closed forms and limits."""

from __future__ import annotations

import numpy as np
import pytest

from training.losses.crps import crps
from training.losses.keypoints import centre_loss, keypoint_loss
from training.losses.label_distribution import label_distribution, label_distribution_loss

BINS = np.arange(45.0, 946.0, 30.0)


def peaked(x: float, y: float, height: int = 12, width: int = 16, stride: int = 4, sharp: float = 4.0) -> np.ndarray:
    """Return logits (1, height, width, 1) of a Gaussian of `sharp` px around (x, y)."""
    columns, rows = (np.arange(width) + 0.5) * stride, (np.arange(height) + 0.5) * stride
    squared = (columns[None, :] - x) ** 2 + (rows[:, None] - y) ** 2
    return (-squared / (2 * sharp**2))[None, ..., None].astype(np.float32)


def test_label_distribution_is_a_distribution_about_the_age() -> None:
    """Every row sums to 1 and its mean is the age, away from the ends."""
    ages = np.array([200.0, 512.5, 700.0], np.float32)
    labels = label_distribution(ages, BINS.astype(np.float32), 30.0)
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(labels @ BINS, ages, atol=0.5)


def test_crps_of_a_certain_answer_is_its_distance() -> None:
    """For all mass in one bin, CRPS is the absolute error (Gneiting & Raftery, 2007)."""
    sure = np.eye(len(BINS))[[3, 3, 3]]
    truth = np.array([BINS[3], BINS[7], BINS[0]])
    np.testing.assert_allclose(crps(sure, BINS, truth), np.abs(truth - BINS[3]), atol=1e-9)


def test_crps_prefers_the_truth_spread_to_a_wrong_certainty() -> None:
    """CRPS is proper: the true distribution scores better on average than a sharper wrong one."""
    rng = np.random.default_rng(1)
    weights = np.exp(-0.5 * ((BINS - 500) / 90) ** 2)
    weights /= weights.sum()
    truth = rng.choice(BINS, 4000, p=weights)
    honest = crps(np.repeat(weights[None], len(truth), 0), BINS, truth).mean()
    overconfident = np.eye(len(BINS))[np.full(len(truth), int(np.argmax(weights)))]
    assert honest < crps(overconfident, BINS, truth).mean()


def test_age_loss_equals_its_numpy_twin() -> None:
    """Cross-entropy plus the squared difference of the cumulative distributions, computed by hand."""
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(5, len(BINS))).astype(np.float32)
    truth = label_distribution(rng.uniform(60, 900, 5).astype(np.float32), BINS.astype(np.float32), 30.0)
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    entropy = -(truth * logs).sum(1)
    ranked = (np.cumsum(np.exp(logs) - truth, 1) ** 2).sum(1)
    assert float(label_distribution_loss(0.7)(truth, logits)) == pytest.approx(
        (entropy + 0.7 * ranked).mean(), rel=1e-4
    )


def test_keypoint_loss_is_least_at_the_label() -> None:
    """Moving the predicted peak away from the label, in any direction, makes the loss larger."""
    truth = np.array([[[30.0, 22.0, 1.0]]], np.float32)[..., None]
    loss = keypoint_loss(4)
    at_label = float(loss(truth, peaked(30, 22)))
    for x, y in ((22, 22), (38, 22), (30, 14), (30, 30)):
        assert float(loss(truth, peaked(x, y))) > at_label + 1


def test_keypoint_loss_distance_is_in_cells() -> None:
    """With sharp peaks the distance term alone is the offset over the stride."""
    truth = np.array([[[30.0, 22.0, 1.0]]], np.float32)[..., None]
    with_distance, without = keypoint_loss(4, distance_weight=1.0), keypoint_loss(4, distance_weight=0.0)
    logits = peaked(38, 22)
    assert float(with_distance(truth, logits)) - float(without(truth, logits)) == pytest.approx(2.0, abs=0.02)


def test_parts_that_are_not_visible_do_not_count() -> None:
    """The loss of a batch is the mean over its visible parts only."""
    logits = np.repeat(peaked(38, 22), 2, axis=-1)
    both = np.array([[[30.0, 22.0, 1.0], [5.0, 5.0, 0.0]]], np.float32)[..., None]
    loss = keypoint_loss(4)
    assert float(loss(both, logits)) == pytest.approx(float(loss(both[:, :1], logits[..., :1])), rel=1e-5)


def test_centre_loss_prefers_the_centres_to_silence_and_to_noise() -> None:
    """Peaks at the centres cost less than an empty map, and that less than peaks elsewhere."""
    truth = np.array([[[30.0, 22.0], [np.nan, np.nan]]], np.float32)[..., None]
    loss = centre_loss(4)

    def cost(logits: np.ndarray) -> float:
        return float(loss(truth, logits))

    right, silent, wrong = peaked(30, 22) * 8 + 5, np.full((1, 12, 16, 1), -4.0, np.float32), peaked(50, 40) * 8 + 5
    assert cost(right) < cost(silent) < cost(wrong)


def test_centre_loss_of_an_empty_view_is_finite() -> None:
    """No animal at all is a lesson too, not a division by zero."""
    truth = np.full((1, 5, 2, 1), np.nan, np.float32)
    low = float(centre_loss(4)(truth, np.full((1, 12, 16, 1), -6.0, np.float32)))
    high = float(centre_loss(4)(truth, np.full((1, 12, 16, 1), 2.0, np.float32)))
    assert np.isfinite([low, high]).all()
    assert low < high
