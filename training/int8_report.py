"""What rounding to int8 does to the estimates: the same crops through both networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def float_against_int8(
    float_days: Floats,
    int8_days: Floats,
    age_days: Floats,
    crops: NDArray[np.uint8] | None = None,
    picture: Path | None = None,
    worst: int = 8,
) -> dict[str, Any]:
    """Return how int8 estimates (n,) differ from float ones (n,), days, for animals of age_days (n,).

    `mae_loss` is the share that rounding adds to the mean absolute error; `bias_slope` the change of the difference a
    day of the float estimate (0: rounding treats young and old alike); `worst` the rows of the largest differences.
    picture: with crops uint8 (n, h, w, c), draws the differences and the worst crops there (PNG).
    """
    import pandas as pd

    difference = int8_days - float_days
    maes = float(np.abs(float_days - age_days).mean()), float(np.abs(int8_days - age_days).mean())
    varied = np.ptp(float_days) > 0 and np.ptp(int8_days) > 0
    order = np.argsort(-np.abs(difference), kind="stable")[:worst]
    found: dict[str, Any] = {
        "readings": len(difference),
        "mae_days_float32": maes[0],
        "mae_days_int8": maes[1],
        "mae_difference_days": maes[1] - maes[0],
        "mae_loss": maes[1] / maes[0] - 1 if maes[0] > 0 else 0.0,
        "bias_days": float(difference.mean()),
        "bias_slope": float(np.polyfit(float_days, difference, 1)[0]) if varied else 0.0,
        "difference_days": float(np.abs(difference).mean()),
        "difference_days_p99": float(np.quantile(np.abs(difference), 0.99)),
        "rank_correlation": float(np.corrcoef(pd.Series(float_days).rank(), pd.Series(int8_days).rank())[0, 1])
        if varied
        else 1.0,
        "worst": [
            {
                "row": int(row),
                "age_days": float(age_days[row]),
                "float32_days": float(float_days[row]),
                "int8_days": float(int8_days[row]),
            }
            for row in order
        ],
    }
    if picture is not None:
        _draw(picture, float_days, difference, crops, order)
    return found


def _draw(
    path: Path, float_days: Floats, difference: Floats, crops: NDArray[np.uint8] | None, order: NDArray[np.intp]
) -> None:
    """Write the differences over the float estimate, in weeks and days, with the worst crops under them."""
    from matplotlib.figure import Figure

    shown = [] if crops is None else list(order[:4])
    figure = Figure(figsize=(8, 6 if shown else 4), layout="constrained")
    grid = figure.add_gridspec(2 if shown else 1, max(1, len(shown)), height_ratios=[2.5, 1][: 2 if shown else 1])
    axes = figure.add_subplot(grid[0, :])
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.scatter(float_days / 7, difference, s=6, alpha=0.5)
    axes.set(xlabel="float32 estimate (weeks)", ylabel="int8 - float32 (days)")
    for column, row in enumerate(shown):
        assert crops is not None
        below = figure.add_subplot(grid[1, column])
        below.imshow(crops[row][:, :, 0], cmap="gray", vmin=0, vmax=255)
        below.set_title(f"row {row}: {difference[row]:+.1f} days", fontsize=8)
        below.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
