"""Figures of found body parts: distances, PCK, calibration of the likelihood, suspicious labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.locator.likelihood import fit_likelihood
from training.networks.augment import mirror_order

PCK_PX = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
OUTLIER_MADS = 6.0
SWAP_GAIN = 0.5


def distances(found: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Euclidean distances (m, parts) of found (m, parts, 2+) from truth (m, parts, 2); NaN where either is."""
    return np.asarray(np.hypot(found[..., 0] - truth[..., 0], found[..., 1] - truth[..., 1]))


def summary(errors: NDArray[np.float64]) -> dict[str, float]:
    """Return count, mean, median, root mean square of the distances, and the 90th percentile; pixels.

    The root mean square is that of Euclidean distances, which DeepLabCut's "RMSE" (a mean distance) is not.
    """
    known = errors[~np.isnan(errors)]
    if not len(known):
        return {"count": 0}
    return {
        "count": len(known),
        "mean_px": float(known.mean()),
        "median_px": float(np.median(known)),
        "root_mean_square_px": float(np.sqrt((known**2).mean())),
        "percentile_90_px": float(np.percentile(known, 90)),
    }


def pck(errors: NDArray[np.float64], labelled: NDArray[np.bool_]) -> dict[str, float]:
    """Return the fraction of labelled parts found within each threshold; one that was not found counts as missed."""
    return {f"{limit:g}": float((errors[labelled] <= limit).mean()) for limit in PCK_PX}


def cross_calibrated(
    masses: NDArray[np.float64], hits: NDArray[np.bool_], groups: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return each part's likelihood (m, parts), its logistic fitted on the other groups' (m,) predictions only."""
    clipped = np.clip(masses, 1e-4, 1 - 1e-4)
    logits = np.log(clipped / (1 - clipped))
    likelihoods = np.empty_like(masses)
    for group in np.unique(groups):
        own = groups == group
        others = ~own if (~own).any() else own
        a, b = fit_likelihood(clipped[others].ravel(), hits[others].ravel())
        likelihoods[own] = 1 / (1 + np.exp(-(a + b * logits[own])))
    return likelihoods


def reliability(likelihoods: NDArray[np.float64], hits: NDArray[np.bool_], bins: int = 10) -> dict[str, Any]:
    """Return the reliability table and the expected calibration error (Guo et al., ICML 2017), equal-width bins."""
    edges = np.linspace(0, 1, bins + 1)
    at = np.clip(np.digitize(likelihoods, edges) - 1, 0, bins - 1)
    rows = []
    for index in range(bins):
        own = at == index
        if own.any():
            rows.append(
                {
                    "from": float(edges[index]),
                    "to": float(edges[index + 1]),
                    "count": int(own.sum()),
                    "likelihood": float(likelihoods[own].mean()),
                    "hit_rate": float(hits[own].mean()),
                }
            )
    error = sum(row["count"] * abs(row["likelihood"] - row["hit_rate"]) for row in rows) / max(1, likelihoods.size)
    return {"table": rows, "expected_calibration_error": float(error)}


def suspects(
    found: NDArray[np.float64], truth: NDArray[np.float64], keypoints: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (far, swapped), bool (m, parts): labels that networks which have not seen them contradict.

    far: further off than that part's median distance by OUTLIER_MADS robust deviations.
    swapped: a left and a right part whose labels fit far better (sum of distances below SWAP_GAIN) when they change
    places.
    """
    errors = distances(found, truth)
    middle = np.nanmedian(errors, axis=0)
    spread = 1.4826 * np.nanmedian(np.abs(errors - middle), axis=0)
    far = np.nan_to_num(errors) > middle + OUTLIER_MADS * spread
    swapped = np.zeros_like(far)
    for part, other in enumerate(mirror_order(keypoints)):
        if other > part:
            straight = errors[:, part] + errors[:, other]
            crossed = (distances(found[:, [part]], truth[:, [other]]) + distances(found[:, [other]], truth[:, [part]]))[
                :, 0
            ]
            swapped[:, [part, other]] = (np.nan_to_num(crossed, nan=np.inf) < SWAP_GAIN * straight)[:, None]
    return far, swapped
