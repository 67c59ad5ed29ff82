"""The log as Parquet, a file a month and table: only months that have changed are written anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from edge.errors import OperatorError
from station.export.choice import Choice
from station.export.columns import ANIMALS, EVENTS, READINGS, SUBJECTS, File
from station.export.months import UNKNOWN, bounds_of, find_months, fingerprint
from station.export.parquet import read_fingerprint, sync_folder, write_parquet
from station.export.timed import Rows, begin_snapshot
from station.export.whose import Attribution
from station.export.write import write_dictionary

FORM = "1"
"""Of the files; another one has every month written anew."""
_PICTURE = "thumbnail"
MONTHLY = tuple(
    replace(file, columns=tuple(column for column in file.columns if column.name != _PICTURE))
    for file in (READINGS, ANIMALS)
)
"""Without the picture's path: it changes when retention removes pictures, and would have every month change."""
WHOLE = (EVENTS, SUBJECTS)
"""Small tables, written anew each time."""


@dataclass(slots=True)
class Archived:
    """What a run did. made: rows by file; left: files that had not changed; removed: files of months without rows."""

    made: dict[str, int] = field(default_factory=dict)
    left: int = 0
    removed: list[str] = field(default_factory=list)
    wrong: int = 0


def archive(
    connection: sqlite3.Connection, folder: Path, *, anew: bool = False, said: Callable[[str], None] = lambda _: None
) -> Archived:
    """Return what was written. Each month is one moment of the database; what is stopped in the middle goes on.

    anew: write every month. said: hears the name of each file that was written, and its rows.

    Raises:
        OperatorError: the folder cannot be written, a file of it is none of an archive, or the days wait to be made.
    """
    if not isinstance(connection, sqlite3.Connection):
        raise OperatorError(
            "archive: expected a log on SQLite, this one is on PostgreSQL; `cageclock-station copy` it into a folder "
            "first, and archive that"
        )
    done = Archived()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for rest in (*folder.glob("*.tmp"), *folder.glob("*/*.tmp")):
            rest.unlink()
        (identity,) = connection.execute("SELECT value FROM meta WHERE key = 'station_db'").fetchone()
        months = find_months(connection)
        for month in months:
            _month(connection, folder, month, f"{FORM} {identity}", done, anew=anew, said=said)
        for file in MONTHLY:
            for path in sorted(_folder(folder, file).glob("*.parquet")):
                if path.stem not in months and read_fingerprint(path):
                    _remove(path, folder, done)
        begin_snapshot(connection)
        try:
            for file in WHOLE:
                rows = Rows(connection, Choice(), Attribution(connection))
                path = folder / file.name.replace(".csv", ".parquet")
                read_fingerprint(path)  # refuses what is another's
                _note(path, folder, done, *write_parquet(path, file, rows.raw(file), FORM), said)
        finally:
            connection.execute("ROLLBACK")
        write_dictionary(folder, (*MONTHLY, *WHOLE))
    except OSError as error:
        raise OperatorError(f"{folder}: expected a folder that can be written, got {error}") from error
    return done


def _month(
    connection: sqlite3.Connection,
    folder: Path,
    month: str,
    form: str,
    done: Archived,
    *,
    anew: bool,
    said: Callable[[str], None],
) -> None:
    begin_snapshot(connection)
    try:
        now = fingerprint(connection, month, form)
        begins, ends = (None, None) if month == UNKNOWN else bounds_of(month)
        choice = Choice(since=begins, until=ends, untimed_only=month == UNKNOWN)
        for file in MONTHLY:
            path = _folder(folder, file) / f"{month}.parquet"
            written = read_fingerprint(path)
            if written == now and not anew:
                done.left += 1
                continue
            parts = iter(Rows(connection, choice, Attribution(connection)).raw(file))
            first = next((part for part in parts if part), None)
            if first is None:
                if written is not None:
                    _remove(path, folder, done)
                continue
            count, wrong = write_parquet(path, file, chain([first], parts), now)
            _note(path, folder, done, count, wrong, said)
    finally:
        connection.execute("ROLLBACK")


def _folder(folder: Path, file: File) -> Path:
    return folder / file.name.removesuffix(".csv")


def _note(path: Path, folder: Path, done: Archived, count: int, wrong: int, said: Callable[[str], None]) -> None:
    name = path.relative_to(folder).as_posix()
    done.made[name] = count
    done.wrong += wrong
    said(f"{count:>9} rows  {path}")


def _remove(path: Path, folder: Path, done: Archived) -> None:
    path.unlink()
    sync_folder(path.parent)
    done.removed.append(path.relative_to(folder).as_posix())
