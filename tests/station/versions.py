"""Station databases as earlier versions of the program left them behind."""

from __future__ import annotations

import json
import sqlite3

from station.store.account import read_ranges, union
from station.store.body import unpack_body

_VIEWS = """
DROP VIEW timed_readings; DROP VIEW timed_events; DROP VIEW best_correction; DROP TABLE epochs;
CREATE VIEW best_correction AS
    SELECT device, of_boot_id, epoch_offset_s, uncertainty_s FROM (
        SELECT *, row_number() OVER (
            PARTITION BY device, of_boot_id ORDER BY uncertainty_s, epoch DESC, seq DESC) AS place
        FROM clock_corrections) WHERE place = 1;
CREATE VIEW timed_readings AS
    SELECT r.*,
        CASE WHEN r.clock_synced = 1 OR c.epoch_offset_s IS NULL THEN r.captured_s
             ELSE r.monotonic_s + c.epoch_offset_s END AS at_s,
        CASE WHEN r.clock_synced = 1 THEN 'synchronised' WHEN c.epoch_offset_s IS NULL THEN 'unsynchronised'
             ELSE 'corrected' END AS time_basis
    FROM readings r LEFT JOIN best_correction c ON c.device = r.device AND c.of_boot_id = r.boot_id;
CREATE VIEW timed_events AS
    SELECT e.*,
        CASE WHEN e.clock_synced = 1 OR c.epoch_offset_s IS NULL THEN e.recorded_s
             ELSE e.monotonic_s + c.epoch_offset_s END AS at_s,
        CASE WHEN e.clock_synced = 1 THEN 'synchronised' WHEN c.epoch_offset_s IS NULL THEN 'unsynchronised'
             ELSE 'corrected' END AS time_basis
    FROM events e LEFT JOIN best_correction c ON c.device = e.device AND c.of_boot_id = e.boot_id;
PRAGMA user_version=2;
"""


_RECORDS_4 = """
CREATE TABLE old (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    digest TEXT NOT NULL, schema TEXT NOT NULL, body BLOB NOT NULL,
    received_at REAL NOT NULL, replayed INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID;
INSERT INTO old SELECT device, epoch, seq, digest, schema, unpacked(body), received_at, replayed FROM records;
DROP TABLE records;
ALTER TABLE old RENAME TO records;
PRAGMA user_version=4;
"""


_DAYS_6 = """
DROP TABLE days; DROP TABLE days_due; DROP INDEX readings_by_boot;
PRAGMA user_version=6;
"""


_SUMS_5 = """
DROP INDEX readings_not_synchronised; DROP INDEX readings_unsound; DROP INDEX animals_unsound;
DROP TRIGGER records_INSERT; DROP TRIGGER records_DELETE;
DROP TRIGGER readings_INSERT; DROP TRIGGER readings_DELETE; DROP TABLE dated_ahead;
DROP TRIGGER thumbnails_INSERT; DROP TRIGGER thumbnails_DELETE; DROP TABLE totals;
PRAGMA user_version=5;
"""


def as_version_6(connection: sqlite3.Connection) -> None:
    """Make an open database of this version what version 6 left behind: no days."""
    connection.executescript(_DAYS_6)


def as_version_5(connection: sqlite3.Connection) -> None:
    """Make an open database of this version what version 5 left behind: nothing was counted."""
    as_version_6(connection)
    connection.executescript(_SUMS_5)


def as_version_4(connection: sqlite3.Connection) -> None:
    """Make an open database of this version what version 4 left behind: bodies as they came."""
    as_version_5(connection)
    connection.create_function("unpacked", 1, unpack_body)
    connection.executescript(_RECORDS_4)


def as_version_3(connection: sqlite3.Connection) -> None:
    """Make an open database of this version what version 3 left behind: what was lost counted as what came."""
    as_version_4(connection)
    query = "SELECT device, epoch, records, lost, thumbnails, lost_thumbnails FROM accounts"
    for device, epoch, *row in connection.execute(query).fetchall():
        records, lost, thumbnails, lost_thumbnails = map(read_ranges, row)
        both = [json.dumps(list(one)) for one in (union(records, lost), union(thumbnails, lost_thumbnails))]
        key = (device, epoch)
        connection.execute(
            "UPDATE accounts SET records = ?, thumbnails = ? WHERE device = ? AND epoch = ?", [*both, *key]
        )
    connection.executescript(
        "ALTER TABLE accounts DROP COLUMN lost; ALTER TABLE accounts DROP COLUMN lost_thumbnails;PRAGMA user_version=3;"
    )


def as_version_2(connection: sqlite3.Connection) -> None:
    """Make an open database of this version what version 2 left behind."""
    as_version_3(connection)
    connection.executescript(_VIEWS)
