"""What lies on the lens or in front of it: condensation, dirt, a shaking camera, a hand."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edge.simulate.noise import noise_tile, sample
from edge.simulate.patch import Patch, smear
from edge.simulate.setup import CageSetup
from edge.simulate.view import View

Pixels = NDArray[np.float32]

SHAKE_MM = 6.0  # length of the smear at full motion blur


def shake(scene: Pixels, setup: CageSetup, strength: float, rng: np.random.Generator) -> Pixels:
    """The scene smeared along a random direction, as by a camera that moves during the exposure."""
    angle = rng.uniform(0, math.pi)
    length = strength * SHAKE_MM * setup.px_per_mm
    return smear(scene, length * math.cos(angle), length * math.sin(angle))


def fog(scene: Pixels, setup: CageSetup, strength: float, seed: int) -> Pixels:
    """The scene behind condensation: blurred and veiled with light in blotches, more of both with more `strength`."""
    height, width, channels = scene.shape
    small = max(2, round(width / (2.0 * setup.px_per_mm))), max(2, round(height / (2.0 * setup.px_per_mm)))
    blurred = np.stack([_blur(scene[..., channel], small, strength) for channel in range(channels)], -1)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(setup.px_per_mm)
    # Six times larger than the tile: one repetition spans more than the cage.
    blotches = sample(noise_tile(21, 5.0, 5.0, 2.0), columns / 6 + seed % 41, rows / 6 + seed % 37)
    drops = sample(noise_tile(22, 3.0, 3.0, setup.px_per_mm), columns, rows)
    share = np.clip(1.15 * strength + 0.25 * strength * blotches, 0.0, 1.0)[..., None]
    veil = np.float32(0.16 * strength) * (1.0 + 0.12 * drops[..., None])
    result: Pixels = (scene * (1.0 - share) + (blurred * (1.0 - 0.35 * share) + veil) * share).astype(np.float32)
    return result


def _blur(channel: Pixels, small: tuple[int, int], strength: float) -> Pixels:
    picture = Image.fromarray(channel).resize(small, Image.Resampling.BOX)
    values: Pixels = np.asarray(picture, np.float32)
    for _ in range(1 + round(2 * strength)):
        padded = np.pad(values, 1, mode="edge") / np.float32(6.0)
        values = 2 * padded[1:-1, 1:-1] + padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    back = Image.fromarray(values).resize((channel.shape[1], channel.shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(back, np.float32)


def soil(scene: Pixels, setup: CageSetup, strength: float) -> None:
    """Darken the scene in place behind out-of-focus specks and smears; a cage's dirt is the same in every frame."""
    rng = np.random.default_rng([setup.seed, 0xD127])
    width, height = setup.field_mm
    scale = 2.0  # pixels per mm of the mask
    mask = Image.new("L", (round(width * scale), round(height * scale)), 255)
    draw = ImageDraw.Draw(mask)
    for _ in range(round(46 * strength)):
        x, y = rng.uniform(0, width) * scale, rng.uniform(0, height) * scale
        radius = rng.lognormal(0.7, 0.7) * scale
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius * rng.uniform(0.6, 1.2)), fill=int(rng.integers(40, 150))
        )
    for _ in range(round(5 * strength)):
        start, angle = rng.uniform((0, 0), (width, height)) * scale, rng.uniform(0, math.pi)
        reach = rng.uniform(20, 70) * scale
        end = start + reach * np.array([math.cos(angle), math.sin(angle)])
        draw.line((*start, *end), fill=int(rng.integers(120, 190)), width=int(rng.uniform(4, 12) * scale))
    mask = mask.filter(ImageFilter.GaussianBlur(1.2 * scale))
    scene *= (np.asarray(mask.resize((scene.shape[1], scene.shape[0])), np.float32) / np.float32(255.0))[..., None]


def reach_in(setup: CageSetup, view: View, channels: int, rng: np.random.Generator) -> Patch:
    """A gloved hand and forearm that come in from a long side, as a patch of the whole picture."""
    width, height = setup.field_mm
    from_top = rng.random() < 0.5
    wrist = np.array([rng.uniform(0.3, 0.7) * width, height * (0.22 if from_top else 0.78)])
    inward = 1.0 if from_top else -1.0
    mask = Image.new("L", (setup.width_px, setup.height_px), 0)
    draw = ImageDraw.Draw(mask)

    def limb(start: NDArray[np.float64], end: NDArray[np.float64], radius_mm: float) -> None:
        ends = view.to_px(np.array([start, end], np.float32))
        radius = radius_mm * setup.px_per_mm
        draw.line(ends.ravel().tolist(), fill=255, width=round(2 * radius))
        for x, y in ends.tolist():
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)

    limb(wrist - np.array([rng.uniform(-30, 30), inward * height * 0.5]), wrist, 26.0)
    palm = wrist + np.array([0.0, inward * 30.0])
    limb(wrist, palm, 33.0)
    for finger in range(4):
        spread = (finger - 1.5) * 0.28 + rng.normal(0, 0.05)
        root = palm + np.array([(finger - 1.5) * 15.0, 0.0])
        limb(root, root + (62.0 - 6 * abs(finger - 1.5)) * np.array([math.sin(spread), inward * math.cos(spread)]), 7.5)
    thumb = wrist + np.array([28.0, inward * 12.0])
    limb(thumb, thumb + np.array([32.0, inward * 30.0]), 8.0)
    alpha = np.asarray(mask.filter(ImageFilter.GaussianBlur(0.4 * setup.px_per_mm)), np.float32) / np.float32(255.0)
    thick = np.asarray(mask.filter(ImageFilter.BoxBlur(5.0 * setup.px_per_mm)), np.float32) / np.float32(255.0)
    tint = np.array((0.10, 0.24, 0.52) if channels == 3 else (0.5,), np.float32)
    return Patch(0, 0, (tint * (alpha * (0.35 + 0.75 * thick))[..., None]).astype(np.float32), alpha)
