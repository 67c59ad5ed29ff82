"""Which pixels of the picture lie near a path on the floor, so that only they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.simulate.view import View

Pixels = NDArray[np.float32]


def window_around(points_mm: Pixels, margin_mm: float, view: View) -> tuple[int, int, int, int] | None:
    """Half-open pixel box around floor points with a margin, cut to the picture; None where it lies outside."""
    pixels = view.to_px(points_mm)
    low, high = pixels.min(axis=0) - margin_mm * view.px_per_mm, pixels.max(axis=0) + margin_mm * view.px_per_mm
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    x1, y1 = min(view.width_px, int(high[0]) + 1), min(view.height_px, int(high[1]) + 1)
    return (x0, y0, x1, y1) if x1 - x0 >= 2 and y1 - y0 >= 2 else None


@dataclass(frozen=True, eq=False)
class Near:
    """Pixels of a window near a path: flat numbers (n,), floor positions (n, 2), nearest path points (n,)."""

    numbers: NDArray[np.intp]
    points: Pixels
    nearest: NDArray[np.intp]


def pixels_near(path: Pixels, limit_mm: Pixels, window: tuple[int, int, int, int], view: View) -> Near:
    """The window's pixels within `limit_mm` (one for each path point) of the path.

    The nearest point is looked up on a coarse grid: where it is off by one, body coordinates change by nothing visible.
    """
    x0, y0, x1, y1 = window
    stride = max(1, round(0.75 * view.px_per_mm))
    rows, columns = np.mgrid[y0:y1:stride, x0:x1:stride].astype(np.float32) + np.float32(stride / 2)
    grid = view.to_mm(np.stack([columns, rows], -1))
    squared = grid[..., 0, None] - path[:, 0]
    squared *= squared
    dy = grid[..., 1, None] - path[:, 1]
    dy *= dy
    squared += dy
    coarse = squared.argmin(axis=-1)
    close = np.take_along_axis(squared, coarse[..., None], -1)[..., 0] < (limit_mm[coarse] + 1.2) ** 2
    height, width = y1 - y0, x1 - x0
    near = close.repeat(stride, 0).repeat(stride, 1)[:height, :width]
    index = coarse.repeat(stride, 0).repeat(stride, 1)[:height, :width]
    row, column = np.nonzero(near)
    centres = np.stack([column + np.float32(x0 + 0.5), row + np.float32(y0 + 0.5)], -1).astype(np.float32)
    return Near(row * width + column, view.to_mm(centres), index[row, column])
