"""Labelled frames of a project, cut as the device cuts them, for both stages of the locator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Centres, Parts
from edge.errors import OperatorError
from edge.preprocess import centres_input, parts_input, small_view
from training.dlc import LabelledFrame, Project

SMALL_WIDTH = 320
MAX_ANIMALS = 5


@dataclass(frozen=True, slots=True, eq=False)
class LocatorData:
    """views uint8 (n, h, w, 1), centres float32 (n, 5, 2); crops uint8 (m, size, size, 1), keypoints float32 (m,
    parts, 3).

    frame: int32 (m,), the crop's row in views.
    """

    views: NDArray[np.uint8]
    centres: NDArray[np.float32]
    crops: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    frame: NDArray[np.int32]


def cut_project(project: Project, centres: Centres, parts: Parts, shift_px: float = 0.0, seed: int = 1) -> LocatorData:
    """Return the project's frames as the networks see them, crops at native pixels; `shift_px` jitters their middle.

    Raises:
        OperatorError: a label lies outside its image, or an image cannot be read.
    """
    from edge.image import read_image

    rng = np.random.default_rng([seed, 41])
    views, middles, crops, points, numbers = [], [], [], [], []
    for number, frame in enumerate(project.frames):
        main = read_image(frame.image)
        _check_inside(frame, project, main.shape[1], main.shape[0])
        views.append(centres_input(small_view(main, SMALL_WIDTH), centres))
        row = np.full((MAX_ANIMALS, 2), np.nan, np.float32)
        for index, animal in enumerate(frame.animals[:MAX_ANIMALS]):
            middle = np.nanmean(animal, axis=0)
            row[index] = middle * (centres.width / main.shape[1], centres.height / main.shape[0])
            x, y = middle + rng.uniform(-shift_px, shift_px, 2)
            crop = parts_input(main, (float(x), float(y)), None, parts)
            crops.append(crop.pixels)
            points.append(_in_crop(animal, crop.to_main, parts.size))
            numbers.append(number)
        middles.append(row)
    return LocatorData(
        np.stack(views),
        np.stack(middles),
        np.stack(crops),
        np.stack(points).astype(np.float32),
        np.array(numbers, np.int32),
    )


def _in_crop(animal: NDArray[np.float64], to_main: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return (parts, 3): x, y in the crop and 1 where the part is labelled and inside."""
    there = ~np.isnan(animal[:, 0])
    inside = np.where(there[:, None], animal, 0.0) - to_main[:, 2]
    visible = there & ((inside >= 0) & (inside < size)).all(axis=1)
    return np.column_stack([inside, visible.astype(np.float64)])


def _check_inside(frame: LabelledFrame, project: Project, width: int, height: int) -> None:
    for animal in frame.animals:
        for name, (x, y) in zip(project.keypoints, animal, strict=True):
            if not (np.isnan(x) or (-1 <= x <= width and -1 <= y <= height)):
                raise OperatorError(
                    f"{frame.image}: {name}: expected a label within {width}x{height}, got ({x:.1f}, {y:.1f})"
                )
