"""A database of an earlier version: how it is brought up to date in place, and how it is read before that."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress

from edge.contract.ranges import RangeSet
from station.store.account import less, read_ranges
from station.store.record_rows import INSERT, record_row
from station.store.tables import DATED_AHEAD, DAYS, DAYS_TABLE, EPOCHS, RECORDS, SUMS

Step = Callable[[sqlite3.Connection], None]
Progress = Callable[[str], None]
"""Takes a sentence on how far it is, after each part."""
SAY_EVERY_S = 5.0
OLD_RECORDS = "records_of_version_4"
_NEXT = f"SELECT * FROM {OLD_RECORDS} ORDER BY device, epoch, seq LIMIT 2000"


def bring_up_to_date(connection: sqlite3.Connection, progress: Progress, say_every_s: float = SAY_EVERY_S) -> None:
    """Take each step in a transaction of its own: what is killed in the middle goes on next time.

    A step over millions of rows takes minutes, in which whoever waits must hear that it goes on.
    """
    said_s = time.monotonic()

    def go_on() -> int:
        nonlocal said_s
        if time.monotonic() - said_s >= say_every_s:
            said_s = time.monotonic()
            progress("bringing the database up to date")
        return 0

    connection.set_progress_handler(go_on, 100_000)
    try:
        _take_steps(connection)
        _move_records(connection, progress)
    finally:
        connection.set_progress_handler(None, 0)


def _take_steps(connection: sqlite3.Connection) -> None:
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in STEPS:  # done, perhaps by another program meanwhile
                connection.execute("ROLLBACK")
                return
            STEPS[version](connection)
            connection.execute(f"PRAGMA user_version={version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


def _move_records(connection: sqlite3.Connection, progress: Progress) -> None:
    """Pack the records of version 4, some thousand a transaction; each is in one of the two tables at any time.

    What a moved row occupied is free for the next ones, so that the file does not grow.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (OLD_RECORDS,)).fetchone():
        return
    moved = 0
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            rows = connection.execute(_NEXT).fetchall()
            if not rows:
                connection.execute(f"DROP TABLE {OLD_RECORDS}")
                connection.execute("COMMIT")
                return
            connection.executemany(INSERT, [record_row(*row) for row in rows])
            last = rows[-1][:3]
            connection.execute(f"DELETE FROM {OLD_RECORDS} WHERE (device, epoch, seq) <= (?, ?, ?)", last)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        moved += len(rows)
        progress(f"bringing the database up to date: {moved} records moved")


def show_half_moved(connection: sqlite3.Connection) -> None:
    """Have a reader see the records that an interrupted upgrade has left behind, too."""
    if connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = ?", (OLD_RECORDS,)).fetchone():
        connection.execute(
            f"CREATE TEMP VIEW records AS SELECT * FROM main.records UNION ALL SELECT 0, *, 0 FROM main.{OLD_RECORDS}"
        )


def _run(statements: str) -> Step:
    """Return a step of plain statements."""

    def step(connection: sqlite3.Connection) -> None:
        for statement in split_statements(f"{statements};"):
            connection.execute(statement)

    return step


def _tell_losses_apart(connection: sqlite3.Connection) -> None:
    """Take what is lost out of what came, so that another copy of a card is asked for it.

    A number that stays among the lost though it came is asked for once more; that costs one message.
    """
    for column in ("lost", "lost_thumbnails"):
        connection.execute(f"ALTER TABLE accounts ADD COLUMN {column} TEXT NOT NULL DEFAULT '[]'")
    gone: dict[tuple[str, str], tuple[RangeSet, RangeSet]] = {}
    rows = connection.execute("SELECT device, epoch, first_seq, last_seq, what FROM losses").fetchall()
    for device, epoch, first, last, what in rows:
        lost, lost_thumbnails = gone.setdefault((device, epoch), (RangeSet(), RangeSet()))
        lost_thumbnails.add(first, last)
        if what == "record":
            lost.add(first, last)
    for key, (lost, lost_thumbnails) in gone.items():
        found = connection.execute("SELECT records, thumbnails FROM accounts WHERE device = ? AND epoch = ?", key)
        row = found.fetchone()
        if row is None:
            continue
        records, thumbnails = (less(read_ranges(text), of) for text, of in zip(row, gone[key], strict=True))
        for query, came in ((_STORED, records), (_PICTURED, thumbnails)):
            for (seq,) in connection.execute(query, {"device": key[0], "epoch": key[1]}).fetchall():
                came.add(seq)
        values = [json.dumps(list(one)) for one in (records, thumbnails, lost, lost_thumbnails)]
        connection.execute(
            "UPDATE accounts SET records = ?, thumbnails = ?, lost = ?, lost_thumbnails = ? "
            "WHERE device = ? AND epoch = ?",
            (*values, *key),
        )


_STORED = (
    "SELECT seq FROM records WHERE device = :device AND epoch = :epoch UNION SELECT seq FROM quarantine "
    "WHERE device = :device AND epoch = :epoch AND stream IN ('reading', 'record')"
)
_PICTURED = (
    "SELECT seq FROM thumbnails WHERE device = :device AND epoch = :epoch UNION SELECT seq FROM records r "
    "WHERE device = :device AND epoch = :epoch AND NOT EXISTS (SELECT 1 FROM readings WHERE device = r.device "
    "AND epoch = r.epoch AND seq = r.seq AND thumbnail_sha256 IS NOT NULL)"
)


def _add_sums(connection: sqlite3.Connection) -> None:
    """Count what is there; what is moved later is counted by the triggers."""
    for statement in split_statements(SUMS):
        connection.execute(statement)
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (OLD_RECORDS,)).fetchone()
    records = OLD_RECORDS if there else "records"
    connection.execute(f"INSERT INTO dated_ahead {DATED_AHEAD.replace('records', records)}")
    connection.execute("INSERT INTO totals (device, records) SELECT device, count(*) FROM records GROUP BY device")
    connection.execute(
        "INSERT INTO totals (device, thumbnails) SELECT device, count(*) FROM thumbnails WHERE true GROUP BY device "
        "ON CONFLICT DO UPDATE SET thumbnails = excluded.thumbnails"
    )


def split_statements(text: str) -> list[str]:
    """Return the statements of a script; a trigger has semicolons of its own."""
    found, statement = [], ""
    for part in text.split(";")[:-1]:
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            found.append(statement)
            statement = ""
    return found


STEPS: dict[int, Step] = {
    1: _run(
        "ALTER TABLE subjects ADD COLUMN date_of_arrival TEXT; ALTER TABLE subjects ADD COLUMN date_of_departure TEXT;"
    ),
    2: _run("DROP VIEW timed_readings; DROP VIEW timed_events; DROP VIEW best_correction;" + EPOCHS),
    3: _tell_losses_apart,
    4: _run(f"ALTER TABLE records RENAME TO {OLD_RECORDS};{RECORDS}"),
    5: _add_sums,
    6: _run(f"{DAYS};INSERT INTO days_due (device, day) SELECT DISTINCT device, '' FROM readings"),
}
"""From each version to the next."""

SHOWN_AS_NEW = {
    1: "CREATE TEMP VIEW subjects AS SELECT *, NULL AS date_of_arrival, NULL AS date_of_departure FROM main.subjects;",
    2: "CREATE TEMP VIEW epochs AS SELECT '' AS device, '' AS epoch, '' AS publisher, 0 AS starts, '' AS before, "
    "0 AS before_last, '' AS reason, 0 AS settled WHERE 0;",
    3: "CREATE TEMP VIEW accounts AS SELECT *, '[]' AS lost, '[]' AS lost_thumbnails FROM main.accounts;",
    4: "CREATE TEMP VIEW records AS SELECT 0 AS id, *, 0 AS seal FROM main.records;",
    5: f"CREATE TEMP VIEW dated_ahead AS {DATED_AHEAD};"
    "CREATE TEMP VIEW totals AS SELECT device, sum(records) AS records, sum(thumbnails) AS thumbnails FROM ("
    "SELECT device, count(*) AS records, 0 AS thumbnails FROM records GROUP BY device "
    "UNION ALL SELECT device, 0, count(*) FROM thumbnails GROUP BY device) GROUP BY device;",
    6: f"{DAYS_TABLE.replace('CREATE TABLE', 'CREATE TEMP TABLE')}"
    "INSERT INTO days_due (device, day) SELECT DISTINCT device, '' FROM main.readings;",
}
"""What lets the reading commands read an older version that only `open_for_writing` may bring up to date."""
