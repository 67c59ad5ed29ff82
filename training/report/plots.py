"""Plots in one style, as PNG; ages and errors in weeks."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLUE, RED, GREEN, GREY = "#1b3a5b", "#c0562f", "#3b7d5e", "#888888"
Floats = NDArray[np.float64]


def axes(columns: int = 1, width: float = 5.0, height: float = 3.9, **more: Any) -> tuple[Any, list[Any]]:
    """Return a figure and its axes, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height), dpi=110, layout="constrained")
    found = list(figure.subplots(1, columns, squeeze=False, **more)[0])
    for axis in found:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    return figure, found


def png(figure: Any) -> bytes:
    """Return the figure as a PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def bars(axis: Any, names: Sequence[str], values: Floats, ends: Floats, colour: str = BLUE) -> None:
    """Draw points with intervals, one line a name; values (n,), ends (n, 2)."""
    y = np.arange(len(names))[::-1]
    for at, value, (low, high) in zip(y, values, ends, strict=True):
        if np.isfinite([low, high]).all():
            axis.plot([low, high], [at, at], color=colour, lw=1.6, alpha=0.6)
        axis.plot(value, at, "o", color=colour, ms=5)
    axis.set_yticks(y, names)
    axis.set_ylim(-0.7, len(names) - 0.3)


def scatter(axis: Any, x: Floats, y: Floats, line: tuple[float, float] | None = None, colour: str = BLUE) -> None:
    """Draw readings as faint points, and a line (slope, level)."""
    axis.plot(x, y, "o", ms=3, mew=0, alpha=float(np.clip(60 / np.sqrt(len(x) + 1) / 5, 0.25, 0.8)), color=colour)
    if line is not None:
        ends = np.array([x.min(), x.max()])
        axis.plot(ends, line[0] * ends + line[1], color=RED, lw=2)
