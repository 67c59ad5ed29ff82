"""Labelled frames of a project, cut as the device cuts them, for both stages of the locator."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import PREPROCESS_VERSION, PREPROCESS_VERSIONS, Centres, Parts
from edge.errors import OperatorError
from edge.footage.picture import read_image
from edge.vision.preprocess import centres_input, parts_input, small_view
from edge.vision.views import alike, views_of
from training.deeplabcut.read import LabelledFrame, Project

MARGIN = 44
"""Pixels around a crop that augmentation may turn or shift into it."""
FITS = (60.0, 150.0)
"""Extents, in crop pixels, that nineteen of twenty animals may have without the pictures being scaled."""
WANTED_EXTENT_PX = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class LocatorData:
    """What both stages learn from; n pictures, m animals.

    views: uint8 (n, h, w, 1); centres: float32 (n, k, 2), pixels of the view, NaN where there is none.
    crops: uint8 (m, size, size, 1), as the device cuts them; keypoints: float32 (m, parts, 3), x, y, visible.
    wide: uint8 (m, size + 2 margin, same, 1), the crops with what is around them; keypoints in its pixels: + margin.
    frame: int32 (m,), the crop's row in views.
    reach: float32 (n,), half a crop's side in pixels of the picture's view.
    to_main: float64 (m, 2, 3), from a crop's pixels to its picture's.
    cut_by: the versions of the preprocessing that make these very pictures.
    """

    views: NDArray[np.uint8]
    centres: NDArray[np.float32]
    crops: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    wide: NDArray[np.uint8]
    wide_keypoints: NDArray[np.float32]
    frame: NDArray[np.int32]
    reach: NDArray[np.float32]
    to_main: NDArray[np.float64]
    cut_by: tuple[str, ...] = (PREPROCESS_VERSION,)


def scale_of(project: Project) -> float:
    """Return how many of the pictures' pixels go into one of a crop's: 1 where the animals fit in it as they are.

    A network sees 192x192 pixels of an animal; in a large picture that would be an ear.
    """
    extents = [
        float(np.ptp(animal[~np.isnan(animal[:, 0])], axis=0).max()) for f in project.frames for animal in f.animals
    ]
    extent = float(np.percentile(extents, 95))
    if extent == 0 or FITS[0] <= extent <= FITS[1]:
        return 1.0
    return extent / WANTED_EXTENT_PX


def cut_project(
    project: Project, centres: Centres, parts: Parts, scale: float = 1.0, version: str = PREPROCESS_VERSION
) -> LocatorData:
    """Return the project's frames as the networks see them; `scale` picture pixels become one crop pixel.

    version: of the preprocessing that the bundle will name.

    Raises:
        OperatorError: a label lies outside its image, or an image cannot be read; with table, row and column.
    """
    most = max(len(frame.animals) for frame in project.frames)
    broad = msgspec.structs.replace(parts, size=parts.size + 2 * MARGIN)
    views, middles, numbers, crops, wides, points, wide_points, maps = [], [], [], [], [], [], [], []
    reach, cut_by = [], set(PREPROCESS_VERSIONS)
    for number, frame in enumerate(project.frames):
        main = read_main(frame)
        _check_inside(frame, project, main.shape[1], main.shape[0])
        seen = views_of(main, version)
        cut_by &= set(alike(version, main.shape[1]))
        views.append(centres_input(small_view(seen, centres.small_width), centres))
        reach.append(scale * parts.size / 2 * centres.width / main.shape[1])
        row = np.full((most, 2), np.nan, np.float32)
        for index, animal in enumerate(frame.animals):
            middle = np.nanmean(animal, axis=0)
            row[index] = middle * (centres.width / main.shape[1], centres.height / main.shape[0])
            at = float(middle[0]), float(middle[1])
            crop = parts_input(seen, at, scale * parts.px_per_mm, parts)
            wide = parts_input(seen, at, scale * parts.px_per_mm, broad)
            crops.append(crop.pixels)
            wides.append(wide.pixels)
            points.append(_in_crop(animal, crop.to_main, parts.size))
            wide_points.append(_in_crop(animal, wide.to_main, broad.size))
            maps.append(crop.to_main)
            numbers.append(number)
        middles.append(row)
    return LocatorData(
        np.stack(views),
        np.stack(middles),
        np.stack(crops),
        np.stack(points).astype(np.float32),
        np.stack(wides),
        np.stack(wide_points).astype(np.float32),
        np.array(numbers, np.int32),
        np.array(reach, np.float32),
        np.stack(maps),
        tuple(one for one in PREPROCESS_VERSIONS if one in cut_by),
    )


def read_main(frame: LabelledFrame) -> NDArray[np.uint8]:
    """Return a labelled picture, uint8 (h, w, 3).

    Raises:
        OperatorError: it cannot be read; named with the table's row.
    """
    try:
        return read_image(frame.image)
    except OperatorError as error:
        raise OperatorError(f"{frame.table}: row {frame.line}, column 1: {error}") from error


def _in_crop(animal: NDArray[np.float64], to_main: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return (parts, 3): x, y in the crop and 1 where the part is labelled and inside."""
    there = ~np.isnan(animal[:, 0])
    inside = (np.where(there[:, None], animal, 0.0) - to_main[:, 2]) / to_main[0, 0]
    visible = there & ((inside >= 0) & (inside < size)).all(axis=1)
    return np.column_stack([inside, visible.astype(np.float64)])


def _check_inside(frame: LabelledFrame, project: Project, width: int, height: int) -> None:
    for animal, columns in zip(frame.animals, frame.columns, strict=True):
        for name, (x, y), column in zip(project.keypoints, animal, columns, strict=True):
            wrong_x, wrong_y = not -1 <= x <= width, not -1 <= y <= height
            if not np.isnan(x) and (wrong_x or wrong_y):
                raise OperatorError(
                    f"{frame.table}: row {frame.line}, column {column if wrong_x else column + 1} ({name}): expected a "
                    f"label within {frame.image.name}, {width}x{height}, got ({x:.1f}, {y:.1f})"
                )
