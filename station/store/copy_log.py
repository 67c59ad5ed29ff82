"""Copying a whole log from one place to another, row for row, until both hold the same.

Each table is gone through in the order of its key, a few hundred rows at a time: what the other place has in the same
stretch is compared, and written where it is not the same. So a copy that was interrupted goes on by being begun again,
and what came meanwhile is added by a second pass, over one moment of the source.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from edge.errors import OperatorError
from station.store.postgres.tables import tables
from station.store.removed import LOG
from station.store.tables import VERSION

ROWS: Final = 500
_FIRST: Final = ("records", "readings", "animals", "events", "clock_corrections", "thumbnails")
"""Records before the readings that a trigger compares them with."""
_BY_TRIGGERS: Final = ("totals", "dated_ahead")
_OWN_META: Final = ("station_db", "version", "registry", "verify", "verified", "retention", "retained", "copied_from")
_NUMBERS: Final = ("id", "rowid")
COPIED_FROM: Final = "copied_from"
"""In `meta` of a log that is a copy, and into which no station has logged yet: the identity of its source."""


@dataclass(slots=True)
class Copied:
    """What a copy did. written: rows, by table; devices: records and digest of each device, the same in both places."""

    written: dict[str, int] = field(default_factory=dict)
    devices: dict[str, tuple[int, str]] = field(default_factory=dict)


def copy_log(
    source: sqlite3.Connection, target: sqlite3.Connection, progress: Callable[[str, int], None] = lambda *_: None
) -> Copied:
    """Return what was copied. source: a reading connection; target: a writing one into which no station logs.

    Raises:
        OperatorError: the target holds another log, the source is of an older version, or both do not come to hold the
            same.
        sqlite3.Error: one of the databases failed; begun again it goes on.
    """
    _check(source, target)
    done = Copied()
    for table in _order():
        _copy_table(source, target, table, done, progress)
    source.execute("BEGIN")  # one moment of a source that goes on
    try:
        for table in _order():
            _copy_table(source, target, table, done, progress)
        _copy_meta(source, target)
        done.devices = _compare(source, target)
    finally:
        source.execute("ROLLBACK")
    return done


def digest_devices(connection: sqlite3.Connection) -> dict[str, tuple[int, str]]:
    """Return the number of records of each device, and the SHA-256 over their epochs, numbers and digests."""
    found: dict[str, tuple[int, Any]] = {}
    after: Sequence[Any] = ()
    columns = ("device", "epoch", "seq", "digest")
    while rows := _stretch(connection, "records", columns, after, 20 * ROWS):
        for device, epoch, seq, digest in rows:
            number, hashed = found.get(device) or (0, hashlib.sha256())
            hashed.update(f"{epoch}:{seq}:{digest}\n".encode())
            found[device] = (number + 1, hashed)
        after = rows[-1][:3]
    return {device: (number, hashed.hexdigest()) for device, (number, hashed) in found.items()}


def _order() -> list[str]:
    rest = [name for name in tables() if name not in (*_FIRST, *_BY_TRIGGERS, "meta")]
    return [*_FIRST, *sorted(rest)]


def _check(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    if isinstance(source, sqlite3.Connection) and source.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        raise OperatorError("copy: the source is of an older version; start `cageclock-station run` on it once")
    (identity,) = source.execute("SELECT value FROM main.meta WHERE key = 'station_db'").fetchone()
    said = target.execute("SELECT value FROM meta WHERE key = ?", (COPIED_FROM,)).fetchone()
    if said is not None and said[0] == identity:
        return
    if said is not None or any(_holds_rows(target, name) for name in ("records", "quarantine", "subjects")):
        raise OperatorError(
            "copy: expected a target that is empty, or an unfinished copy of this source into which no station has "
            "logged yet; the target holds another log"
        )
    _transact(target, lambda: target.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (COPIED_FROM, identity)))


def _holds_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None


def _copy_table(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    table: str,
    done: Copied,
    progress: Callable[[str, int], None],
) -> None:
    made = source.execute("SELECT 1 FROM main.sqlite_master WHERE name = ?", (table,)).fetchone()
    key = tables()[table].key
    columns = (*key, *(name for name in tables()[table].columns if name not in (*key, *_NUMBERS)))
    if target.execute("SELECT 1 FROM main.sqlite_master WHERE name = ?", (table,)).fetchone() is None:
        if made is None or not _stretch(source, table, columns, (), 1):
            return
        _make_table(target, table)
    after: Sequence[Any] = ()
    while made is not None and (rows := _stretch(source, table, columns, after, ROWS)):
        last = rows[-1][: len(key)]
        _bring_in_line(target, table, columns, (after, last), rows, done)
        after = last
        progress(table, done.written.get(table, 0))
    _bring_in_line(target, table, columns, (after, ()), [], done)


def _make_table(target: sqlite3.Connection, table: str) -> None:
    """Make a table that SQLite has only from when it is used."""
    from station.registry.housing import HOUSING
    from station.store.quota import USAGE
    from station.store.retention import FILES
    from station.store.reviewed import REVIEWED_OUT, REVIEWS

    made = {"housing": HOUSING, "usage": USAGE, "retention_log": LOG, "retention_files": FILES}
    target.execute((made | {"reviews": REVIEWS, "reviewed_out": REVIEWED_OUT})[table])


def _stretch(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], after: Sequence[Any], most: int
) -> list[tuple[Any, ...]]:
    """Return the next rows behind a key, () for the first ones, in the order of the key."""
    where, values = _between(table, after, ())
    order = ", ".join(tables()[table].key)
    query = f"SELECT {', '.join(columns)} FROM main.{table}{where} ORDER BY {order} LIMIT ?"
    return [tuple(row) for row in connection.execute(query, (*values, most)).fetchall()]


def _between(table: str, after: Sequence[Any], last: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """Return a WHERE of the keys behind the one and up to the other, () for no bound, with its values."""
    names, parts = ", ".join(tables()[table].key), []
    for sign, bound in ((">", after), ("<=", last)):
        if bound:
            parts.append(f"({names}) {sign} ({', '.join('?' * len(bound))})")
    return (f" WHERE {' AND '.join(parts)}" if parts else ""), (*after, *last)


def _bring_in_line(
    target: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    span: tuple[Sequence[Any], Sequence[Any]],
    rows: Sequence[tuple[Any, ...]],
    done: Copied,
) -> None:
    """Have the target hold just these rows between two keys."""
    where, values = _between(table, *span)
    order = ", ".join(tables()[table].key)
    query = f"SELECT {', '.join(columns)} FROM main.{table}{where} ORDER BY {order}"
    there = [tuple(row) for row in target.execute(query, values).fetchall()]
    if there == list(rows):
        return

    def write() -> None:
        if there:
            target.execute(f"DELETE FROM {table}{where}", values)
        marks = ", ".join("?" * len(columns))
        target.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    _transact(target, write)
    done.written[table] = done.written.get(table, 0) + len(rows)


def _transact(target: sqlite3.Connection, work: Callable[[], object]) -> None:
    target.execute("BEGIN IMMEDIATE")
    try:
        target.execute("SAVEPOINT message")  # which lets rows wait for each other on PostgreSQL
        work()
        target.execute("RELEASE message")
        target.execute("COMMIT")
    except BaseException:
        if target.in_transaction:
            target.execute("ROLLBACK")
        raise


def _copy_meta(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy what people decided: zones, retired devices. The identity stays the target's own."""
    rows = [tuple(row) for row in source.execute("SELECT key, value FROM main.meta").fetchall()]
    marks = ", ".join("?" * len(_OWN_META))

    def write() -> None:
        target.execute(f"DELETE FROM meta WHERE key NOT IN ({marks})", _OWN_META)
        theirs = [row for row in rows if row[0] not in _OWN_META]
        target.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", theirs)

    _transact(target, write)


def _compare(source: sqlite3.Connection, target: sqlite3.Connection) -> dict[str, tuple[int, str]]:
    """Return the records and digest of each device.

    Raises:
        OperatorError: they are not the same in both places.
    """
    ours, theirs = digest_devices(source), digest_devices(target)
    wrong = sorted(device for device in {*ours, *theirs} if ours.get(device) != theirs.get(device))
    if wrong:
        raise OperatorError(f"copy: the records of {', '.join(wrong[:5])} differ in both places; begin the copy again")
    for table in _BY_TRIGGERS:
        columns = ", ".join(tables()[table].columns)
        query = f"SELECT {columns} FROM main.{table} ORDER BY {', '.join(tables()[table].key)}"
        one, two = ([tuple(row) for row in place.execute(query).fetchall()] for place in (source, target))
        if one != two:
            raise OperatorError(
                f"copy: the table {table} differs in both places; `verify` the source, then begin again"
            )
    return ours
