"""Domain shift: does the domain score rise where the model errs?"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.report.intervals import by_animal, resampled
from training.report.material import Floats, Material
from training.report.plots import RED, axes, png, scatter
from training.report.section import Picture, Section, Table, absent, between, bracketed, number, weeks, weeks_between

KEY, TITLE = "domain", "Does it notice what it does not know?"
BINS = 5
LEAST = 10


def section(material: Material) -> Section:
    """Return the absolute error of the test readings by their domain score."""
    score = material.predictions["domain_score"].to_numpy(float)
    error = material.predictions["gap_days"].abs().to_numpy(float)
    animals = material.predictions["animal"].to_numpy()
    if len(score) < LEAST or np.ptp(score) == 0:
        return absent(KEY, TITLE, f"expected at least {LEAST} test readings of different scores, got {len(score)}")

    def rank(rows: NDArray[np.intp]) -> float:
        return float(stats.spearmanr(score[rows], error[rows]).statistic) if np.ptp(score[rows]) > 0 else float("nan")

    value, ends = rank(np.arange(len(score))), resampled(animals, rank, material.seed, 300)
    bins = _bins(score, error, animals, material.seed)
    outside = float((score > 1).mean())
    return Section(
        KEY,
        TITLE,
        f"Rank correlation of domain score and absolute error {number(value)}{bracketed(between(ends))}; "
        f"{100 * outside:.1f}% of the test readings lie beyond 1 and are refused.",
        (
            "The score is the larger of the embedding's Mahalanobis distance from the training animals (Lee et al., "
            "2018) and of how much it looks like outliers that the network learnt to tell (Hendrycks et al., 2019); "
            "97.5% of the calibration readings keep below 1. It is made to notice other strains, cameras and pictures; "
            "among animals of the same kind it need not follow the error.",
        ),
        {"rank_correlation": value, "rank_correlation_95": ends, "share_out_of_domain": outside, "bins": bins},
        (_table(bins),),
        (_picture(score, error, bins),),
        beware="The score falls where the error rises." if ends[1] < -0.1 else "",
    )


def _bins(score: Floats, error: Floats, animals: NDArray[np.int_], seed: int) -> list[dict[str, Any]]:
    """Return the errors of equally many readings by score within 0 to 1, and of those beyond."""
    within = score[score <= 1]
    inner = np.quantile(within, np.linspace(0, 1, BINS + 1)[1:-1]) if len(within) >= 2 * BINS else np.array([])
    edges = np.unique(np.concatenate([[0.0], inner, [1.0], [np.inf]]))
    found = []
    for low, high in pairwise(edges):
        here = (score > low) & (score <= high) if low > 0 else score <= high
        if not here.any():
            continue
        sums = np.column_stack([error[here], np.ones(int(here.sum()))])
        found.append(
            {
                "above": float(low),
                "up_to": float(high),
                "readings": int(here.sum()),
                "animals": len(np.unique(animals[here])),
                "mean_score": float(score[here].mean()),
                "mae_days": float(error[here].mean()),
                "mae_days_95": by_animal(animals[here], sums, lambda s: s[:, 0] / s[:, 1], seed),
            }
        )
    return found


def _table(bins: list[dict[str, Any]]) -> Table:
    rows = tuple(
        (
            f"{one['above']:.2f} to {one['up_to']:.2f}" if np.isfinite(one["up_to"]) else "beyond 1 (refused)",
            str(one["animals"]),
            str(one["readings"]),
            weeks(one["mae_days"]),
            weeks_between(one["mae_days_95"]),
        )
        for one in bins
    )
    return Table(("domain score", "animals", "readings", "MAE, weeks", "95%"), rows)


def _picture(score: Floats, error: Floats, bins: list[dict[str, Any]]) -> Picture:
    figure, (axis,) = axes(1, 6, 3.8)
    scatter(axis, score, error / 7)
    middles, heights = [one["mean_score"] for one in bins], [one["mae_days"] / 7 for one in bins]
    axis.plot(middles, heights, "o-", color=RED, ms=5, label="mean of the bin")
    axis.axvline(1, color="#888888", ls="--", lw=0.8)
    axis.set(xlabel="domain score", ylabel="absolute error, weeks")
    axis.legend(frameon=False, fontsize=8)
    return Picture("Absolute error of each test reading over its domain score; beyond 1 it is refused.", png(figure))
