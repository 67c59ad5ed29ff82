"""Reading a DeepLabCut project: labelled frames of any body parts, single or several animals.

`labeled-data/<video>/CollectedData_<scorer>.csv` has three header rows (scorer, bodyparts, coords; with several
animals a
row `individuals` more), then a relative image path, in one column or split over three, and x, y per part; empty: not
labelled.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import OperatorError

HEADERS = ("scorer", "individuals", "bodyparts", "coords")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFrame:
    """One labelled picture: its file, and per animal float64 (parts, 2) x, y in pixels, NaN where not labelled."""

    image: Path
    animals: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, slots=True)
class Project:
    """All labelled frames of a project, and the names of its body parts."""

    keypoints: tuple[str, ...]
    frames: tuple[LabelledFrame, ...]


def read_project(folder: Path) -> Project:
    """Return the labelled frames of a DeepLabCut project folder.

    Raises:
        OperatorError: no labels, files that disagree on the body parts, a malformed row, or an image that is missing;
        with
            file, row and column.
    """
    tables = sorted(folder.glob("labeled-data/*/CollectedData_*.csv"))
    if not tables:
        raise OperatorError(f"{folder}: expected labeled-data/<video>/CollectedData_<scorer>.csv, found none")
    projects = [_read_table(table, folder) for table in tables]
    for table, project in zip(tables, projects, strict=True):
        if project.keypoints != projects[0].keypoints:
            raise OperatorError(
                f"{table}: expected the body parts of {tables[0]} ({', '.join(projects[0].keypoints)}), "
                f"got {', '.join(project.keypoints)}"
            )
    return Project(projects[0].keypoints, tuple(frame for project in projects for frame in project.frames))


def _read_table(table: Path, folder: Path) -> Project:
    with table.open(newline="") as file:
        rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    headers = {row[0].strip(): row for row in rows[:4] if row[0].strip() in HEADERS}
    if "bodyparts" not in headers or "coords" not in headers:
        raise OperatorError(
            f"{table}: expected header rows scorer, bodyparts, coords, got {rows[0][0] if rows else 'nothing'!r}"
        )
    coords = headers["coords"]
    first = next((index for index, cell in enumerate(coords) if cell.strip() in ("x", "y")), None)
    if first is None:
        raise OperatorError(f"{table}: row coords: expected columns x and y, got none")
    individuals = headers.get("individuals", ["animal"] * len(coords))
    columns: dict[tuple[str, str], dict[str, int]] = {}
    for index in range(first, len(coords)):
        key = (individuals[index].strip(), headers["bodyparts"][index].strip())
        columns.setdefault(key, {})[coords[index].strip()] = index
    keypoints = tuple(dict.fromkeys(part for _, part in columns))
    animals = tuple(dict.fromkeys(animal for animal, _ in columns))
    frames = []
    for number, row in enumerate(rows[len(headers) :], len(headers) + 1):
        where = f"{table}: row {number}"
        image = folder.joinpath(*[part for cell in row[:first] for part in cell.strip().split("/") if part])
        if not image.is_file():
            raise OperatorError(f"{where}: expected the image {image}, there is none")
        found = tuple(_points(row, columns, animal, keypoints, where) for animal in animals)
        frames.append(LabelledFrame(image, tuple(points for points in found if not np.isnan(points).all())))
    if not frames:
        raise OperatorError(f"{table}: expected labelled frames below the headers, got none")
    return Project(keypoints, tuple(frames))


def _points(
    row: list[str], columns: dict[tuple[str, str], dict[str, int]], animal: str, keypoints: tuple[str, ...], where: str
) -> NDArray[np.float64]:
    points = np.full((len(keypoints), 2), np.nan)
    for part_number, part in enumerate(keypoints):
        places = columns.get((animal, part))
        if places is None:
            continue
        for axis, name in enumerate(("x", "y")):
            column = places.get(name)
            if column is None:
                raise OperatorError(f"{where}: {part}: expected columns x and y, {name} is missing")
            points[part_number, axis] = _number(row, column, f"{where}, column {column + 1} ({part} {name})")
        if np.isnan(points[part_number]).any():
            points[part_number] = np.nan
    return points


def _number(row: list[str], column: int, where: str) -> float:
    text = row[column].strip() if column < len(row) else ""
    if text == "" or text.lower() == "nan":
        return math.nan
    try:
        value = float(text)
    except ValueError as error:
        raise OperatorError(f"{where}: expected a number or nothing, got {text!r}") from error
    if not math.isfinite(value):
        raise OperatorError(f"{where}: expected a finite number, got {text}")
    return value
