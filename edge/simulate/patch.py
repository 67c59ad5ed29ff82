"""A piece of picture with transparency, and laying it over a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Patch:
    """Premultiplied linear colour float32 (h, w, C), alpha float32 (h, w) 0..1; top left corner at pixel x0, y0."""

    x0: int
    y0: int
    colour: Pixels
    alpha: Pixels

    @property
    def rows(self) -> slice:
        """Rows of the frame that the patch covers."""
        return slice(self.y0, self.y0 + self.alpha.shape[0])

    @property
    def columns(self) -> slice:
        """Columns of the frame that the patch covers."""
        return slice(self.x0, self.x0 + self.alpha.shape[1])


def lay_over(frame: Pixels, patch: Patch) -> None:
    """Composite the patch onto the frame, float32 (H, W, C), in place."""
    region = frame[patch.rows, patch.columns]
    region *= 1.0 - patch.alpha[..., None]
    region += patch.colour


def smear(pixels: Pixels, dx_px: float, dy_px: float) -> Pixels:
    """The pixels (h, w) or (h, w, C) averaged along a straight path, centred, edges repeated: linear motion blur."""
    steps = int(max(abs(dx_px), abs(dy_px)) + 0.5) + 1
    if steps < 2:
        return pixels
    total = np.zeros_like(pixels)
    reach_x, reach_y = int(abs(dx_px) / 2 + 1), int(abs(dy_px) / 2 + 1)
    pad = [(reach_y, reach_y), (reach_x, reach_x)] + [(0, 0)] * (pixels.ndim - 2)
    padded = np.pad(pixels, pad, mode="edge")
    height, width = pixels.shape[:2]
    for fraction in np.linspace(-0.5, 0.5, steps):
        top, left = reach_y + round(fraction * dy_px), reach_x + round(fraction * dx_px)
        total += padded[top : top + height, left : left + width]
    total /= steps
    return total
