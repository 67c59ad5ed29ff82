"""Tidy CSV with a data dictionary: one observation a row, one variable a column, empty where there is no value."""

from __future__ import annotations

import csv
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edge.errors import OperatorError
from station.columns import FILES, File

DICTIONARY = "data_dictionary.csv"
_DICTIONARY_COLUMNS = ("file", "column", "type", "unit", "meaning")


def export(connection: sqlite3.Connection, folder: Path) -> dict[str, int]:
    """Return how many rows each file got. All files show the database at one moment; each is replaced whole.

    Raises:
        OperatorError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection.execute("BEGIN")  # one snapshot for all files
        try:
            counts = {file.name: _write(folder / file.name, _names(file), _rows(connection, file)) for file in FILES}
        finally:
            connection.execute("ROLLBACK")
        _write(folder / DICTIONARY, _DICTIONARY_COLUMNS, dictionary())
    except OSError as error:
        raise OperatorError(f"{folder}: expected a folder that can be written, got {error}") from error
    return counts


def dictionary() -> list[tuple[str, ...]]:
    """Return the rows of the data dictionary."""
    return [
        (file.name, column.name, column.type, column.unit, column.meaning) for file in FILES for column in file.columns
    ]


def _names(file: File) -> tuple[str, ...]:
    return tuple(column.name for column in file.columns)


def _rows(connection: sqlite3.Connection, file: File) -> Iterable[Sequence[Any]]:
    select = ", ".join(f"{column.source} AS {column.name}" for column in file.columns)
    cursor = connection.execute(f"SELECT {select} FROM {file.tables} ORDER BY {file.order}")
    return (tuple(row) for row in cursor)


def _write(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    temporary = path.with_name(path.name + ".tmp")
    count = 0
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow(row)
            count += 1
    os.replace(temporary, path)
    return count
