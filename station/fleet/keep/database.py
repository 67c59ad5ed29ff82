"""`fleet.db`: queue, state and history of what is sent to devices, apart from the log and from the page.

Its writers are the fleet process and the commands (the page, too), each in short transactions, so that no rollout ever
holds a lock that the log waits for. Nothing in `history` is changed or deleted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edge.errors import DatabaseDamaged, OperatorError, StorageError
from station.transaction import transaction

DATABASE = "fleet.db"
VERSION = 2
BUSY_S = 10.0

_TABLES = """
-- One fleet process at a time: who holds it until when, Unix seconds.
CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, what TEXT NOT NULL, until_s REAL NOT NULL
);

-- Who did what and what became of it, for ever. who: a person's account, or `fleet`. rollout, device: 0 and '' of none.
CREATE TABLE history (
    id INTEGER PRIMARY KEY, at_s REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, rollout INTEGER NOT NULL,
    device TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX history_by_rollout ON history (rollout, id);
CREATE INDEX history_by_device ON history (device, id);

-- Bundle files that lie in the folder `bundles`. description: as edge.contract.bundle.description says it, JSON.
CREATE TABLE bundles (
    sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, channel TEXT NOT NULL, release INTEGER NOT NULL,
    model_version TEXT NOT NULL, file_sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, added_s REAL NOT NULL,
    added_by TEXT NOT NULL, signatures TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE rollouts (
    number INTEGER PRIMARY KEY, plan TEXT NOT NULL, status TEXT NOT NULL, stage TEXT NOT NULL, ring INTEGER NOT NULL,
    reason TEXT NOT NULL, stage_since_s REAL, made_s REAL NOT NULL, made_by TEXT NOT NULL
);
CREATE TABLE members (
    rollout INTEGER NOT NULL, device TEXT NOT NULL, unit TEXT NOT NULL, ring INTEGER NOT NULL, phase TEXT NOT NULL,
    failed INTEGER NOT NULL, reason TEXT NOT NULL, before TEXT, known TEXT NOT NULL, asked_s REAL, good_s REAL,
    PRIMARY KEY (rollout, device)
) WITHOUT ROWID;
CREATE TABLE approvals (
    rollout INTEGER NOT NULL, who TEXT NOT NULL, at_s REAL NOT NULL, PRIMARY KEY (rollout, who)
) WITHOUT ROWID;
CREATE TABLE comparisons (rollout INTEGER PRIMARY KEY, at_s REAL NOT NULL, body TEXT NOT NULL);

-- What the devices said last, and since when they are connected or not.
CREATE TABLE devices (
    device TEXT PRIMARY KEY, online INTEGER NOT NULL DEFAULT 0, since_s REAL, reported BLOB, reported_s REAL,
    problems TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;
-- What a device refused or went back from: it is not asked again for that.
CREATE TABLE refusals (
    device TEXT NOT NULL, sha256 TEXT NOT NULL, at_s REAL NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (device, sha256)
) WITHOUT ROWID;
-- What was published last, retained. what: desired or trust.
CREATE TABLE said (
    device TEXT NOT NULL, what TEXT NOT NULL, payload BLOB NOT NULL, at_s REAL NOT NULL, PRIMARY KEY (device, what)
) WITHOUT ROWID;

-- What people decided about devices. sha256 '': whatever it runs.
CREATE TABLE pins (
    device TEXT PRIMARY KEY, sha256 TEXT NOT NULL, reason TEXT NOT NULL, who TEXT NOT NULL, at_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE groups (
    kind TEXT NOT NULL, name TEXT NOT NULL, device TEXT NOT NULL, PRIMARY KEY (kind, device)
) WITHOUT ROWID;
CREATE TABLE studies (name TEXT PRIMARY KEY, lead TEXT NOT NULL, locked INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE study_approvals (
    rollout INTEGER NOT NULL, study TEXT NOT NULL, who TEXT NOT NULL, at_s REAL NOT NULL, PRIMARY KEY (rollout, study)
) WITHOUT ROWID;

-- Requests to devices. state: queued, sent, accepted, done, refused, unanswered, expired.
CREATE TABLE commands (
    id TEXT PRIMARY KEY, device TEXT NOT NULL, name TEXT NOT NULL, payload TEXT NOT NULL, who TEXT NOT NULL,
    made_s REAL NOT NULL, state TEXT NOT NULL, text TEXT NOT NULL, changed_s REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX commands_by_state ON commands (state);
CREATE INDEX commands_by_device ON commands (device, made_s);

CREATE TABLE trust (
    one INTEGER PRIMARY KEY CHECK (one = 1), chain BLOB NOT NULL, who TEXT NOT NULL, at_s REAL NOT NULL
);

-- When a device was first heard to hold a trust statement.
CREATE TABLE trust_held (
    device TEXT NOT NULL, version INTEGER NOT NULL, at_s REAL NOT NULL, PRIMARY KEY (device, version)
) WITHOUT ROWID;

-- What a person must look at. cleared_s: NULL while it lasts.
CREATE TABLE alarms (
    id INTEGER PRIMARY KEY, device TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, since_s REAL NOT NULL,
    cleared_s REAL
);
CREATE INDEX alarms_by_device ON alarms (device, kind)
"""
_MIGRATIONS = {
    2: (
        "CREATE TABLE trust_held (device TEXT NOT NULL, version INTEGER NOT NULL, at_s REAL NOT NULL, "
        "PRIMARY KEY (device, version)) WITHOUT ROWID",
    ),
}
"""What makes a file of the version before one of this version."""


def open_fleet(data: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode to `<data>/fleet.db`, made when absent, with named columns; FULL sync.

    Raises:
        OperatorError: there is no such folder, it cannot be written, or another version of the program made the file.
        StorageError: it cannot be used just now: another program holds it, or the disk is full.
        DatabaseDamaged: the file is no readable database.
    """
    path = data / DATABASE
    if not data.is_dir():
        raise OperatorError(f"{data}: expected the folder of a station, found none; `cageclock-station run` makes it")
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
    except sqlite3.OperationalError as error:
        raise OperatorError(f"{data}: expected a folder that can be written, got {error}") from error
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        _create_or_check(connection, path)
    except sqlite3.OperationalError as error:
        connection.close()
        raise StorageError(f"{path}: cannot be opened for writing: {error}") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DatabaseDamaged(
            f"{path}: {error}; move it aside: devices keep what they run, rollouts begin anew"
        ) from error
    except OperatorError:
        connection.close()
        raise
    return connection


def _create_or_check(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found == 0:
        with transaction(connection):
            if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in _TABLES.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={VERSION}")
    elif found < VERSION:
        with transaction(connection):
            (found,) = connection.execute("PRAGMA user_version").fetchone()  # another process may have done it
            for version in range(found + 1, VERSION + 1):
                for statement in _MIGRATIONS[version]:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={VERSION}")
    elif found != VERSION:
        raise OperatorError(f"{path}: expected version {VERSION}, got {found}; use the program that made it")


@contextmanager
def fleet_database(data: Path) -> Iterator[sqlite3.Connection]:
    """Hand out a connection for one piece of work."""
    with closing(open_fleet(data)) as connection:
        yield connection
