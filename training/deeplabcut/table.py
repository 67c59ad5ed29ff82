"""One table of labels of a DeepLabCut project: CollectedData_<scorer>.csv."""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import OperatorError
from training.deeplabcut.config import Config

HEADERS = ("scorer", "individuals", "bodyparts", "coords")
COORDS = ("x", "y", "likelihood")
PROJECT_WIDE = "single"
"""The individual under which DeepLabCut keeps points that belong to no animal, such as the corners of the arena."""
_COMMA = re.compile(r"^\s*(-?\d+),(\d+)\s*$")
"""A decimal comma, which goes with semicolons between the cells."""
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


@dataclass(slots=True)
class Findings:
    """What was passed over in a table or needs a look, counted by kind; each kind keeps the first place it was met."""

    table: Path
    kinds: dict[str, list[str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def add(self, kind: str, where: str) -> None:
        self.kinds.setdefault(kind, []).append(where)

    def warnings(self) -> tuple[str, ...]:
        counted = [
            f"{self.table}: {kind}: {len(places)}, {'the first in' if len(places) > 1 else 'in'} {places[0]}"
            for kind, places in self.kinds.items()
        ]
        return (*counted, *self.lines)


NOWHERE = "labels at (0, 0), which other tools write for what is not labelled, count as not labelled"
NEGATIVE = "labels with a negative coordinate count as not labelled"
GONE = "labelled rows without their picture are passed over"
UNLIKELY = "labels have a likelihood below {:g} and count all the same: predictions that nobody has corrected?"
NO_ANIMAL = "labels of the individual `single` belong to the project (its unique body parts) and to no animal"
NOT_NAMED = "labels of body parts that config.yaml does not name are left out"
"""Kinds of findings."""


@dataclass(frozen=True, slots=True)
class LabelTable:
    """A table's labelled frames, with the parts in the order of its columns, and what was found on the way."""

    path: Path
    keypoints: tuple[str, ...]
    frames: tuple[LabelledFrame, ...]
    findings: Findings


def read_label_table(table: Path, folder: Path, config: Config | None) -> LabelTable:
    """Return the labelled frames of a table in the project's `folder`.

    Raises:
        OperatorError: headers or a row that cannot be read; with file, row (line of the file) and column.
    """
    rows = _rows(table)
    headers = {row[0].strip(): row for _, row in rows[:4] if row[0].strip() in HEADERS}
    if "bodyparts" not in headers or "coords" not in headers:
        came = ", ".join(repr(row[0][:40]) for _, row in rows[:3]) or "nothing"
        raise OperatorError(f"{table}: expected header rows scorer, bodyparts, coords, got {came}")
    findings = Findings(table)
    body = rows[len(headers) :]
    first, places = _columns(headers, table, config)
    places = _of_animals(places, body, table, config, findings)
    keypoints = tuple(dict.fromkeys(part for _, part in places))
    animals = tuple(dict.fromkeys(animal for animal, _ in places))
    pictures = _Pictures(table, folder)
    frames: list[LabelledFrame] = []
    for line, row in body:
        where = f"{table}: row {line}"
        points = [_points(row, places, animal, keypoints, where, findings, config) for animal in animals]
        there = [index for index, one in enumerate(points) if not np.isnan(one).all()]
        if not there:
            continue
        image = pictures.find(row[:first], where)
        if image is None:
            findings.add(GONE, f"row {line}, {'/'.join(row[:first])}")
            continue
        found = [tuple(places.get((animals[n], part), {}).get("x", -1) + 1 for part in keypoints) for n in there]
        frames.append(LabelledFrame(image, tuple(points[n] for n in there), table, line, tuple(found)))
    return LabelTable(table, keypoints, tuple(frames), findings)


def _rows(table: Path) -> list[tuple[int, list[str]]]:
    """Return the rows that hold anything, each with its line in the file, counted from 1."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            # A spreadsheet set to another country's ways writes semicolons. The first row is "scorer" and names.
            separator = max(",;\t", key=head.count)
            reader = csv.reader(file, delimiter=separator)
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise OperatorError(f"{table}: expected text (CSV, UTF-8), got {error}") from error
    if rows and rows[0][1][0].strip().lower().startswith("sep="):
        del rows[0]
    if separator != ";":
        return rows
    return [(line, [_COMMA.sub(r"\1.\2", cell) for cell in row]) for line, row in rows]


def _columns(headers: dict[str, list[str]], table: Path, config: Config | None) -> tuple[int, Places]:
    """Return the first column of numbers, counted from 0, and where each part's coordinates stand, of one scorer."""
    coords = [cell.strip() for cell in headers["coords"]]
    first = next((index for index, cell in enumerate(coords) if cell in COORDS), None)
    if first is None or not {"x", "y"} & set(coords):
        raise OperatorError(f"{table}: row coords: expected columns x and y, got none")
    # A spreadsheet saves empty columns behind the last one.
    used = [
        index
        for index in range(first, max(map(len, headers.values())))
        if any(_cell(row, index) for row in headers.values())
    ]
    scorer = _scorer(headers, used, table, config)
    columns: Places = {}
    for index in used:
        if scorer and _cell(headers["scorer"], index) not in (scorer, ""):
            continue
        part, coord = _cell(headers["bodyparts"], index), _cell(coords, index)
        animal = _cell(headers["individuals"], index) if "individuals" in headers else "animal"
        where = f"{table}: row coords, column {index + 1} ({part or 'no body part'})"
        if coord not in COORDS:
            raise OperatorError(f"{where}: expected x, y or likelihood, got {coord!r}")
        if not part or not animal:
            raise OperatorError(f"{where}: expected a name in the rows bodyparts and individuals above, got nothing")
        if coord in columns.setdefault((animal, part), {}):
            raise OperatorError(f"{where}: expected {coord} of {animal} {part} once, it stands there twice")
        columns[animal, part][coord] = index
    for (_, part), places in columns.items():
        for name in ("x", "y"):
            if name not in places:
                column = min(places.values()) + 1
                raise OperatorError(
                    f"{table}: row coords, column {column} ({part}): expected x and y, {name} is missing"
                )
    return first, columns


def _scorer(headers: dict[str, list[str]], used: list[int], table: Path, config: Config | None) -> str:
    """Return whose columns count where several people's stand side by side, else ""."""
    names = list(dict.fromkeys(_cell(headers.get("scorer", []), index) for index in used))
    names = [name for name in names if name]
    if len(names) < 2:
        return ""
    if config is not None and config.scorer in names:
        return config.scorer
    raise OperatorError(
        f"{table}: row scorer: expected one scorer, got {', '.join(names)}; name the one that counts as `scorer` in "
        "the project's config.yaml, or keep the columns of one"
    )


def _is_project_wide(individual: str) -> bool:
    """Return whether it is DeepLabCut's name for what is no animal, in whatever case a hand has written it."""
    return individual.strip().casefold() == PROJECT_WIDE


def _of_animals(
    places: Places, rows: list[tuple[int, list[str]]], table: Path, config: Config | None, findings: Findings
) -> Places:
    """Return the columns that are animals' and whose part the project knows; note how many labels the others have."""
    named = set(config.parts) if config is not None else set()
    kept: Places = {}
    for (animal, part), at in places.items():
        if _is_project_wide(animal) or (config is not None and part in config.unique):
            kind = NO_ANIMAL
        elif named and part not in named:
            kind = NOT_NAMED
        else:
            kept[animal, part] = at
            continue
        for line, row in rows:
            if all(_cell(row, at[name]).lower() not in ("", "nan") for name in ("x", "y")):
                findings.add(kind, f"row {line}, column {at['x'] + 1} ({part})")
    animals = {animal for animal, _ in places}
    known = set(config.individuals) if config is not None else set()
    strange = sorted(name for name in animals - known if not _is_project_wide(name))
    if kept and strange and known:
        findings.lines.append(
            f"{table}: row individuals: config.yaml does not name {', '.join(strange)}: read all the same"
        )
    if kept:
        return kept
    if animals and all(map(_is_project_wide, animals)):
        raise OperatorError(
            f"{table}: row individuals: expected animals, got only `{PROJECT_WIDE}`, which is DeepLabCut's name for "
            "points that belong to no animal; if it is one, give it another name in that row"
        )
    wanted = ", ".join(config.parts) if config is not None else ""
    came = ", ".join(dict.fromkeys(part for animal, part in places if not _is_project_wide(animal)))
    raise OperatorError(
        f"{table}: row bodyparts: expected some of those that config.yaml names ({wanted}), got {came}; correct the "
        "names there, or move config.yaml away"
    )


class _Pictures:
    """The pictures that a table's rows name: by their path in the project, else by their name beside the table."""

    def __init__(self, table: Path, folder: Path) -> None:
        self._table, self._folder = table, folder
        self._beside: dict[str, list[Path]] = {}
        for path in sorted(table.parent.iterdir()):
            self._beside.setdefault(_plain(path.name), []).append(path)

    def find(self, cells: list[str], where: str) -> Path | None:
        """Return the picture, None where there is none; absolute paths, Windows' and renamed folders do as well.

        Raises:
            OperatorError: the row names no picture, or two pictures could be meant.
        """
        parts = [part for cell in cells for part in cell.strip().replace("\\", "/").split("/") if part]
        if not parts:
            raise OperatorError(f"{where}, column 1: expected a picture's path, got nothing")
        named = self._folder.joinpath(*parts)
        beside = self._named_beside(parts[-1])
        if not named.is_file():
            return beside
        if beside is not None and not named.samefile(beside):
            raise OperatorError(
                f"{where}, column 1: expected one picture, got two: the row names {named}, and {beside} has its name "
                "and lies beside the table; correct the row's folder, or remove the picture that is not meant"
            )
        return named

    def _named_beside(self, name: str) -> Path | None:
        exact = self._table.with_name(name)
        if exact.is_file():
            return exact
        # Written on a system that takes img.PNG for img.png, or that writes letters with accents in two parts.
        alike = [path for path in self._beside.get(_plain(name), []) if path.is_file()]
        return alike[0] if len(alike) == 1 else None


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _points(
    row: list[str],
    columns: Places,
    animal: str,
    keypoints: tuple[str, ...],
    where: str,
    findings: Findings,
    config: Config | None,
) -> NDArray[np.float64]:
    """Return one animal's labels (parts, 2), NaN where there are none; half a label is none, and goes to `findings`."""
    points = np.full((len(keypoints), 2), np.nan)
    for part, places, number in _labelled(columns, animal, keypoints):
        point = [_number(row, places[n], f"{where}, column {places[n] + 1} ({part} {n})") for n in ("x", "y")]
        missing = [math.isnan(value) for value in point]
        at = f"row {where.rsplit(' ', 1)[-1]}, column {places['x'] + 1} ({part}): ({point[0]:g}, {point[1]:g})"
        if any(missing):
            if not all(missing):
                name, other = ("x", "y") if missing[0] else ("y", "x")
                findings.lines.append(
                    f"{where}, column {places[name] + 1} ({part} {name}): expected a number beside {other} "
                    f"{_cell(row, places[other])}, got nothing; counted as not labelled"
                )
        elif point == [0.0, 0.0]:
            findings.add(NOWHERE, at)
        elif min(point) < 0:
            findings.add(NEGATIVE, at)
        else:
            points[number] = point
            _check_likelihood(row, places, at, findings, config)
    return points


def _labelled(columns: Places, animal: str, keypoints: tuple[str, ...]) -> Iterator[tuple[str, dict[str, int], int]]:
    for number, part in enumerate(keypoints):
        if (animal, part) in columns:
            yield part, columns[animal, part], number


def _check_likelihood(
    row: list[str], places: dict[str, int], at: str, findings: Findings, config: Config | None
) -> None:
    least = config.likelihood if config is not None else 0.6
    if "likelihood" in places:
        likelihood = _number(row, places["likelihood"], f"{findings.table}: {at}: likelihood")
        if likelihood < least:
            findings.add(UNLIKELY.format(least), f"{at}, likelihood {likelihood:g}")


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
