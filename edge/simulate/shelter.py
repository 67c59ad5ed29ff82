"""The shelter: a house or tube that hides what is under it, by its material more or less in each light."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edge.simulate.noise import noise_tile, sample
from edge.simulate.patch import Patch
from edge.simulate.setup import CageSetup
from edge.simulate.truth import Light
from edge.simulate.view import View

# Linear colour, reflectance in infrared, opacity in white light and in infrared: red polycarbonate hides mice from
# white light only, which is why it is sold for mice, and is clear at 850 nm.
_MATERIALS: dict[str, tuple[tuple[float, float, float], float, float, float]] = {
    "red_house": ((0.40, 0.035, 0.03), 0.50, 0.90, 0.30),
    "cardboard_tube": ((0.36, 0.25, 0.15), 0.45, 1.0, 1.0),
    "grey_house": ((0.22, 0.23, 0.24), 0.30, 1.0, 1.0),
}


@lru_cache(maxsize=12)
def shelter_of(setup: CageSetup, light: Light, view: View) -> Patch | None:
    """The shelter as a patch with alpha; None where the cage has none or it lies outside the picture."""
    if setup.shelter == "none":
        return None
    colour, infrared, opaque_white, opaque_infrared = _MATERIALS[setup.shelter]
    half_length, half_width = setup.shelter_size_mm[0] / 2, setup.shelter_size_mm[1] / 2
    centre = view.to_px(np.array(setup.shelter_mm, np.float32))
    reach = (math.hypot(half_length, half_width) + 2) * setup.px_per_mm
    x0, y0 = max(0, int(centre[0] - reach)), max(0, int(centre[1] - reach))
    x1, y1 = min(setup.width_px, int(centre[0] + reach)), min(setup.height_px, int(centre[1] + reach))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    rows, columns = np.mgrid[y0:y1, x0:x1].astype(np.float32) + np.float32(0.5)
    offset = view.to_mm(np.stack([columns, rows], -1)) - np.array(setup.shelter_mm, np.float32)
    cos, sin = math.cos(setup.shelter_angle_rad), math.sin(setup.shelter_angle_rad)
    across = ((offset[..., 1] * cos - offset[..., 0] * sin) / half_width).astype(np.float32)
    shade = _vault(setup, across, offset, view)
    alpha = _silhouette(setup, view, (x0, y0, x1, y1), half_length, half_width)
    alpha *= np.float32(opaque_white if light == "white" else opaque_infrared)
    tint = np.array(colour if light == "white" else (infrared,), np.float32)
    return Patch(x0, y0, (tint * (shade * alpha)[..., None]).astype(np.float32), alpha)


def _vault(
    setup: CageSetup, across: NDArray[np.float32], offset: NDArray[np.float32], view: View
) -> NDArray[np.float32]:
    """Brightness of a barrel roof: lit from the lamp's side, with gloss on plastic and grain on cardboard."""
    slope = np.clip(across, -1.0, 1.0)
    lamp_across = setup.lamp_direction[1] * math.cos(setup.shelter_angle_rad) - setup.lamp_direction[0] * math.sin(
        setup.shelter_angle_rad
    )
    shade = 0.62 + 0.42 * np.sqrt(np.clip(1.0 - slope * slope, 0.0, 1.0)) + 0.35 * slope * lamp_across
    if setup.shelter == "cardboard_tube":
        shade *= 1.0 + 0.08 * sample(
            noise_tile(12, 0.9, 0.5, view.px_per_mm), offset[..., 0] + 200, offset[..., 1] + 200
        )
        shade *= 1.0 + 0.05 * np.sin(offset[..., 0] * np.float32(2 * math.pi / 9.0))
    else:
        shade += 0.9 * np.exp(-(((slope - 0.6 * lamp_across - 0.12) / 0.06) ** 2)) * 0.5
    return np.asarray(shade, np.float32)


def _silhouette(
    setup: CageSetup, view: View, window: tuple[int, int, int, int], half_length: float, half_width: float
) -> NDArray[np.float32]:
    """Coverage (h, w): a rectangle with cut corners and, on houses, an arched doorway in one short side."""
    cut = 0.18 * half_width if setup.shelter != "cardboard_tube" else 0.0
    outline = [
        (-half_length + cut, -half_width),
        (half_length - cut, -half_width),
        (half_length, -half_width + cut),
        (half_length, half_width - cut),
        (half_length - cut, half_width),
        (-half_length + cut, half_width),
        (-half_length, half_width - cut),
        (-half_length, -half_width + cut),
    ]
    cos, sin = math.cos(setup.shelter_angle_rad), math.sin(setup.shelter_angle_rad)

    def place(points: list[tuple[float, float]]) -> list[float]:
        turned = np.array([(x * cos - y * sin, x * sin + y * cos) for x, y in points]) + np.array(setup.shelter_mm)
        flat: list[float] = (view.to_px(turned.astype(np.float32)) - np.array(window[:2], np.float32)).ravel().tolist()
        return flat

    mask = Image.new("L", (window[2] - window[0], window[3] - window[1]), 0)
    draw = ImageDraw.Draw(mask)
    draw.polygon(place(outline), fill=255)
    if setup.shelter != "cardboard_tube":
        angles = np.linspace(-math.pi / 2, math.pi / 2, 14)
        door = [(-half_length - 1 + 9.0 * math.cos(angle), 11.0 * math.sin(angle)) for angle in angles]
        draw.polygon(place(door), fill=0)
    return np.asarray(mask.filter(ImageFilter.GaussianBlur(0.15 * setup.px_per_mm)), np.float32) / np.float32(255.0)
