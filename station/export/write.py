"""Tidy CSV with a data dictionary: one observation a row, one variable a column, empty where there is no value.

Texts that a spreadsheet would run as a formula get an apostrophe, control characters are spelt out.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from edge.errors import OperatorError
from station.export.columns import FILES, File
from station.printable import as_cell, printable
from station.registry.attribution import Owners, Sight, Whose
from station.registry.subjects import load_subjects
from station.registry.zones import load_zones

DICTIONARY = "data_dictionary.csv"
_DICTIONARY_COLUMNS = ("file", "column", "type", "unit", "meaning")


def export(connection: sqlite3.Connection, folder: Path) -> dict[str, int]:
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
        connection.execute("BEGIN")  # one snapshot for all files
        try:
            _teach_whose(connection)
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
    return (tuple(_harmless(value) for value in row) for row in cursor)


def _harmless(value: Any) -> Any:
    return as_cell(printable(value)) if isinstance(value, str) else value


def _teach_whose(connection: sqlite3.Connection) -> None:
    """Give the connection the functions whose_subject and whose_reason, after the table that it holds now."""
    owners = Owners(load_subjects(connection), load_zones(connection))

    @lru_cache(1)  # both are asked of each row
    def whose(*of: Any) -> Whose:
        device, cage, at_s, time_basis, expected, found, named, method = of
        subject = None if named is None else _text(named)
        return owners.whose(Sight(_text(device), _text(cage), at_s, time_basis, expected, found, subject, method))

    connection.create_function("whose_subject", 8, lambda *of: whose(*of).subject)
    connection.create_function("whose_reason", 8, lambda *of: whose(*of).reason)


def _text(raw: bytes) -> str:
    return bytes(raw).decode("utf-8", "replace")


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
