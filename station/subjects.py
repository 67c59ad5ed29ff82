"""The lab's own table of animals: read from a file, kept beside the records."""

from __future__ import annotations

import csv
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TextIO

from edge.errors import OperatorError
from station import schema
from station.merge import Imported, plan_import
from station.printable import as_cell, printable
from station.subject import COLUMNS, Cells, Row, Subject, row_of


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
    """Return the rows of a CSV file below its header, each with the number of its line; no cell is understood yet.

    Raises:
        OperatorError: the file cannot be read, a column is unknown or missing, or a row has another length.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            unknown = [name for name in names if name not in COLUMNS]
            if "subject" not in names or unknown:
                wrong = f"unknown {', '.join(unknown)}" if unknown else "no column subject"
                raise OperatorError(f"{path}: expected columns among {', '.join(COLUMNS)}, got {wrong}")
            found = list(enumerate(reader, start=2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OperatorError(f"{path}: cannot be read: {error}") from error
    for line, row in found:
        if None in row or None in row.values():
            raise OperatorError(f"{path}, line {line}: expected as many fields as the header has")
        yield line, {name: text.strip() for name, text in row.items()}


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
            found, merged = plan_import(path, table.rows, table.refused, load_subjects(connection))
            marks = ", ".join("?" * len(COLUMNS))
            connection.executemany(
                f"INSERT OR REPLACE INTO subjects ({', '.join(COLUMNS)}) VALUES ({marks})", map(astuple, merged)
            )
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise OperatorError(f"{data}: could not write the subjects: {error}") from error
    return found


def load_subjects(connection: sqlite3.Connection) -> list[Subject]:
    """Return every animal of the lab's table."""
    found = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM subjects ORDER BY subject").fetchall()
    return [Subject(*row) for row in found]


def write_subjects(connection: sqlite3.Connection, target: TextIO) -> None:
    """Write the table as CSV, in the form that `read_subjects` reads."""
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    for subject in load_subjects(connection):
        writer.writerow(None if value is None else as_cell(printable(value)) for value in astuple(subject))


def _known(data: Path) -> list[Subject]:
    if not (data / schema.DATABASE).exists():
        return []
    with closing(schema.open_for_reading(data)) as connection:
        return load_subjects(connection)
