"""Random views of labelled pictures: rotation, zoom, shear, shift, mirror, and the light's vagaries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge import image
from training.fitting import Batch


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far: rotation in radians either way, zoom as e^+-, shear, shift in pixels, noise in grey levels (0..1)."""

    rotation: float = math.pi
    zoom: float = 0.22
    shear: float = 0.12
    shift_px: float = 14.0
    mirror: bool = True
    noise: float = 0.03


def random_affine(
    size: tuple[int, int], ranges: Ranges, rng: np.random.Generator, mirrored: bool
) -> NDArray[np.float64]:
    """Return the 2x3 map, float64, from the new picture's pixels to the old one's, about the middle of its size."""
    angle = rng.uniform(-ranges.rotation, ranges.rotation)
    zoom = math.exp(rng.uniform(-ranges.zoom, ranges.zoom))
    shear = rng.uniform(-ranges.shear, ranges.shear)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.array([[1.0, shear], [0.0, 1.0]]) * zoom
    if mirrored:
        linear = linear @ np.diag([-1.0, 1.0])
    middle = np.array(size) / 2
    shift = rng.uniform(-ranges.shift_px, ranges.shift_px, 2)
    return np.column_stack([linear, middle + shift - linear @ middle])


def mirror_order(keypoints: Sequence[str]) -> list[int]:
    """Return where each part goes when the picture is mirrored: left and right change places."""
    swapped = [name.replace("left", "\0").replace("right", "left").replace("\0", "right") for name in keypoints]
    return [keypoints.index(name) if name in keypoints else index for index, name in enumerate(swapped)]


def change_light(pixels: NDArray[np.float32], rng: np.random.Generator, noise: float) -> NDArray[np.float32]:
    """Return one picture, float32 (h, w, c) within 0..1, with another gamma, contrast, brightness and noise."""
    changed = pixels ** np.float32(math.exp(rng.uniform(-0.25, 0.25)))
    changed = (changed - 0.5) * np.float32(rng.uniform(0.8, 1.2)) + np.float32(0.5 + rng.uniform(-0.1, 0.1))
    if noise > 0:
        changed = changed + rng.normal(0, noise * rng.random(), changed.shape).astype(np.float32)
    return np.clip(changed, 0, 1, dtype=np.float32)


def augmented(
    pixels: NDArray[np.uint8],
    points: NDArray[np.float32],
    *,
    batch: int,
    ranges: Ranges,
    order: Sequence[int] | None,
    seed: int,
) -> Iterator[Batch]:
    """Yield batches for ever: pictures 0..1 (batch, h, w, c) and points (batch, k, 2 or 3, 1) moved along.

    The last axis gives truth and logits the same rank: Keras would squeeze a map of one channel otherwise.

    order: the parts' order in a mirrored picture, or None where points have no sides.
    """
    rng = np.random.default_rng(seed)
    height, width = pixels.shape[1:3]
    while True:
        chosen = rng.integers(0, len(pixels), batch)
        pictures, moved = [], []
        for index in chosen:
            mirrored = bool(ranges.mirror and rng.random() < 0.5)
            to_old = random_affine((width, height), ranges, rng, mirrored)
            old = pixels[index, :, :, 0] if pixels.shape[3] == 1 else pixels[index]
            picture = image.cut(old, to_old, width, height).reshape(pixels.shape[1:])
            pictures.append(change_light(picture.astype(np.float32) / 255, rng, ranges.noise))
            target = points[index].copy()
            to_new = np.linalg.inv(to_old[:, :2])
            target[:, :2] = (target[:, :2] - to_old[:, 2]) @ to_new.T
            if mirrored and order is not None:
                target = target[list(order)]
            if target.shape[1] == 3:
                inside = ((target[:, :2] >= 0) & (target[:, :2] < (width, height))).all(axis=1)
                target[:, 2] *= inside
            moved.append(target)
        yield np.stack(pictures), np.stack(moved)[..., None]
