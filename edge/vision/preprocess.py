"""From a frame to what the networks see. The only copy of the preprocessing: training imports it.

A network sees pixels as they are, 0-255: float models divide by 255, int8 models have scale 1/255 and zero point -128,
so that their input is pixel - 128 exactly. All cuts are affine maps in the main stream's pixel coordinates. What they
are cut from, by which version of the preprocessing, is `edge.vision.views`; a bare picture is seen by the newest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Age, Centres, Parts
from edge.vision import image
from edge.vision.pixels import Image
from edge.vision.views import Views, part_shown, views_of

Affine = NDArray[np.float64]
Point = tuple[float, float]
Seen = Image | Views
"""A main stream, uint8 (height, width, 3) RGB, or its views by the version of the preprocessing that a bundle names."""

PARTIAL_BELOW = 0.85
"""Fraction of the age crop within the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A cut: uint8 (height, width, channels), and the 2x3 float64 map from its pixels to the main stream's.

    inside: the fraction of the crop that lies within the picture.
    """

    pixels: Image
    to_main: Affine
    inside: float

    @property
    def is_partial(self) -> bool:
        """Whether too little of the crop lies within the picture to read an age of it."""
        return self.inside < PARTIAL_BELOW

    def point_in_main(self, u: float, v: float) -> Point:
        """Return where the crop's point (u, v) lies in the main stream."""
        (a, b, c), (d, e, f) = self.to_main
        return float(a * u + b * v + c), float(d * u + e * v + f)

    def point_in_crop(self, x: float, y: float) -> Point:
        """Return where the main stream's point (x, y) lies in the crop."""
        (a, b, c), (d, e, f) = self.to_main
        determinant = a * e - b * d
        return float((e * (x - c) - b * (y - f)) / determinant), float((a * (y - f) - d * (x - c)) / determinant)


def small_view(main: Seen, small_width: int) -> Image:
    """Return the small stream, uint8 grey (height, small_width), of a main stream."""
    return _views(main).small(small_width)


def centres_input(small: Image, spec: Centres) -> Image:
    """Return the first stage's input, uint8 (height, width, 1), of the small stream."""
    return _channels(image.resize(small, spec.width, spec.height), spec.channels)


def parts_input(main: Seen, centre_xy: Point, px_per_mm: float | None, spec: Parts) -> Crop:
    """Return the square cut around one animal's centre at the bundle's scale; native pixels where it is unknown."""
    scale = 1.0 if px_per_mm is None else px_per_mm / spec.px_per_mm
    half = spec.size / 2
    to_main = np.array([[scale, 0.0, centre_xy[0] - scale * half], [0.0, scale, centre_xy[1] - scale * half]])
    return _crop(_views(main), to_main, scale, spec.size, spec.size, spec.channels)


def age_input(main: Seen, snout_xy: Point, tail_base_xy: Point, px_per_mm: float, spec: Age) -> Crop:
    """Return the aligned cut: snout to the right, midpoint of snout and tail base in the middle, at a fixed scale."""
    scale = px_per_mm / spec.px_per_mm
    dx, dy = snout_xy[0] - tail_base_xy[0], snout_xy[1] - tail_base_xy[1]
    length = math.hypot(dx, dy) or 1.0
    ux, uy = scale * dx / length, scale * dy / length
    middle_x, middle_y = (snout_xy[0] + tail_base_xy[0]) / 2, (snout_xy[1] + tail_base_xy[1]) / 2
    half_w, half_h = spec.width / 2, spec.height / 2
    to_main = np.array(
        [
            [ux, -uy, middle_x - ux * half_w + uy * half_h],
            [uy, ux, middle_y - uy * half_w - ux * half_h],
        ]
    )
    return _crop(_views(main), to_main, scale, spec.width, spec.height, spec.channels)


def to_int8(pixels: Image) -> NDArray[np.int8]:
    """Return uint8 pixels as the int8 input of a network: pixel - 128."""
    return (pixels ^ np.uint8(0x80)).view(np.int8)


def _views(main: Seen) -> Views:
    return views_of(main) if isinstance(main, np.ndarray) else main


def _crop(views: Views, to_main: Affine, scale: float, width: int, height: int, channels: int) -> Crop:
    across, down = views.main.shape[1], views.main.shape[0]
    corners = to_main @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], np.float64)
    (x0, y0), (x1, y1) = np.floor(corners.min(1)) - 2, np.ceil(corners.max(1)) + 2
    whole = x0 >= 0 and y0 >= 0 and x1 <= across and y1 <= down
    if part_shown(views.main, to_main, width, height) is None:
        return Crop(np.zeros((height, width, channels), np.uint8), to_main, 0.0)
    pixels = _channels(views.cut(to_main, scale, width, height, grey=channels == 1), channels)
    return Crop(pixels, to_main, 1.0 if whole else _inside(to_main, across, down, width, height))


def _inside(to_main: Affine, main_width: int, main_height: int, width: int, height: int) -> float:
    """Return the fraction of an 8 x 8 grid of the crop's points that lies within the main stream."""
    u, v = np.meshgrid((np.arange(8) + 0.5) * width / 8, (np.arange(8) + 0.5) * height / 8)
    x, y = to_main @ np.stack([u.ravel(), v.ravel(), np.ones(64)])
    return float(((x >= 0) & (x < main_width) & (y >= 0) & (y < main_height)).mean())


def _channels(pixels: Image, channels: int) -> Image:
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return pixels if pixels.shape[2] == channels else np.repeat(pixels, channels, axis=2)
