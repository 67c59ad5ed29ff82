"""Random views of labelled pictures: rotation, zoom, shear, shift, mirror, and the light's vagaries."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge.vision import image
from training.networks.training_loop import Batch


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
    """Return where each part goes when the picture is mirrored: left and right change places.

    Sides are recognised by the words left and right, or by a lone L or R (`ear_L`, `L-ear`, `earL`), in any case.
    """
    sided = [_sides(name) for name in keypoints]
    other = {(stem, side): index for index, (stem, side) in enumerate(sided)}
    return [other.get((stem, -side), index) for index, (stem, side) in enumerate(sided)]


def _sides(name: str) -> tuple[str, int]:
    """Return the name without its side, and the side: -1 left, 1 right, 0 none."""
    for pattern, side in _SIDES:
        found = re.search(pattern, name)
        if found:
            return f"{name[: found.start()]}|{name[found.end() :]}".lower(), side
    return name.lower(), 0


_SIDES = (
    *((r"(?i)left", -1), (r"(?i)right", 1)),
    *((r"(?<![A-Za-z])[Ll](?![A-Za-z])", -1), (r"(?<![A-Za-z])[Rr](?![A-Za-z])", 1)),
    *((r"(?<=[a-z])L(?![A-Za-z])", -1), (r"(?<=[a-z])R(?![A-Za-z])", 1)),
    *((r"(?<![A-Za-z])L(?=[A-Z])", -1), (r"(?<![A-Za-z])R(?=[A-Z])", 1)),
)


def change_light(
    picture: NDArray[np.uint8], rng: np.random.Generator, noise: float, strength: float = 1.0
) -> NDArray[np.float32]:
    """Return one picture, uint8 (h, w, c), as float32 0..1 with another gamma, contrast, brightness and noise.

    strength: 1 is far more than one camera's light varies; the tone of a coat is lost in it.
    """
    gamma, contrast, bright = 0.25 * strength, 0.2 * strength, 0.1 * strength
    levels = np.linspace(0, 1, 256) ** math.exp(rng.uniform(-gamma, gamma))
    levels = (levels - 0.5) * rng.uniform(1 - contrast, 1 + contrast) + 0.5 + rng.uniform(-bright, bright)
    changed: NDArray[np.float32] = levels.astype(np.float32).take(picture)
    if noise > 0:
        changed += grain(picture.shape, rng) * np.float32(noise * rng.random())
    return np.clip(changed, 0, 1, out=changed)


def grain(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return normal noise of mean 0 and deviation 1, float32: a random stretch of one table, or its negative.

    Drawing it anew for each picture took half of the time of a training's pictures.
    """
    table = _noise(max(_GRAINS, 4 * math.prod(shape)))
    start = int(rng.integers(len(table) - math.prod(shape)))
    stretch = table[start : start + math.prod(shape)].reshape(shape)
    return -stretch if rng.random() < 0.5 else stretch


_GRAINS = 1 << 20


@cache
def _noise(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(17).standard_normal(count, dtype=np.float32)


class Augmented(Iterator[Batch]):
    """Batches for ever: pictures 0..1, float32 (batch, h, w, c), and points (batch, k, 2 or 3, 1) moved along.

    The last axis gives truth and logits the same rank: Keras would squeeze a map of one channel otherwise.
    Each batch depends on (seed, step) alone, and each pass over the pictures takes every one once: set `step` to go on.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        points: NDArray[np.float32],
        *,
        batch: int,
        ranges: Ranges,
        order: Sequence[int] | None,
        seed: int,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Take pictures uint8 (n, h, w, c) with points (n, k, 2 or 3) in their pixels.

        order: the parts' order in a mirrored picture, or None where points have no sides.
        size: (width, height) of the result, cut from the middle, by default the pictures' own. From larger pictures,
        turning and shifting shows what is really there instead of black corners.
        """
        self.step = 0
        self._pixels, self._points = pixels, points
        self._batch, self._ranges, self._order, self._seed = batch, ranges, order, seed
        self._size = size or (pixels.shape[2], pixels.shape[1])

    def __next__(self) -> Batch:
        rng = np.random.default_rng([self._seed, self.step])
        pictures, moved = [], []
        for place in range(self.step * self._batch, (self.step + 1) * self._batch):
            picture, target = self._one(self._chosen(place), rng)
            pictures.append(picture)
            moved.append(target)
        self.step += 1
        return np.stack(pictures), np.stack(moved)[..., None]

    def _chosen(self, place: int) -> int:
        """Return the picture at a place of the endless order: a permutation a pass."""
        turn, within = divmod(place, len(self._pixels))
        return int(np.random.default_rng([self._seed, 7, turn]).permutation(len(self._pixels))[within])

    def _one(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        width, height = self._size
        source = self._pixels[index]
        mirrored = bool(self._ranges.mirror and rng.random() < 0.5)
        to_old = random_affine((width, height), self._ranges, rng, mirrored)
        to_old[:, 2] += (source.shape[1] - width) / 2, (source.shape[0] - height) / 2
        old = source[:, :, 0] if source.shape[2] == 1 else source
        picture = image.cut(old, to_old, width, height).reshape(height, width, source.shape[2])
        target = self._points[index].copy()
        to_new = np.linalg.inv(to_old[:, :2])
        target[:, :2] = (target[:, :2] - to_old[:, 2]) @ to_new.T
        if mirrored and self._order is not None:
            target = target[list(self._order)]
        if target.shape[1] == 3:
            target[:, 2] *= ((target[:, :2] >= 0) & (target[:, :2] < (width, height))).all(axis=1)
        return change_light(picture, rng, self._ranges.noise), target
