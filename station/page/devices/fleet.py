"""What the page reads of the fleet's database, without ever writing to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from edge.errors import OperatorError
from station.fleet.keep.alarms import Alarm, load_alarms
from station.fleet.keep.database import DATABASE, VERSION
from station.fleet.keep.devices import Heard, load_heard


@contextmanager
def fleet(data: Path) -> Iterator[sqlite3.Connection | None]:
    """Hand out a connection that only reads the fleet's database, None where there is none.

    Raises:
        OperatorError: a later version of the program made the file.
    """
    path = data / DATABASE
    if not path.exists():
        yield None
        return
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10.0)) as connection:
        connection.row_factory = sqlite3.Row
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found == 0:
            yield None  # it is just being made
            return
        if found > VERSION:  # an earlier one has all that the page reads; the next fleet command brings it up to date
            raise OperatorError(
                f"{path}: expected version {VERSION} or less, got {found}; use the program that made it"
            )
        connection.execute("BEGIN")
        yield connection


def find_fleet_alarms(data: Path) -> list[Alarm]:
    """Return what the fleet process found that a person must look at; device "" for the whole fleet."""
    with fleet(data) as connection:
        return [] if connection is None else load_alarms(connection)


def load_reports(data: Path) -> dict[str, Heard]:
    """Return what each device said of its model last."""
    with fleet(data) as connection:
        return {} if connection is None else load_heard(connection)
