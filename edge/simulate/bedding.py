"""The cage floor: litter, walls and the light that falls on them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edge.simulate.nest import draw_nest_floor
from edge.simulate.noise import noise_tile, sample
from edge.simulate.setup import CageSetup
from edge.simulate.truth import Light
from edge.simulate.view import View

# Linear reflectances are stored as the square root in 8 bits: a quarter of the memory, and no banding in the dark.
DECODE: NDArray[np.float32] = ((np.arange(256, dtype=np.float32) / 255.0) ** 2).astype(np.float32)

_KINDS: dict[str, tuple[tuple[int, int, int], tuple[float, float], tuple[float, float], float]] = {
    # base colour (square-root encoded), length and width of a piece in mm, pieces per mm2
    "aspen": ((196, 172, 134), (2.5, 8.0), (0.9, 2.4), 0.22),
    "corncob": ((188, 152, 112), (2.0, 3.6), (1.8, 3.2), 0.30),
    "pulp": ((202, 199, 190), (3.0, 7.0), (2.2, 4.5), 0.14),
}


@lru_cache(maxsize=16)
def floor_of(setup: CageSetup, light: Light, view: View) -> NDArray[np.uint8]:
    """uint8 (H, W, 3, or 1 in infrared): reflectance of the empty floor with nest and walls, encoded (see DECODE).

    Strewing the litter takes ten times as long as a photograph, so the last floors are kept: whoever renders many cages
    does all pictures of one cage before the next.
    """
    if light == "infrared":
        # Wood, cotton and plastic differ little at 850 nm: less contrast, brighter than in white light.
        white = floor_of(setup, "white", view).astype(np.float32)
        grey = 0.5 * white[..., 0] + 0.35 * white[..., 1] + 0.15 * white[..., 2]
        pale: NDArray[np.uint8] = np.clip(66.0 + 0.66 * grey, 0, 255).astype(np.uint8)
        return pale[..., None]
    rng = np.random.default_rng([setup.seed, 0xBED])
    over = 2 if setup.px_per_mm < 5 else 1
    picture = Image.new("RGB", (setup.width_px * over, setup.height_px * over), (70, 58, 44))
    _scatter(picture, rng, setup, view, over)
    draw_nest_floor(picture, setup, view, over)
    _draw_walls(picture, rng, setup, view, over)
    if over > 1:
        picture = picture.resize((setup.width_px, setup.height_px), Image.Resampling.BOX)
    floor = np.asarray(picture, np.float32)
    rows, columns = np.mgrid[0 : setup.height_px, 0 : setup.width_px].astype(np.float32) / np.float32(setup.px_per_mm)
    hills = sample(noise_tile(11, 4.5, 4.5, 2.0), columns / 6 + setup.seed % 41, rows / 6)
    grain = sample(noise_tile(12, 0.9, 0.5, setup.px_per_mm), columns, rows)
    floor *= (1.0 + 0.05 * hills + 0.035 * grain)[..., None]
    return np.clip(floor, 0, 255).astype(np.uint8)


def _scatter(picture: Image.Image, rng: np.random.Generator, setup: CageSetup, view: View, over: int) -> None:
    """Strew pieces of litter, later ones on top, each with a shadow to the side away from the lamp."""
    colour, lengths, widths, density = _KINDS[setup.bedding]
    field = setup.field_mm
    margin = 15.0
    count = int((field[0] + 2 * margin) * (field[1] + 2 * margin) * density)
    centre = rng.uniform((-margin, -margin), (field[0] + margin, field[1] + margin), (count, 2))
    half_length, half_width = rng.uniform(*lengths, count) / 2, rng.uniform(*widths, count) / 2
    angle = rng.uniform(0, np.pi, count)
    corners = np.array([(-1.0, -0.8), (-0.6, -1.0), (0.7, -1.0), (1.0, -0.5), (0.9, 1.0), (-0.8, 1.0)])
    shape = (
        corners[None]
        * np.stack([half_length, half_width], -1)[:, None]
        * rng.uniform(0.75, 1.1, (count, len(corners), 1))
    )
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    points = (
        np.stack([shape[..., 0] * cos - shape[..., 1] * sin, shape[..., 0] * sin + shape[..., 1] * cos], -1)
        + centre[:, None]
    )
    lamp = np.array(setup.lamp_direction[:2]) * 0.7
    tone = np.clip(rng.normal(1.0, 0.11, count), 0.65, 1.25)
    # Pieces that lie deep in the litter were strewn first, and lie in the shade of the later ones.
    tone *= np.linspace(0.72, 1.03, count)
    tint = np.array(colour) * np.array(setup.bedding_tint)
    colours = np.clip(tone[:, None] * tint * rng.normal(1.0, 0.025, (count, 3)), 0, 255).astype(int)
    polygons = (view.to_px(points.astype(np.float32)) * over).reshape(count, -1)
    shadows = (view.to_px((points - lamp).astype(np.float32)) * over).reshape(count, -1)
    seen = _touching(polygons, picture.size) | _touching(shadows, picture.size)
    draw = ImageDraw.Draw(picture)
    for polygon, shadow, fill in zip(
        polygons[seen].tolist(), shadows[seen].tolist(), colours[seen].tolist(), strict=True
    ):
        draw.polygon(shadow, fill=(fill[0] // 2, fill[1] // 2, fill[2] // 2))
        draw.polygon(polygon, fill=tuple(fill))


def _touching(polygons: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which polygons, (n, 2 * corners), have their box on the picture: the others need not be drawn."""
    x, y = polygons[:, 0::2], polygons[:, 1::2]
    across = (x.max(axis=1) > -2) & (x.min(axis=1) < size[0] + 2)
    return np.asarray(across & (y.max(axis=1) > -2) & (y.min(axis=1) < size[1] + 2))


def _draw_walls(picture: Image.Image, rng: np.random.Generator, setup: CageSetup, view: View, over: int) -> None:
    """Clear plastic walls along the border: a pale rim with a bright reflection on its inner edge."""
    width, height = setup.field_mm
    inset = setup.wall_mm
    mask = Image.new("L", picture.size, 150)
    inner = np.array(
        [(inset, inset), (width - inset, inset), (width - inset, height - inset), (inset, height - inset)], np.float32
    )
    polygon = (view.to_px(inner) * over).ravel().tolist()
    ImageDraw.Draw(mask).polygon(polygon, fill=0)
    mask = mask.filter(ImageFilter.GaussianBlur(0.5 * setup.px_per_mm * over))
    rim = tuple(int(value) for value in rng.integers(150, 190, 1).repeat(3))
    picture.paste(Image.new("RGB", picture.size, rim), (0, 0), mask)
    draw = ImageDraw.Draw(picture)
    line = max(1, round(0.7 * setup.px_per_mm * over))
    draw.line([*polygon, *polygon[:2]], fill=(222, 222, 216), width=line)
    for side in range(4):  # reflections of the lamps
        start = rng.uniform(0.1, 0.7)
        ends = inner[side] + (inner[(side + 1) % 4] - inner[side]) * np.array(
            [[start], [start + rng.uniform(0.05, 0.2)]]
        )
        draw.line(
            (view.to_px(ends.astype(np.float32)) * over).ravel().tolist(), fill=(250, 250, 246), width=line + over
        )
