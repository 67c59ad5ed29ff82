"""Reading a DeepLabCut project: labelled frames of any body parts, single or several animals.

`labeled-data/<video>/CollectedData_<scorer>.csv` has three header rows (scorer, bodyparts, coords; with several
animals a row `individuals` more), then a relative image path, in one column or split over three, and x, y per part;
empty: not labelled. A row without any label is a picture that nobody has labelled yet, and is left out.
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
Places = dict[tuple[str, str], dict[str, int]]
"""(individual, part) to its columns, counted from 0, by the name of the coordinate."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFrame:
    """One labelled picture: its file, and per animal float64 (parts, 2) x, y in pixels, NaN where not labelled.

    table, line: where the labels stand; columns: per animal the column (from 1) of each part's x, 0 where it has none.
    """

    image: Path
    animals: tuple[NDArray[np.float64], ...]
    table: Path
    line: int
    columns: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Project:
    """All labelled frames of a project, the names of its body parts, and what about the labels is doubtful."""

    keypoints: tuple[str, ...]
    frames: tuple[LabelledFrame, ...]
    warnings: tuple[str, ...] = ()


def read_project(folder: Path) -> Project:
    """Return the labelled frames of a DeepLabCut project folder.

    Raises:
        OperatorError: no labels, files that disagree on the body parts, a malformed row, a picture that is missing or
            labelled twice; with file, row (line of the file) and column.
    """
    tables = sorted(folder.glob("labeled-data/*/CollectedData_*.csv"))
    if not tables:
        stored = sorted(folder.glob("labeled-data/*/CollectedData_*.h5"))
        if stored:
            raise OperatorError(
                f"{stored[0]}: expected its labels as CSV too, which DeepLabCut writes beside it; "
                "there `deeplabcut.convertcsv2h5` goes the other way, `pandas.read_hdf(FILE).to_csv(FILE.csv)` this one"
            )
        raise OperatorError(f"{folder}: expected labeled-data/<video>/CollectedData_<scorer>.csv, found none")
    projects = [_read_table(table, folder) for table in tables]
    keypoints = projects[0].keypoints
    for table, project in zip(tables, projects, strict=True):
        if set(project.keypoints) != set(keypoints):
            raise OperatorError(
                f"{table}: expected the body parts of {tables[0]} ({', '.join(keypoints)}), "
                f"got {', '.join(project.keypoints)}"
            )
    frames = [_reordered(frame, project.keypoints, keypoints) for project in projects for frame in project.frames]
    seen: dict[Path, LabelledFrame] = {}
    for frame in frames:
        first = seen.setdefault(frame.image, frame)
        if first is not frame:
            raise OperatorError(
                f"{frame.table}: row {frame.line}: expected each picture once, {frame.image.name} stands in row "
                f"{first.line} of {first.table} already; keep one of them"
            )
    if not frames:
        raise OperatorError(f"{tables[0]}: expected labelled frames below the headers, got none")
    return Project(keypoints, tuple(frames), tuple(text for project in projects for text in project.warnings))


def _reordered(frame: LabelledFrame, came: tuple[str, ...], wanted: tuple[str, ...]) -> LabelledFrame:
    """Return the frame with its parts in the project's order: another video's table may have another."""
    if came == wanted:
        return frame
    order = [came.index(name) for name in wanted]
    animals = tuple(animal[order] for animal in frame.animals)
    columns = tuple(tuple(columns[index] for index in order) for columns in frame.columns)
    return LabelledFrame(frame.image, animals, frame.table, frame.line, columns)


def _read_table(table: Path, folder: Path) -> Project:
    rows = _rows(table)
    headers = {row[0].strip(): row for _, row in rows[:4] if row[0].strip() in HEADERS}
    if "bodyparts" not in headers or "coords" not in headers:
        came = ", ".join(repr(row[0][:40]) for _, row in rows[:3]) or "nothing"
        raise OperatorError(f"{table}: expected header rows scorer, bodyparts, coords, got {came}")
    first, columns = _columns(headers, table)
    keypoints = tuple(dict.fromkeys(part for _, part in columns))
    animals = tuple(dict.fromkeys(animal for animal, _ in columns))
    frames: list[LabelledFrame] = []
    warnings: list[str] = []
    for line, row in rows[len(headers) :]:
        where = f"{table}: row {line}"
        points = [_points(row, columns, animal, keypoints, where, warnings) for animal in animals]
        places = [tuple(columns.get((animal, part), {}).get("x", -1) + 1 for part in keypoints) for animal in animals]
        there = [index for index, one in enumerate(points) if not np.isnan(one).all()]
        image = _image(row, first, table, folder, where)
        if there:
            labels, found = tuple(points[index] for index in there), tuple(places[index] for index in there)
            frames.append(LabelledFrame(image, labels, table, line, found))
    return Project(keypoints, tuple(frames), tuple(warnings))


def _rows(table: Path) -> list[tuple[int, list[str]]]:
    """Return the rows that hold anything, each with its line in the file, counted from 1."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise OperatorError(f"{table}: expected text (CSV, UTF-8), got {error}") from error


def _columns(headers: dict[str, list[str]], table: Path) -> tuple[int, Places]:
    """Return the first column of numbers, counted from 0, and where each part's coordinates stand."""
    coords = [cell.strip() for cell in headers["coords"]]
    first = next((index for index, cell in enumerate(coords) if cell in ("x", "y")), None)
    if first is None:
        raise OperatorError(f"{table}: row coords: expected columns x and y, got none")
    columns: Places = {}
    for index in range(first, len(coords)):
        part = _cell(headers["bodyparts"], index)
        animal = _cell(headers["individuals"], index) if "individuals" in headers else "animal"
        where = f"{table}: row coords, column {index + 1} ({part or 'no body part'})"
        if coords[index] not in ("x", "y", "likelihood"):
            raise OperatorError(f"{where}: expected x, y or likelihood, got {coords[index]!r}")
        if not part or not animal:
            raise OperatorError(f"{where}: expected a name in the rows bodyparts and individuals above, got nothing")
        if coords[index] in columns.setdefault((animal, part), {}):
            raise OperatorError(f"{where}: expected {coords[index]} of {animal} {part} once, it stands there twice")
        columns[animal, part][coords[index]] = index
    for (_, part), places in columns.items():
        for name in ("x", "y"):
            if name not in places:
                column = min(places.values()) + 1
                raise OperatorError(
                    f"{table}: row coords, column {column} ({part}): expected x and y, {name} is missing"
                )
    return first, columns


def _image(row: list[str], first: int, table: Path, folder: Path, where: str) -> Path:
    """Return the picture's path; Windows' separators do as well, and so does a video folder that was renamed."""
    parts = [part for cell in row[:first] for part in cell.strip().replace("\\", "/").split("/") if part]
    if not parts:
        raise OperatorError(f"{where}, column 1: expected a picture's path, got nothing")
    image = folder.joinpath(*parts)
    beside = table.parent / parts[-1]
    if not image.is_file() and not beside.is_file():
        raise OperatorError(f"{where}, column {first}: expected the image {image}, there is none")
    return image if image.is_file() else beside


def _points(
    row: list[str], columns: Places, animal: str, keypoints: tuple[str, ...], where: str, warnings: list[str]
) -> NDArray[np.float64]:
    """Return one animal's labels (parts, 2), NaN where there are none; half a label is none, and goes to `warnings`."""
    points = np.full((len(keypoints), 2), np.nan)
    for part_number, part in enumerate(keypoints):
        places = columns.get((animal, part))
        if places is None:
            continue
        for axis, name in enumerate(("x", "y")):
            column = places[name]
            points[part_number, axis] = _number(row, column, f"{where}, column {column + 1} ({part} {name})")
        missing = np.isnan(points[part_number])
        if missing.any() and not missing.all():
            name, other = ("x", "y") if missing[0] else ("y", "x")
            warnings.append(
                f"{where}, column {places[name] + 1} ({part} {name}): expected a number beside {other} "
                f"{_cell(row, places[other])}, got nothing; counted as not labelled"
            )
            points[part_number] = np.nan
    return points


def _cell(row: list[str], column: int) -> str:
    return row[column].strip() if column < len(row) else ""


def _number(row: list[str], column: int, where: str) -> float:
    text = _cell(row, column)
    if text == "" or text.lower() == "nan":
        return math.nan
    try:
        value = float(text)
    except ValueError as error:
        raise OperatorError(f"{where}: expected a number or nothing, got {text!r}") from error
    if not math.isfinite(value):
        raise OperatorError(f"{where}: expected a finite number, got {text}")
    return value
