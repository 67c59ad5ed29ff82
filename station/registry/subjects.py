"""The lab's own table of animals: read from a file, kept beside the records."""

from __future__ import annotations

import csv
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TextIO

from edge.contract.tables.columns import with_known_names
from edge.contract.tables.dates import read_dates
from edge.contract.tables.missing import read_names
from edge.errors import OperatorError
from station.days.mark import mark_subjects
from station.printable import as_cell, printable
from station.registry.housing import load_stays
from station.registry.lifetime import DATES
from station.registry.merge import Imported, plan_import
from station.registry.spreadsheet import read_sheet_or_csv
from station.registry.subject import CLEAR, COLUMNS, Cells, Row, Subject, row_of
from station.store import schema

MOST_BYTES = 16 * 2**20
"""Of a file of animals."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file's rows that can be used, and a sentence for each that cannot."""

    rows: tuple[Row, ...]
    refused: tuple[str, ...]


def read_subjects(path: Path) -> Table:
    """Return what a file with a header says of each animal; only `subject` must be there.

    Raises:
        OperatorError: the file cannot be read, or a column is unknown or missing. A wrong row costs itself.
    """
    found: dict[str, list[Row]] = defaultdict(list)
    refused = []
    for line, cells in read_cells(path):
        try:
            row = row_of(line, cells)
            found[row.subject].append(row)
        except ValueError as error:
            refused.append(f"{path}, line {line}: {error}")
    for name, rows in found.items():
        if len(rows) > 1:
            lines = ", ".join(str(row.line) for row in rows)
            times = "twice" if len(rows) == 2 else f"{len(rows)} times"
            refused.append(f"{path}, lines {lines}: subject {name!r} stands there {times}; expected one row")
    return Table(tuple(rows[0] for rows in found.values() if len(rows) == 1), tuple(refused))


def read_cells(path: Path) -> Iterator[tuple[int, Cells]]:
    """Return the rows of a file below its header, each with its line; missing values are "", dates YYYY-MM-DD.

    A cell of a date that is none, or that could be two days, stays as it is.

    Raises:
        OperatorError: the file is no table, or a column is unknown or missing.
    """
    table = with_known_names(read_sheet_or_csv(path, MOST_BYTES), COLUMNS)
    unknown = [name for name in table.names if name not in COLUMNS]
    if "subject" not in table.names or unknown:
        wrong = f"unknown {', '.join(unknown)}" if unknown else "no column subject"
        raise OperatorError(f"{path}: expected columns among {', '.join(COLUMNS)}, got {wrong}")
    columns = [_texts(name, table.column(name)) for name in table.names]
    for line, row in zip(table.lines, zip(*columns, strict=True), strict=True):
        yield line, dict(zip(table.names, row, strict=True))


def decisions(path: Path) -> list[str]:
    """Return sentences on what was decided while reading the file: its encoding, the order of day and month."""
    table = with_known_names(read_sheet_or_csv(path, MOST_BYTES), COLUMNS)
    said = [f"{path}: {text}" for text in table.notes]
    for name in DATES:
        cells = table.column(name) if name in table.names else ()
        said += [f"{path}: {name}: {text}" for text in read_dates([c for c in cells if c.lower() != CLEAR]).notes]
    return said


def _texts(name: str, cells: Sequence[str]) -> Sequence[str]:
    """Return a column's cells as the rest of the station takes them."""
    if name not in DATES:
        return cells if name in ("subject", "notes") else read_names(cells).values
    cleared = [cell.lower() == CLEAR for cell in cells]
    found = read_dates(["" if clear else cell for cell, clear in zip(cells, cleared, strict=True)])
    return [
        cell if clear or (day is None and not missing) else "" if day is None else day.isoformat()
        for cell, clear, day, missing in zip(cells, cleared, found.days, found.missing, strict=True)
    ]


def import_subjects(path: Path, data: Path, *, dry_run: bool = False) -> Imported:
    """Return what the file adds to the table, changes in it and leaves; a wrong row costs itself.

    An absent column or an empty cell keeps what is known; `(clear)` empties it. dry_run: nothing is written.

    Raises:
        OperatorError: as `read_subjects`, no row can be used, or the folder cannot be used.
    """
    table = read_subjects(path)
    found, merged = plan_import(path, table.rows, table.refused, _known(data))
    if found.refused and not (merged or found.same):
        raise OperatorError("\n".join(found.refused))
    if dry_run:
        return found
    with closing(schema.open_for_writing(data)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            before = load_subjects(connection)
            found, merged = plan_import(path, table.rows, table.refused, before)
            named = {subject.subject for subject in merged}
            mark_subjects(connection, [one for one in before if one.subject in named], merged)
            marks = ", ".join("?" * len(COLUMNS))
            connection.executemany(
                f"INSERT OR REPLACE INTO subjects ({', '.join(COLUMNS)}) VALUES ({marks})",
                [subject.cells() for subject in merged],
            )
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise OperatorError(f"{data}: could not write the subjects: {error}") from error
    return found


def load_subjects(connection: sqlite3.Connection) -> list[Subject]:
    """Return every animal of the lab's table."""
    found = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM subjects ORDER BY subject").fetchall()
    stays = load_stays(connection)
    return [replace(Subject(*row), stays=stays.get(row[0], ())) for row in found]


def write_subjects(connection: sqlite3.Connection, target: TextIO) -> None:
    """Write the table as CSV, in the form that `read_subjects` reads."""
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    for subject in load_subjects(connection):
        writer.writerow(None if value is None else as_cell(printable(value)) for value in subject.cells())


def write_template(path: Path, today: date) -> None:
    """Write an example of the table, to be filled in: two animals that exchange no one's place.

    Raises:
        OperatorError: the file is there already, or cannot be written.
    """
    born, arrived = (today - timedelta(days=days) for days in (120, 60))
    first = Subject("M1", "C57BL/6J", "female", f"{born}", f"{arrived}", "cage-1", arm="control", notes="an example")
    second = Subject("M2", "C57BL/6J", "male", f"{born}", f"{arrived}", "cage-2", "cage-2", arm="treated")
    try:
        with path.open("x", newline="", encoding="utf-8") as target:
            writer = csv.writer(target, lineterminator="\n")
            writer.writerows([COLUMNS, first.cells(), second.cells()])
    except FileExistsError as error:
        raise OperatorError(f"{path}: expected a file that is not there yet, to write an example into it") from error
    except OSError as error:
        raise OperatorError(f"{path}: cannot be written: {error}") from error


def _known(data: Path) -> list[Subject]:
    if not schema.has_log(data):
        return []
    with closing(schema.open_for_reading(data)) as connection:
        return load_subjects(connection)
