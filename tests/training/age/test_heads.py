"""Heads in training and on the device: one reading of the same outputs, and losses with values known by other means."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edge.contract.bundle.bundle import read_bundle
from edge.contract.manifest import HeadKind
from edge.vision.age_head import mean_and_spread, quantiles_of
from edge.vision.estimate import distribution_of
from edge.vision.model.loaded import load_model
from tests.training.conftest import ROOT
from training.age.fit import distributions
from training.age.heads import HEADS, QUANTILES, Head
from training.losses.gaussian import crps_of_normal, gaussian_loss, log_loss_of_normal
from training.losses.items import items_loss
from training.losses.quantile import pinball, quantile_loss
from training.networks.shapes import BINS, age_spec

AGES = np.array([60.0, 300.0, 512.0, 900.0], np.float32)
CENTRES = np.array(BINS, np.float32)


def head_spec(kind: HeadKind):
    """Return a spec with a head of fixed numbers on an embedding of 8."""
    rng = np.random.default_rng([7, HEADS.index(kind)])
    outputs = Head(kind, CENTRES).outputs
    weights = np.round(rng.normal(0, 0.4, (8, outputs)), 6)
    return msgspec.structs.replace(
        age_spec(),
        embedding_size=8,
        head=kind,
        temperature=1.3,
        head_weights=tuple(map(tuple, weights.tolist())),
        head_bias=tuple(np.round(rng.normal(0, 0.3, outputs), 6).tolist()),
    )


@pytest.mark.parametrize("kind", HEADS)
def test_device_and_training_read_a_head_alike(kind: HeadKind) -> None:
    """The same embedding has the same distribution in float32 on the device and in float64 in training."""
    data = ROOT / "tests" / "data"
    model = load_model(read_bundle(data / "tiny.bundle", [(data / "tiny.pub").read_bytes()]))
    spec = head_spec(kind)
    device = replace(
        model,
        manifest=msgspec.structs.replace(model.manifest, age=spec),
        head_weights=np.array(spec.head_weights, np.float32),
        head_bias=np.array(spec.head_bias, np.float32),
        bin_centres=CENTRES,
    )
    embeddings = np.random.default_rng(3).normal(0, 1, (5, 8)).astype(np.float32)
    here = distributions(embeddings, spec)
    there = np.stack([distribution_of(one, device) for one in embeddings])
    assert there.dtype == np.float32
    np.testing.assert_allclose(there, here, atol=2e-6)


def test_crps_of_a_normal_is_the_published_one() -> None:
    """At its mean a standard normal scores (sqrt 2 - 1) / sqrt pi = 0.2337; elsewhere as integrated numerically."""
    assert float(crps_of_normal(0.0, np.float32(1.0), np.float32(0.0))) == pytest.approx(0.23369498, abs=1e-6)
    from scipy.stats import norm

    x = np.linspace(-2000, 2500, 200_001)
    for mean, spread, truth in ((300.0, 80.0, 410.0), (500.0, 30.0, 480.0)):
        below = norm.cdf(x, mean, spread)
        integral = np.trapezoid((below - (x >= truth)) ** 2, x)
        found = crps_of_normal(np.float32(mean), np.float32(spread), np.float32(truth))
        assert float(found) == pytest.approx(integral, rel=1e-3)
        density = float(log_loss_of_normal(np.float32(mean), np.float32(spread), np.float32(truth)))
        assert density + np.log(np.sqrt(2 * np.pi)) == pytest.approx(-norm.logpdf(truth, mean, spread), rel=1e-5)


def test_pinball_is_the_one_of_scikit_learn() -> None:
    """Each level's mean loss is scikit-learn's."""
    from sklearn.metrics import mean_pinball_loss

    rng = np.random.default_rng(2)
    quantiles, levels = rng.normal(400, 100, (4, 3)).astype(np.float32), np.array([0.05, 0.5, 0.95], np.float32)
    found = np.asarray(pinball(quantiles, levels, AGES[:, None])).mean(axis=0)
    expected = [mean_pinball_loss(AGES, quantiles[:, k], alpha=float(level)) for k, level in enumerate(levels)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_losses_read_outputs_as_the_device_does() -> None:
    """The loss of a head equals the loss worked out from what `edge.vision.age_head` makes of the same outputs."""
    rng = np.random.default_rng(5)
    raw = rng.normal(0, 0.5, (4, 2)).astype(np.float32)
    mean, spread = mean_and_spread(raw, CENTRES)
    score = np.asarray(crps_of_normal(mean, spread, AGES)) / 30 + 0.25 * np.asarray(
        log_loss_of_normal(mean, spread, AGES)
    )
    assert float(gaussian_loss(CENTRES)(AGES[:, None], raw)) == pytest.approx(score.mean(), rel=1e-4)
    raw = rng.normal(0, 0.5, (4, QUANTILES)).astype(np.float32)
    levels = ((np.arange(QUANTILES) + 0.5) / QUANTILES).astype(np.float32)
    score = 2 * np.asarray(pinball(quantiles_of(raw, CENTRES), levels, AGES[:, None])).mean() / 30
    assert float(quantile_loss(CENTRES, QUANTILES)(AGES[:, None], raw)) == pytest.approx(score, rel=1e-4)


def test_the_loss_of_items_is_scikit_learns_where_they_are_known() -> None:
    """Known 0/1 scores: the log loss; a score of one half lies between; unknown ones count for nothing."""
    from sklearn.metrics import log_loss

    logits = np.array([[0.3, -1.2], [2.0, 0.1], [-0.5, 0.7]], np.float32)
    truth = np.array([[1, np.nan], [0, np.nan], [1, np.nan]], np.float32)
    expected = log_loss([1, 0, 1], 1 / (1 + np.exp(-logits[:, 0].astype(float))))
    assert float(items_loss(truth, logits)) == pytest.approx(expected, rel=1e-5)
    half = [
        float(items_loss(np.full((1, 1), score, np.float32), np.full((1, 1), 0.8, np.float32))) for score in (0, 0.5, 1)
    ]
    assert half[1] == pytest.approx((half[0] + half[2]) / 2)
    assert float(items_loss(np.full((2, 2), np.nan, np.float32), logits[:2])) == 0


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_with_items_adds_their_loss(kind: HeadKind) -> None:
    """Targets and outputs are cut where the age ends; items that nobody scored leave the age's loss as it is."""
    rng = np.random.default_rng(8)
    plain, beside = Head(kind, CENTRES), Head(kind, CENTRES, items=2)
    outputs = rng.normal(0, 1, (4, plain.outputs + 2)).astype(np.float32)
    alone = float(plain.loss()(plain.targets(AGES), outputs[:, : plain.outputs]))
    unknown = np.full((4, 2), np.nan, np.float32)
    assert float(beside.loss()(beside.targets(AGES, unknown), outputs)) == pytest.approx(alone, rel=1e-5)
    known = np.ones((4, 2), np.float32)
    expected = alone + 0.3 * float(items_loss(known, outputs[:, -2:]))
    assert float(beside.loss()(beside.targets(AGES, known), outputs)) == pytest.approx(expected, rel=1e-5)
