"""Tidy CSV with a data dictionary: one observation a row, one variable a column, empty where there is no value.

Texts that a spreadsheet would run as a formula get an apostrophe, control characters are spelt out.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import OperatorError
from station.export.choice import Choice
from station.export.columns import FILES, File
from station.export.timed import Rows, begin_snapshot
from station.export.whose import Attribution

DICTIONARY = "data_dictionary.csv"
_DICTIONARY_COLUMNS = ("file", "column", "type", "unit", "meaning")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. counts: file to rows; untimed: readings that a span of time left out, as none is known."""

    counts: dict[str, int]
    untimed: int = 0


def export(connection: sqlite3.Connection, folder: Path, choice: Choice | None = None) -> Exported:
    """Return how many rows each file got. All files show the database at one moment; each is replaced whole.

    Raises:
        OperatorError: the folder cannot be written.
    """
    if not isinstance(connection, sqlite3.Connection):
        raise OperatorError(
            "export: expected a log on SQLite, this one is on PostgreSQL; `cageclock-station copy` it into a folder "
            "first, and export that"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        begin_snapshot(connection)  # one for all files
        try:
            rows = Rows(connection, choice or Choice(), Attribution(connection))
            counts = {file.name: _write(folder / file.name, _names(file), rows.of(file)) for file in FILES}
        finally:
            connection.execute("ROLLBACK")
        write_dictionary(folder, FILES)
    except OSError as error:
        raise OperatorError(f"{folder}: expected a folder that can be written, got {error}") from error
    return Exported(counts, rows.untimed)


def write_dictionary(folder: Path, files: Iterable[File]) -> None:
    """Write what each column of the files means, from the table that the files themselves are made by."""
    rows = [
        (file.name, column.name, column.type, column.unit, column.meaning) for file in files for column in file.columns
    ]
    _write(folder / DICTIONARY, _DICTIONARY_COLUMNS, [rows])


def _names(file: File) -> tuple[str, ...]:
    return tuple(column.name for column in file.columns)


def _write(path: Path, names: Sequence[str], parts: Iterable[list[Any]]) -> int:
    temporary = path.with_name(path.name + ".tmp")
    count = 0
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for rows in parts:
            writer.writerows(rows)
            count += len(rows)
    os.replace(temporary, path)
    return count
