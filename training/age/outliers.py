"""Crops that no age should be given for, for the age network to learn from beside its animals.

Trained on ages alone, an embedding throws away what makes a picture foreign, and no statistic of it brings that back.
So the network also learns to tell outliers from its animals (outlier exposure; Hendrycks et al., ICLR 2019): foreign
scenes where animals are simulated, and for any animals what can be made of their own crops.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from edge.host.progress import progress
from edge.vision.preprocess import age_input
from training.age.data import AgeData
from training.networks.shapes import age_spec
from training.run import Run
from training.simulated.foreign import IN_DOMAIN, KINDS, NEAR, scenes_of_cage
from training.whole_file import replacing
from training.workers import pool

Crop = NDArray[np.uint8]
Make = Callable[[Crop, Crop, np.random.Generator], Crop]

SEEDS = 1_000_000
"""Added to a run's seed: the cages, animals and noise of the scenes that a model is tested on are others."""
CAGES = 150
MADE = 2000
NEAR_TIMES = 4
"""How much more often the network sees the kinds that are hardest to tell."""
_SHARD = 6


def outliers_for(run: Run, train: AgeData, seed: int = 1) -> Crop:
    """Return the outliers, uint8 (m, h, w, c), of a run's training animals: the same at each call.

    Simulated animals have foreign scenes of up to 150 cages, kept in the run's folder, the nearest kinds several times,
    and half as many made crops; of real ones, whose foreign scenes nobody has photographed, only made ones.
    """
    if not train.simulated:
        return made_outliers(train.crops, MADE, seed)
    cages = min(CAGES, max(2, len(np.unique(train.group)) // 2))
    rendered = rendered_outliers(run.path("outliers"), seed, cages)
    times = np.resize([NEAR_TIMES if kind in NEAR else 1 for kind in KINDS], len(rendered))
    return np.concatenate([np.repeat(rendered, times, axis=0), made_outliers(train.crops, len(rendered) // 2, seed)])


def rendered_outliers(folder: Path, seed: int = 1, cages: int = CAGES, workers: int = 2) -> Crop:
    """Return the crops, uint8 (n, h, w, 1), of so many cages, each in the order of KINDS; kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder, seed + SEEDS, first, min(cages, first + _SHARD)) for first in range(0, cages, _SHARD)]
    with pool(workers) as processes:
        paths = list(progress(processes.map(_render_shard, jobs), len(jobs), "outliers"))
    return np.concatenate([np.load(path, allow_pickle=False) for path in paths])


def made_outliers(crops: Crop, count: int, seed: int = 1) -> Crop:
    """Return `count` crops, uint8 (count, h, w, c), made of an animal's crops in every way of `WAYS` by turns."""
    rng = np.random.default_rng([seed, 31])
    ways = list(WAYS.values())
    found = np.empty((count, *crops.shape[1:]), np.uint8)
    for index in range(count):
        one, other = (crops[int(rng.integers(len(crops)))] for _ in range(2))
        made = ways[index % len(ways)](one[:, :, 0], other[:, :, 0], rng)
        found[index] = made[:, :, None]
    return found


def _render_shard(job: tuple[Path, int, int, int]) -> Path:
    folder, seed, first, end = job
    path = folder / f"seed{seed}-{first:05d}-{end:05d}.npy"
    if not path.exists():
        scenes = [one for number in range(first, end) for one in scenes_of_cage(number, seed, each=len(KINDS))]
        crops = [
            age_input(one.image, one.snout, one.tail_base, one.px_per_mm, age_spec()).pixels
            for one in scenes
            if one.kind != IN_DOMAIN
        ]
        with replacing(path) as half:
            np.save(half, np.array(crops), allow_pickle=False)
    return path


def _body(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a soft mask 0..1 of about where the body lies: along the middle of the aligned crop."""
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    long, wide = width * rng.uniform(0.22, 0.3), height * rng.uniform(0.28, 0.4)
    away = ((x - width / 2) / long) ** 2 + ((y - height / 2) / wide) ** 2
    mask: NDArray[np.float32] = np.clip(2.5 - 2.0 * away, 0, 1).astype(np.float32)
    return mask


def _mixed(one: NDArray[np.floating], other: NDArray[np.floating], share: NDArray[np.float32]) -> Crop:
    return np.clip(np.round(one * share + other * (1 - share)), 0, 255).astype(np.uint8)


def _grain(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a texture around 0: noise of one size between hairs and litter."""
    step = int(rng.integers(1, 12))
    coarse = rng.normal(0, 1, (shape[0] // step + 2, shape[1] // step + 2)).astype(np.float32)
    drawn = Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(drawn, np.float32)


def _other_coat(one: Crop, _other: Crop, rng: np.random.Generator) -> Crop:
    """The body much brighter or darker, with another grain."""
    shift = rng.choice((-1.0, 1.0)) * rng.uniform(35, 120)
    coat = one * np.float32(rng.uniform(0.5, 1.0)) + np.float32(shift) + _grain(one.shape, rng) * rng.uniform(2, 14)
    return _mixed(coat, one.astype(np.float32), _body(one.shape, rng))


def _other_floor(one: Crop, _other: Crop, rng: np.random.Generator) -> Crop:
    """The surroundings replaced: plain, grained or striped."""
    height, width = one.shape
    floor = np.full(one.shape, rng.uniform(20, 235), np.float32) + _grain(one.shape, rng) * rng.uniform(0, 25)
    if rng.random() < 0.5:
        y, x = np.mgrid[:height, :width]
        period, angle = rng.uniform(8, 60), rng.uniform(0, np.pi)
        floor += 60 * rng.choice((-1, 1)) * ((np.cos(angle) * x + np.sin(angle) * y) % period < period / 5)
    return _mixed(one.astype(np.float32), floor, _body(one.shape, rng))


def _bars(one: Crop, _other: Crop, rng: np.random.Generator) -> Crop:
    """Something in front of the animal: bars, or a block."""
    height, width = one.shape
    y, x = np.mgrid[:height, :width]
    period, angle = rng.uniform(15, 70), rng.uniform(0, np.pi)
    front = (np.cos(angle) * x + np.sin(angle) * y) % period < period * rng.uniform(0.1, 0.4)
    if rng.random() < 0.4:
        left, top = rng.uniform(0.1, 0.5) * width, rng.uniform(0, 0.5) * height
        front = (x > left) & (x < left + 0.4 * width) & (y > top) & (y < top + 0.6 * height)
    drawn = np.where(front, rng.uniform(0, 255), one.astype(np.float64))
    return np.clip(drawn, 0, 255).astype(np.uint8)


def _resized(one: Crop, _other: Crop, rng: np.random.Generator) -> Crop:
    """Far smaller or larger than an adult, or squeezed or stretched."""
    sizes = (rng.uniform(0.4, 0.62), rng.uniform(1.5, 2.0))
    across, along = (sizes[int(rng.integers(2))],) * 2 if rng.random() < 0.6 else (rng.uniform(1.6, 2.2), 1.0)
    if rng.random() < 0.3:
        across, along = along, across
    return _cut_by(one, np.array([[1 / along, 0.0], [0.0, 1 / across]]))


def _turned(one: Crop, _other: Crop, rng: np.random.Generator) -> Crop:
    """Across the crop instead of along it."""
    angle = rng.choice((-1, 1)) * rng.uniform(0.7, np.pi / 2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return _cut_by(one, turn)


def _cut_by(one: Crop, linear: NDArray[np.float64]) -> Crop:
    """Return the crop under another map about its middle, on more of its own floor."""
    from edge.vision import image

    height, width = one.shape
    middle = np.array([width / 2, height / 2])
    corner = one[: height // 4, : width // 8]
    framed = np.pad(corner, ((0, 3 * height - len(corner)), (0, 3 * width - corner.shape[1])), mode="symmetric")
    framed[height : 2 * height, width : 2 * width] = one
    shift = middle + np.array([width, height]) - linear @ middle
    return image.cut(framed, np.column_stack([linear, shift]), width, height)


def _shuffled(one: Crop, other: Crop, rng: np.random.Generator) -> Crop:
    """Patches in another order, some of another crop."""
    size = int(rng.choice((20, 32, 40)))
    made = one.copy()
    rows, columns = one.shape[0] // size, one.shape[1] // size
    places = [(row * size, column * size) for row in range(rows) for column in range(columns)]
    for (y, x), source in zip(places, rng.permutation(len(places)), strict=True):
        v, u = places[int(source)]
        made[y : y + size, x : x + size] = (one if rng.random() < 0.7 else other)[v : v + size, u : u + size]
    return made


def _inverted(one: Crop, _other: Crop, _rng: np.random.Generator) -> Crop:
    return 255 - one


def _smeared(one: Crop, _other: Crop, rng: np.random.Generator) -> Crop:
    """So blurred that no coat is left."""
    return np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(float(rng.uniform(5, 14)))))


def _nothing(one: Crop, _other: Crop, rng: np.random.Generator) -> Crop:
    """No animal at all: a plain or grained surface, or a far corner of the crop seen close."""
    if rng.random() < 0.4:
        height, width = one.shape
        corner = Image.fromarray(one[: height // 4, : width // 4])
        return np.asarray(corner.resize((width, height), Image.Resampling.BILINEAR))
    plain = rng.uniform(0, 255) + _grain(one.shape, rng) * rng.uniform(0, 50)
    made: Crop = np.clip(plain, 0, 255).astype(np.uint8)
    return made


WAYS: dict[str, Make] = {
    "other coat": _other_coat,
    "other floor": _other_floor,
    "bars": _bars,
    "resized": _resized,
    "turned": _turned,
    "shuffled": _shuffled,
    "inverted": _inverted,
    "smeared": _smeared,
    "nothing": _nothing,
}
