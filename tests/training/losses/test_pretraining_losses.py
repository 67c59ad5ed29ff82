"""SimSiam and VICReg against values worked out by other means: numpy, the papers' limits, and where gradients stop."""

from __future__ import annotations

import numpy as np
import pytest

from training.losses.simsiam import simsiam_loss
from training.losses.vicreg import vicreg_loss


def views(count: int = 6, width: int = 4, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 2, width)).astype(np.float32)


def test_simsiam_is_the_mean_cosine_of_scikit_learn() -> None:
    """Algorithm 1 of the paper, with the cosine of another library."""
    from sklearn.metrics.pairwise import cosine_similarity

    p, z = views(seed=1), views(seed=2)
    one = np.diag(cosine_similarity(p[:, 0], z[:, 1])).mean()
    other = np.diag(cosine_similarity(p[:, 1], z[:, 0])).mean()
    assert float(simsiam_loss(p, z)) == pytest.approx(-(one + other) / 2, rel=1e-5)


def test_simsiam_is_least_where_both_views_agree() -> None:
    """Equal directions give -1 whatever their length, opposite ones 1."""
    z = np.repeat(views()[:, :1], 2, axis=1)
    assert float(simsiam_loss(3 * z, z)) == pytest.approx(-1, abs=1e-6)
    assert float(simsiam_loss(-z, z)) == pytest.approx(1, abs=1e-6)


def test_no_gradient_flows_through_the_projection_that_is_the_target() -> None:
    """The stopped gradient, without which it collapses: only predictions are moved by the loss."""
    tf = pytest.importorskip("tensorflow")
    p, z = tf.Variable(views(seed=1)), tf.Variable(views(seed=2))
    with tf.GradientTape() as tape:
        value = simsiam_loss(p, z)
    by_p, by_z = tape.gradient(value, [p, z])
    assert np.abs(by_p.numpy()).max() > 0
    assert by_z is None


def test_vicreg_is_its_three_terms() -> None:
    """Invariance, variance and covariance by numpy's own mean, standard deviation and covariance matrix."""
    z = views(32, 5)
    a, b = z[:, 0].astype(float), z[:, 1].astype(float)
    alike = ((a - b) ** 2).mean()
    wide = np.mean([np.maximum(0, 1 - np.sqrt(np.var(v, axis=0, ddof=1) + 1e-4)).mean() for v in (a, b)])
    matrices = [np.cov(v.T) for v in (a, b)]
    apart = sum(((m - np.diag(np.diag(m))) ** 2).sum() / 5 for m in matrices)
    assert float(vicreg_loss(z)) == pytest.approx(25 * alike + 25 * wide + apart, rel=1e-4)
    for weights, term in (((1, 0, 0), alike), ((0, 1, 0), wide), ((0, 0, 1), apart)):
        assert float(vicreg_loss(z, *weights)) == pytest.approx(term, rel=1e-4)


def test_vicreg_makes_a_collapse_dear() -> None:
    """One point for all pictures: no difference between views, but the variance term is nearly its most, 25."""
    same = np.ones((8, 2, 4), np.float32)
    assert float(vicreg_loss(same)) == pytest.approx(25 * 0.99, rel=1e-5)


def test_vicreg_of_white_projections_is_nothing() -> None:
    """Equal views with unit variance and no covariance cost nothing."""
    corners = np.array([[x, y] for x in (-1, 1) for y in (-1, 1)], np.float32)
    assert float(vicreg_loss(np.stack([corners, corners], axis=1))) == pytest.approx(0, abs=1e-6)
