"""Crops without ages to pretrain on: of a run, of a folder of pictures, of a video."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.camera.pictures import open_pictures
from edge.contract.manifest import Age
from edge.errors import CameraError, OperatorError, UnreadablePicture
from edge.footage.faults import Faults
from edge.vision import image
from training.crops.split import split_by_group
from training.crops.table import Crops
from training.run import CROP_TABLE, CROPS, Run


def unlabelled_crops(source: Path, spec: Age, *, most: int, seed: int = 1) -> NDArray[np.uint8]:
    """Return up to `most` crops uint8 (n, height, width, channels) of a run, a folder of pictures or a video.

    A run's crops are those of its training cages. Pictures of the crop's own size are taken as they are. Of any other
    a window of that size is cut, anywhere and at any angle, at its own resolution (enlarged where it is smaller).

    Raises:
        OperatorError: there is no picture, one is damaged, or the run's crops have another size.
    """
    if Run(source).has(CROP_TABLE):
        return _of_run(Run(source), spec, most, seed)
    return _of_pictures(source, spec, most, seed)


def _of_run(run: Run, spec: Age, most: int, seed: int) -> NDArray[np.uint8]:
    """Return crops of the run's training cages: pictures of held-out animals stay unseen, with or without ages."""
    found = Crops.load(run)
    crops = found.pixels[split_by_group(found.groups(), seed).train]
    shape = (spec.height, spec.width, spec.channels)
    if crops.shape[1:] != shape or len(crops) < 2:
        raise OperatorError(f"{run.path(CROPS)}: expected at least 2 crops {shape}, got {crops.shape}")
    return crops[_some(len(crops), most, seed)]


def _of_pictures(source: Path, spec: Age, most: int, seed: int) -> NDArray[np.uint8]:
    """Read all pictures one after the other, keep a random sample of them (reservoir sampling: Vitter, 1985).

    What cannot be read is passed over and counted.
    """
    faults = Faults()
    rng = np.random.default_rng([seed, 41])
    kept: list[NDArray[np.uint8]] = []
    try:
        number = -1  # of those that can be read
        for stored in open_pictures(source, 30.0):
            number += 1
            place = number if number < most else int(rng.integers(0, number + 1))
            if place >= most:
                continue
            try:
                window = _window(stored.read(), spec, rng)
            except UnreadablePicture as error:
                faults.add(stored.name, str(error))
                number -= 1
                continue
            if place == len(kept):
                kept.append(window)
            else:
                kept[place] = window
    except CameraError as error:
        raise OperatorError(f"--crops: {error}") from error
    if len(kept) < 2:
        why = "".join(f"; {line}" for line in faults.lines()[:1])
        raise OperatorError(f"--crops {source}: expected at least 2 pictures, got {len(kept)}{why}")
    for line in faults.lines():
        print(f"cageclock-train: passed over: {line}", file=sys.stderr)
    return np.stack(kept)


def _window(picture: NDArray[np.uint8], spec: Age, rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    grey = spec.channels == 1
    if (height, width) == (spec.height, spec.width):
        to_old = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    else:
        angle = rng.uniform(-math.pi, math.pi)
        zoom = min(1.0, width / spec.width, height / spec.height)
        turn = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        middle = np.array([rng.uniform(0.25, 0.75) * width, rng.uniform(0.25, 0.75) * height])
        to_old = np.column_stack([turn, middle - turn @ (np.array([spec.width, spec.height]) / 2)])
    cut = image.cut(picture, to_old, spec.width, spec.height, grey=grey)
    return np.asarray(cut, np.uint8).reshape(spec.height, spec.width, spec.channels)


def _some(count: int, most: int, seed: int) -> NDArray[np.intp]:
    return np.sort(np.random.default_rng([seed, 43]).permutation(count)[:most])
