"""From a card's corners in a picture to scale, tilt and distortion: a plane seen by a pinhole with one radial term."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from station.scale.board import Points, Sighting

FEWEST_CORNERS = 8
_FEWEST_GOOD = 0.85
_KNOWN_K = 0.01
"""At most this uncertain the radial term is taken; a card that covers little of the picture cannot tell it."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """How the plane of the card lies in the picture.

    homography: (3, 3), mm to pixels without distortion. radial: k of `1 + k r^2`, r in half diagonals of the picture;
    None: not measurable. residual_px: root mean square. scale_error: standard error of the scale in the middle, as a
    fraction. size: width and height of the picture.
    """

    homography: NDArray[np.float64]
    radial: float | None
    residual_px: float
    scale_error: float
    size: tuple[int, int]

    def scale_at(self, x: float, y: float) -> float:
        """Return pixels per millimetre at a point of the picture: the root of how an area grows."""
        there = self._on_plane(x, y)
        step = 0.5
        across, below = np.array([[step, 0.0]]), np.array([[0.0, step]])
        right = self.project(there + across) - self.project(there - across)
        down = self.project(there + below) - self.project(there - below)
        return math.sqrt(abs(right[0, 0] * down[0, 1] - right[0, 1] * down[0, 0])) / (2 * step)

    def project(self, points: Points) -> Points:
        """Return where points of the plane, mm (n, 2), lie in the picture."""
        return _project(points, self.homography, self.radial or 0.0, self.size)

    def tilt_degrees(self, focal_px: float) -> float:
        """Return the angle between the camera's direction and the plane's normal."""
        normal = np.cross(*self._axes(focal_px))
        return math.degrees(math.acos(min(1.0, abs(normal[2]) / float(np.linalg.norm(normal)))))

    def stretch(self, focal_px: float) -> float:
        """Return how much longer a millimetre across is than one down, as a fraction: 0 for a print that is true."""
        across, down = self._axes(focal_px)
        return float(np.linalg.norm(across) / np.linalg.norm(down)) - 1.0

    def _axes(self, focal_px: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the card's two directions as the camera sees them (Zhang 2000, IEEE PAMI 22:1330)."""
        width, height = self.size
        camera = np.array([[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]])
        seen = np.linalg.inv(camera) @ self.homography
        return seen[:, 0], seen[:, 1]

    def _on_plane(self, x: float, y: float) -> Points:
        """Return the point of the plane, mm (1, 2), that lies at a point of the picture."""
        middle = np.array(self.size) / 2
        seen = np.array([x, y]) - middle
        bare = seen.copy()
        for _ in range(20):  # the distortion is undone by trying: it is a few per cent
            bare = seen / (1 + (self.radial or 0.0) * float(bare @ bare) / float(middle @ middle))
        point = np.linalg.inv(self.homography) @ [*(bare + middle), 1.0]
        return np.array([point[:2] / point[2]])


def fit_plane(sighting: Sighting, size: tuple[int, int]) -> Fit | None:
    """Return the plane of a card; None where its corners do not lie like those of one flat card."""
    start, good = cv2.findHomography(sighting.on_card, sighting.in_picture, cv2.RANSAC, 3.0)
    # A stray corner is passed over; where they are many, it is the card that is bent.
    if start is None or int(good.sum()) < FEWEST_CORNERS or good.mean() < _FEWEST_GOOD:
        return None
    chosen = good.ravel().astype(bool)
    on_card, seen = sighting.on_card[chosen], sighting.in_picture[chosen]
    begun = np.asarray(start, np.float64)
    free = _least_squares(on_card, seen, size, begun, radial=True)
    return free if free.radial is not None else _least_squares(on_card, seen, size, begun, radial=False)


def _least_squares(on_card: Points, seen: Points, size: tuple[int, int], start: Points, *, radial: bool) -> Fit:
    """Return the fit by Gauss and Newton's method; with `radial` the ninth number is the radial term."""
    centre = on_card.mean(0)
    # Around the card's own middle the nine numbers hardly depend on each other.
    shift = np.array([[1.0, 0.0, centre[0]], [0.0, 1.0, centre[1]], [0.0, 0.0, 1.0]])
    begun = start @ shift
    values = np.append((begun / begun[2, 2]).ravel()[:8], 0.0)
    count = 9 if radial else 8
    local = on_card - centre

    def miss(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        matrix = np.append(numbers[:8], 1.0).reshape(3, 3)
        return (_project(local, matrix, float(numbers[8]), size) - seen).ravel()

    steps = np.maximum(np.abs(values), 1e-3) * 1e-6
    for _ in range(30):
        error = miss(values)
        slope = np.stack([(miss(values + _unit(i) * steps[i]) - error) / steps[i] for i in range(count)], 1)
        change, *_ = np.linalg.lstsq(slope, -error, rcond=None)
        values[:count] += change
        if float(np.abs(change / np.maximum(np.abs(values[:count]), 1e-6)).max()) < 1e-9:
            break
    error = miss(values)
    freedom = max(1, len(error) - count)
    spread = np.linalg.pinv(slope.T @ slope) * float(error @ error) / freedom
    matrix = np.append(values[:8], 1.0).reshape(3, 3) @ np.linalg.inv(shift)
    known = radial and math.sqrt(float(spread[8, 8])) < _KNOWN_K
    scale_error = math.sqrt(float(spread[0, 0])) / max(1e-9, math.hypot(values[0], values[3]))
    residual = math.sqrt(float(error @ error) / len(seen))
    return Fit(matrix, float(values[8]) if known else None, residual, scale_error, size)


def _unit(index: int) -> NDArray[np.float64]:
    unit = np.zeros(9)
    unit[index] = 1.0
    return unit


def _project(points: Points, matrix: NDArray[np.float64], radial: float, size: tuple[int, int]) -> Points:
    flat = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    middle = np.array(size) / 2
    bare = flat[:, :2] / flat[:, 2:] - middle
    return np.asarray(bare * (1 + radial * (bare**2).sum(1, keepdims=True) / float(middle @ middle)) + middle)
