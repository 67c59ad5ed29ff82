"""Where a point of the cage floor lands in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class View:
    """A camera straight above the floor: millimetres to pixels by rotation, shift and one scale.

    Floor coordinates start at the top left corner of the undisturbed picture, x to the right and y down; angles turn
    from x to y.
    """

    width_px: int
    height_px: int
    px_per_mm: float
    shift_mm: tuple[float, float] = (0.0, 0.0)
    rotation_deg: float = 0.0

    def to_px(self, points_mm: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixels of floor points, float32 (..., 2) to float32 (..., 2)."""
        angle = math.radians(self.rotation_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        centre = np.array([self.width_px / 2, self.height_px / 2], np.float32)
        moved = points_mm - centre / np.float32(self.px_per_mm) + np.array(self.shift_mm, np.float32)
        turned = np.stack(
            [moved[..., 0] * cos - moved[..., 1] * sin, moved[..., 0] * sin + moved[..., 1] * cos], axis=-1
        )
        result: NDArray[np.float32] = (turned * self.px_per_mm + centre).astype(np.float32)
        return result

    def to_mm(self, points_px: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return floor points (..., 2) in millimetres of pixels (..., 2), float32: the inverse of `to_px`."""
        angle = math.radians(self.rotation_deg)
        cos, sin = math.cos(angle), math.sin(angle)
        centre = np.array([self.width_px / 2, self.height_px / 2], np.float32)
        turned = (points_px - centre) / np.float32(self.px_per_mm)
        moved = np.stack(
            [turned[..., 0] * cos + turned[..., 1] * sin, turned[..., 1] * cos - turned[..., 0] * sin], axis=-1
        )
        result: NDArray[np.float32] = (moved + centre / np.float32(self.px_per_mm) - np.array(self.shift_mm)).astype(
            np.float32
        )
        return result
