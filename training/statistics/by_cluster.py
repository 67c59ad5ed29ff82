"""Errors by cluster (an animal with its examinations, a cage with its animals) that hold with few clusters too.

Whatever goes on within a cluster - an animal's own slope, a spread that grows with age - its rows are one observation
of it. The usual sandwich is too small below some forty clusters; the bias-reduced one with Satterthwaite's degrees of
freedom is not (CR2: Bell and McCaffrey, 2002; Pustejovsky and Tipton, 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One coefficient: estimate, its 95% interval by t, p, and the t distribution's degrees of freedom."""

    estimate: float
    low: float
    high: float
    p: float
    freedom: float


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """A random intercept: who each row belongs to, numbered (n,), and its variance over the residual's."""

    members: NDArray[np.intp]
    share: float


def coefficient(
    outcome: Floats, matrix: Floats, number: int, clusters: NDArray[np.intp], levels: tuple[Level, ...] = ()
) -> Coefficient | None:
    """Return coefficient `number` of a linear model with errors by cluster; None where the clusters do not allow it.

    outcome (n,); matrix (n, k); clusters (n,), numbered. levels: random intercepts whose variances, as shares of the
    residual one, make the weights (generalised least squares); none: least squares. The errors do not rest on them.
    """
    estimate, scores, products = _scores(outcome, matrix, number, clusters, levels)
    variance, expected = float((scores**2).sum()), float(np.trace(products))
    if not (variance > 0 and expected > 0 and np.isfinite(estimate)):
        return None
    freedom = expected**2 / float((products**2).sum())
    error = float(np.sqrt(variance))
    reach = float(stats.t.ppf(0.975, freedom)) * error
    p = float(2 * stats.t.sf(abs(estimate) / error, freedom))
    return Coefficient(estimate, estimate - reach, estimate + reach, p, freedom)


def _scores(
    outcome: Floats, matrix: Floats, number: int, clusters: NDArray[np.intp], levels: tuple[Level, ...]
) -> tuple[float, Floats, Floats]:
    """Return the estimate, each cluster's part of its error (clusters,) and their covariance under the weights."""
    rows = [np.flatnonzero(clusters == one) for one in np.unique(clusters)]
    white = [_whitened(np.column_stack([matrix, outcome]), own, levels) for own in rows]
    whole = np.concatenate(white)
    x, y = whole[:, :-1], whole[:, -1]
    inverse = np.linalg.pinv(x.T @ x)
    beta = inverse @ (x.T @ y)
    root = np.linalg.cholesky(inverse + np.eye(len(inverse)) * _ROUNDING * np.trace(inverse))
    parts, sums, own_variances = [], [], []
    for one in white:
        xi, left = one[:, :-1], one[:, -1] - one[:, :-1] @ beta
        # (I - H)^(-1/2) by the few directions in which the hat matrix H of the cluster is not nothing.
        directions, sizes, _ = np.linalg.svd(xi @ root, full_matrices=False)
        free = 1.0 - np.minimum(sizes**2, 1.0)
        stretch = np.where(free > 1e-8, 1.0 / np.sqrt(np.maximum(free, 1e-8)), 0.0) - 1.0
        row = xi @ inverse[:, number]
        adjusted = row + directions @ (stretch * (directions.T @ row))
        parts.append(float(adjusted @ left))
        sums.append(xi.T @ adjusted)
        own_variances.append(float(adjusted @ adjusted))
    across = np.array(sums)
    products = np.diag(own_variances) - across @ inverse @ across.T
    return float(beta[number]), np.array(parts), products


def _whitened(values: Floats, rows: NDArray[np.intp], levels: tuple[Level, ...]) -> Floats:
    """Return the rows of one cluster times the inverse root of their covariance I + sum of share * Z Z'."""
    own = values[rows]
    columns = [
        np.sqrt(level.share) * (level.members[rows, None] == np.unique(level.members[rows])[None])
        for level in levels
        if level.share > 0
    ]
    if not columns:
        return own
    directions, sizes, _ = np.linalg.svd(np.concatenate(columns, axis=1).astype(np.float64), full_matrices=False)
    shrink = 1.0 / np.sqrt(1.0 + sizes**2) - 1.0
    found: Floats = own + directions @ (shrink[:, None] * (directions.T @ own))
    return found
