"""Body parts of stored pictures as DeepLabCut's CSV: rows scorer, bodyparts and coords, then one row a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from edge.contract.reading import CameraState, Keypoint
from edge.frame import Frame
from edge.image import read_image
from edge.locate import find_animals
from edge.model.loaded import LoadedModel
from edge.preprocess import small_view

_SMALL_WIDTH = 320


def locate_picture(path: Path, model: LoadedModel, px_per_mm: float | None = None) -> tuple[Keypoint, ...]:
    """Return the body parts of the likeliest animal in a picture, in its own pixels; empty where there is none.

    px_per_mm: None cuts the animal at the picture's native pixels.

    Raises:
        OperatorError: the file is missing or no image.
    """
    main = read_image(path)
    height, width = main.shape[:2]
    state = CameraState(backend="file", model="file", width=width, height=height)
    frame = Frame(main, small_view(main, _SMALL_WIDTH), 0.0, 0.0, state, px_per_mm)
    animals = find_animals(frame, model, most=1)
    return animals[0].keypoints if animals else ()


def deeplabcut_csv(found: Sequence[tuple[str, Sequence[Keypoint]]], parts: Sequence[str], scorer: str) -> str:
    """Return the CSV of (picture, body parts): x, y in pixels and likelihood; empty cells where no animal was found.

    One animal a picture, as in a single-animal project of DeepLabCut (Mathis et al., 2018).
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["scorer"] + [scorer] * 3 * len(parts))
    writer.writerow(["bodyparts"] + [part for part in parts for _ in range(3)])
    writer.writerow(["coords"] + ["x", "y", "likelihood"] * len(parts))
    for picture, keypoints in found:
        by_part = {point.part: point for point in keypoints}
        cells: list[str] = []
        for part in parts:
            point = by_part.get(part)
            cells += ["", "", ""] if point is None else [f"{point.x:g}", f"{point.y:g}", f"{point.likelihood:g}"]
        writer.writerow([picture, *cells])
    return out.getvalue()
