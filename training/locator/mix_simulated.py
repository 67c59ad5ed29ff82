"""Simulated animals beside a project's labelled ones, body parts matched by name, those of one source only masked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.vision.locate import standard_name
from training.deeplabcut.frames import MARGIN, LocatorData
from training.simulated.dataset import Dataset

AT_LEAST = 400
TIMES = 4
"""At most four simulated animals to a labelled one: the project's frames are what the locator is for."""


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What both stages train on: views, centres (NaN: none), crops with margin, keypoints (x, y, visible)."""

    views: NDArray[np.uint8]
    centres: NDArray[np.float32]
    wide: NDArray[np.uint8]
    keypoints: NDArray[np.float32]


def joined_parts(project: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """Return the project's parts, then those that only the other has; `leftear` and `left_ear` are the same part."""
    known = {standard_name(part) for part in project}
    return (*project, *(part for part in other if standard_name(part) not in known))


def with_parts(data: LocatorData, came: tuple[str, ...], wanted: tuple[str, ...]) -> LocatorData:
    """Return the data with its parts in the order `wanted`; those it does not have are not visible."""
    return replace(
        data,
        keypoints=_by_name(data.keypoints, came, wanted),
        wide_keypoints=_by_name(data.wide_keypoints, came, wanted),
    )


def with_simulated(
    lessons: Lessons, keypoints: tuple[str, ...], data: Dataset, other: tuple[str, ...], seed: int
) -> Lessons:
    """Return the lessons with simulated ones, half and half: the project's are repeated, the simulated ones drawn."""
    rng = np.random.default_rng([seed, 43])
    views = _drawn(len(data.views), len(lessons.views), rng)
    crops = _drawn(len(data.parts), len(lessons.wide), rng)
    around = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0))
    points = _by_name(data.keypoints[crops], other, keypoints)
    points[..., :2] += MARGIN
    most = max(lessons.centres.shape[1], data.centres.shape[1])
    centres = _padded(lessons.centres, most), _padded(data.centres[views], most)
    own_views = np.resize(np.arange(len(lessons.views)), max(len(views), len(lessons.views)))
    own_crops = np.resize(np.arange(len(lessons.wide)), max(len(crops), len(lessons.wide)))
    return Lessons(
        np.concatenate([lessons.views[own_views], data.views[views]]),
        np.concatenate([centres[0][own_views], centres[1]]),
        np.concatenate([lessons.wide[own_crops], np.pad(data.parts[crops], around)]),
        np.concatenate([lessons.keypoints[own_crops], points]),
    )


def is_project(folder: Path) -> bool:
    """Return whether the folder is laid out as a DeepLabCut project."""
    return (folder / "labeled-data").is_dir()


def _drawn(count: int, own: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(rng.permutation(count)[: max(AT_LEAST, TIMES * own)])


def _by_name(points: NDArray[np.float32], came: tuple[str, ...], wanted: tuple[str, ...]) -> NDArray[np.float32]:
    places = {standard_name(part): index for index, part in enumerate(came)}
    result = np.zeros((len(points), len(wanted), 3), np.float32)
    for index, part in enumerate(wanted):
        if standard_name(part) in places:
            result[:, index] = points[:, places[standard_name(part)]]
    return result


def _padded(centres: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    return np.pad(centres, ((0, 0), (0, most - centres.shape[1]), (0, 0)), constant_values=np.nan)
