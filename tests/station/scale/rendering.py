"""Pictures of a card through a pinhole of known place: ray by ray, with none of the code that measures them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from station.scale.card import Card
from station.scale.pdf import _black

_PX = 12
"""Pixels per millimetre of the card's bitmap: the smallest detail has 2.5 mm."""
_MARGIN_MM = 12


@dataclass(frozen=True)
class View:
    """px_per_mm: in the middle of the picture. tilt: degrees about the picture's upright; turned: of the card.

    radial: k of `1 + k r^2`, r in half diagonals. print_scale: of the card's millimetres, across and down.
    """

    width: int = 640
    height: int = 480
    px_per_mm: float = 2.667
    tilt: float = 0.0
    turned: float = 7.0
    radial: float = 0.0
    print_scale: tuple[float, float] = (1.0, 1.0)
    shift_mm: tuple[float, float] = (0.0, 0.0)
    blur_px: float = 0.6
    noise: float = 2.0
    field_of_view: float = 66.0


def bitmap(card: Card) -> NDArray[np.float32]:
    """The card as it is printed: 1 is white paper; `_MARGIN_MM` of it lie around the board."""
    wide, high = (int((mm + 2 * _MARGIN_MM) * _PX) for mm in card.size_mm)
    paper = np.ones((high, wide), np.float32)
    for x, y, w, h in _black(card):
        x0, y0 = round((x + _MARGIN_MM) * _PX), round((y + _MARGIN_MM) * _PX)
        paper[y0 : y0 + round(h * _PX), x0 : x0 + round(w * _PX)] = 0
    return paper


def render(card: Card, view: View) -> NDArray[np.uint8]:
    """A grey picture (height, width) of the card on a floor of bedding, its middle near the picture's."""
    paper = bitmap(card)
    rng = np.random.default_rng(1)
    total = np.zeros((view.height, view.width), np.float32)
    for dy in (0.25, 0.75):
        for dx in (0.25, 0.75):
            total += _sample(paper, card, view, dx, dy)
    grey = 60 + 150 * total / 4 + rng.normal(0, view.noise, total.shape)
    picture = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(view.blur_px)))


def _sample(paper: NDArray[np.float32], card: Card, view: View, dx: float, dy: float) -> NDArray[np.float32]:
    u, v = np.meshgrid(np.arange(view.width) + dx, np.arange(view.height) + dy)
    x, y = u - view.width / 2, v - view.height / 2
    limit = (view.width / 2) ** 2 + (view.height / 2) ** 2
    bare_x, bare_y = x.copy(), y.copy()
    for _ in range(12 if view.radial else 0):
        factor = 1 + view.radial * (bare_x**2 + bare_y**2) / limit
        bare_x, bare_y = x / factor, y / factor
    focal = view.width / 2 / math.tan(math.radians(view.field_of_view / 2))
    # The scale in the middle of an aslant plane is f / z, less by the root of the cosine that its area loses.
    angle = math.radians(view.tilt)
    z = focal * math.sqrt(math.cos(angle)) / view.px_per_mm
    # A ray (x, y, f) meets the plane through (0, 0, z) with normal (sin, 0, cos).
    along = z * math.cos(angle) / (bare_x * math.sin(angle) + focal * math.cos(angle))
    at_x, at_y, at_z = bare_x * along, bare_y * along, focal * along
    on_x = at_x * math.cos(angle) - (at_z - z) * math.sin(angle)
    turn = math.radians(view.turned)
    middle_x, middle_y = (size / 2 + shift for size, shift in zip(card.size_mm, view.shift_mm, strict=True))
    card_x = (on_x * math.cos(turn) + at_y * math.sin(turn)) / view.print_scale[0] + middle_x
    card_y = (-on_x * math.sin(turn) + at_y * math.cos(turn)) / view.print_scale[1] + middle_y
    column = ((card_x + _MARGIN_MM) * _PX).astype(int)
    row = ((card_y + _MARGIN_MM) * _PX).astype(int)
    there = (column >= 0) & (column < paper.shape[1]) & (row >= 0) & (row < paper.shape[0])
    seen = np.full(there.shape, 0.35, np.float32)
    seen[there] = paper[row[there], column[there]]
    return seen
