"""A log on PostgreSQL of an earlier version: its owner brings it up to date, each step in a transaction of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from edge.errors import OperatorError
from station.store.postgres.locks import LOCK, WRITERS
from station.store.tables import VERSION

STEPS: Final[Mapping[int, Sequence[str]]] = {}
"""From each version to the next: the statements. The first version on PostgreSQL is 7."""


def bring_up_to_date(
    session: psycopg.Connection[Any], steps: Mapping[int, Sequence[str]] = STEPS, wanted: int = VERSION
) -> int:
    """Return how many steps were taken; what is interrupted goes on next time.

    Raises:
        OperatorError: there is no way from the database's version to the one that is wanted.
        psycopg.Error: the role does not own the log.
    """
    taken = 0
    while True:
        with session.transaction():
            session.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK, WRITERS))
            found = read_version(session)
            if found == wanted:
                return taken
            if found is None or found not in steps:
                raise OperatorError(f"expected a log of version {wanted}, got {found}; use the program that made it")
            session.execute("SET LOCAL search_path = main")
            for statement in steps[found]:
                session.execute(sql.SQL(statement))
            session.execute("UPDATE main.meta SET value = %s WHERE key = 'version'", (str(found + 1),))
        taken += 1


def read_version(session: psycopg.Connection[Any]) -> int | None:
    """Return the version of the log's tables, None where there are none."""
    there = session.execute("SELECT to_regclass('main.meta')").fetchone()
    if there is None or there[0] is None:
        return None
    row = session.execute("SELECT value FROM main.meta WHERE key = 'version'").fetchone()
    return int(row[0]) if row is not None and str(row[0]).isdecimal() else None
