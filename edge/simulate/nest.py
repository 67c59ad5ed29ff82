"""The nest: a bowl of shredded cotton, and the fluff that half covers whoever sleeps in it."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edge.simulate.patch import Patch
from edge.simulate.setup import CageSetup
from edge.simulate.truth import Light
from edge.simulate.view import View


def draw_nest_floor(picture: Image.Image, setup: CageSetup, view: View, over: int) -> None:
    """Draw the bowl onto the floor: a rim of fibres around a darker hollow."""
    rng = np.random.default_rng([setup.seed, 0x4E57])
    rim = _outline(rng, setup, view, over, 1.0)
    _lay_softly(picture, rim, 255, 1.2 * setup.px_per_mm * over, (196, 192, 184))
    _draw_fibres(picture, rng, setup, view, over, count=2600, inner=0.1, outer=1.0)
    hollow = _outline(rng, setup, view, over, 0.62)
    _lay_softly(picture, hollow, 70, 5.0 * setup.px_per_mm * over, (90, 86, 80))


def _lay_softly(
    picture: Image.Image, outline: list[float], alpha: int, blur_px: float, colour: tuple[int, int, int]
) -> None:
    """Lay a colour over a polygon with a blurred edge, where the blur reaches; all else stays as it is."""
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).polygon(outline, fill=alpha)
    reach = math.ceil(4 * blur_px) + 2  # Pillow's blur, three boxes, ends before three radii
    left, top = (max(0, int(min(outline[axis::2])) - reach) for axis in (0, 1))
    right, bottom = (
        min(size, int(max(outline[axis::2])) + 1 + reach) for axis, size in zip((0, 1), picture.size, strict=True)
    )
    if left >= right or top >= bottom:
        return
    soft = mask.crop((left, top, right, bottom)).filter(ImageFilter.GaussianBlur(blur_px))
    picture.paste(Image.new("RGB", soft.size, colour), (left, top), soft)


@lru_cache(maxsize=12)
def nest_cover(setup: CageSetup, light: Light, view: View) -> Patch:
    """The fluff in front of sleepers: strands across the bowl and a thick rim, as a patch with alpha."""
    rng = np.random.default_rng([setup.seed, 0xF1FF])
    reach = setup.nest_radius_mm * 1.2
    centre = view.to_px(np.array(setup.nest_mm, np.float32))
    x0, y0 = (int(max(0, value - reach * setup.px_per_mm)) for value in centre)
    x1 = int(min(setup.width_px, centre[0] + reach * setup.px_per_mm))
    y1 = int(min(setup.height_px, centre[1] + reach * setup.px_per_mm))
    picture = Image.new("RGBA", (setup.width_px, setup.height_px), (150, 147, 141, 0))
    _draw_fibres(picture, rng, setup, view, 1, count=1900, inner=0.68, outer=1.0)
    _draw_fibres(picture, rng, setup, view, 1, count=190, inner=0.0, outer=0.72)
    pixels = np.asarray(picture.crop((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))), np.float32) / 255.0
    alpha: NDArray[np.float32] = pixels[..., 3] * np.float32(0.92)
    colour = pixels[..., :3] ** 2
    if light == "infrared":
        colour = colour.mean(-1, keepdims=True) * 1.05
    return Patch(x0, y0, (colour * alpha[..., None]).astype(np.float32), alpha)


def _outline(rng: np.random.Generator, setup: CageSetup, view: View, over: int, size: float) -> list[float]:
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    wobble = 1.0 + 0.05 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.04 * np.sin(5 * angle + rng.uniform(0, 6))
    radius = setup.nest_radius_mm * size * wobble
    points = np.stack([setup.nest_mm[0] + radius * np.cos(angle), setup.nest_mm[1] + radius * np.sin(angle)], -1)
    outline: list[float] = (view.to_px(points.astype(np.float32)) * over).ravel().tolist()
    return outline


def _draw_fibres(
    picture: Image.Image,
    rng: np.random.Generator,
    setup: CageSetup,
    view: View,
    over: int,
    *,
    count: int,
    inner: float,
    outer: float,
) -> None:
    """Draw curved strands that mostly run around the bowl; those further out lie higher and are brighter."""
    draw = ImageDraw.Draw(picture)
    angle = rng.uniform(0, 2 * math.pi, count)
    radius = setup.nest_radius_mm * np.sqrt(rng.uniform(inner**2, outer**2, count))
    direction = angle + math.pi / 2 + rng.normal(0, 0.38, count)
    curve = rng.normal(0, 0.06, count)
    steps = np.linspace(-1, 1, 6)[None] * rng.uniform(4.0, 14.0, count)[:, None]
    turning = direction[:, None] + curve[:, None] * steps
    x = setup.nest_mm[0] + (radius * np.cos(angle))[:, None] + steps * np.cos(turning)
    y = setup.nest_mm[1] + (radius * np.sin(angle))[:, None] + steps * np.sin(turning)
    strands = view.to_px(np.stack([x, y], -1).astype(np.float32)) * over
    tone = np.clip(rng.normal(198, 26, count), 110, 246).astype(int)
    width = np.maximum(1, np.round(rng.uniform(0.15, 0.55, count) * setup.px_per_mm * over)).astype(int)
    for strand, bright, thick in zip(strands.reshape(count, -1).tolist(), tone.tolist(), width.tolist(), strict=True):
        draw.line(strand, fill=(bright, bright - 3, bright - 9), width=thick)
