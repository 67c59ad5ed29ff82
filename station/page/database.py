"""`page.db`: what the page itself keeps, apart from the log so that no page ever holds a lock that the log waits for.

Only the lab's table of animals stays in `station.db`, where the curves read it: the registry writes it, in one
transaction of a few rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edge.errors import DatabaseDamaged, OperatorError
from station.transaction import transaction

DATABASE = "page.db"
VERSION = 2
BUSY_S = 10.0

_TABLES = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, password TEXT NOT NULL, role TEXT NOT NULL,
    created_at REAL NOT NULL, disabled INTEGER NOT NULL DEFAULT 0
);
-- token: SHA-256 of what the link holds, here and in sessions: a copy of this file signs nobody in.
CREATE TABLE invitations (
    token TEXT PRIMARY KEY, role TEXT NOT NULL, made_by TEXT NOT NULL, made_at REAL NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE sessions (
    token TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE, csrf TEXT NOT NULL,
    begun_at REAL NOT NULL, seen_at REAL NOT NULL, flash TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;

-- Every change by a person: who, when, what, before and after. state: begun, done, failed.
CREATE TABLE changes (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, about TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL, state TEXT NOT NULL
);
CREATE INDEX changes_by_about ON changes (about, at);

-- Forms that were taken: a form that is sent again after a lost answer counts once.
CREATE TABLE sent (once TEXT PRIMARY KEY, at REAL NOT NULL, location TEXT NOT NULL) WITHOUT ROWID;

-- What people enter beside the table of animals. day: YYYY-MM-DD in the animal's room.
CREATE TABLE notes (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    day TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX notes_by_name ON notes (kind, name, day);
CREATE TABLE weighings (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, subject TEXT NOT NULL, day TEXT NOT NULL,
    grams REAL NOT NULL
);
CREATE INDEX weighings_by_subject ON weighings (subject, day);

-- Curves by day as the browser gets them; made again when a record or the table of animals has changed.
CREATE TABLE series (
    kind TEXT NOT NULL, name TEXT NOT NULL, made_of TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
"""

_ALARMS = """
-- One alarm for each device and kind while its trouble stands. state: active, acknowledged, cleared. decided_s: when a
-- person last decided about it; told_s: when it was last put into outgoing. Times are Unix seconds.
CREATE TABLE alarms (
    id INTEGER PRIMARY KEY, device TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL,
    began_s REAL NOT NULL, cleared_s REAL, assigned TEXT NOT NULL DEFAULT '', snoozed_until REAL,
    decided_s REAL NOT NULL DEFAULT 0, told_s REAL NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX alarms_open ON alarms (device, kind) WHERE cleared_s IS NULL;
CREATE INDEX alarms_cleared ON alarms (cleared_s);
CREATE TABLE alarm_history (
    id INTEGER PRIMARY KEY, alarm INTEGER NOT NULL REFERENCES alarms (id) ON DELETE CASCADE, at REAL NOT NULL,
    who TEXT NOT NULL, what TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX alarm_history_by_alarm ON alarm_history (alarm);

-- Where alarms are sent. address: with its password or key, shown on no page. quiet_from, quiet_until: HH:MM or ''.
CREATE TABLE channels (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, service TEXT NOT NULL, address TEXT NOT NULL,
    urgent_only INTEGER NOT NULL, quiet_from TEXT NOT NULL, quiet_until TEXT NOT NULL, group_s REAL NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1, sent_s REAL, failing_since REAL, said TEXT NOT NULL DEFAULT ''
);
-- What is to be sent, and was. alarm: NULL for a test. given_up: over a day nothing could be sent.
CREATE TABLE outgoing (
    id INTEGER PRIMARY KEY, channel INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    alarm INTEGER REFERENCES alarms (id) ON DELETE CASCADE, queued_s REAL NOT NULL, due_s REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, sent_s REAL, given_up INTEGER NOT NULL DEFAULT 0, said TEXT NOT NULL DEFAULT ''
);
CREATE INDEX outgoing_waiting ON outgoing (channel, due_s) WHERE sent_s IS NULL AND given_up = 0;

-- What people have to do by a day. kind: weigh, change_cage, other. about_kind: animal, cage or ''.
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, about_kind TEXT NOT NULL, about TEXT NOT NULL,
    due TEXT NOT NULL, every_days INTEGER NOT NULL DEFAULT 0, assigned TEXT NOT NULL DEFAULT '',
    made_s REAL NOT NULL, made_by TEXT NOT NULL, done_s REAL, done_by TEXT NOT NULL DEFAULT '',
    dropped INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX tasks_open ON tasks (due) WHERE done_s IS NULL;
"""
_STEPS = {0: _TABLES, 1: _ALARMS}
"""Of the version that is found: what brings it one further."""


def open_page_database(data: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode to `<data>/page.db`, made when absent, with named columns.

    Raises:
        OperatorError: the folder cannot be written, or another version of the program made the file.
        DatabaseDamaged: the file is no readable database.
    """
    path = data / DATABASE
    new = not path.exists()
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)
        if new:
            path.chmod(0o600)  # hashes of passwords are nobody else's
    except (OSError, sqlite3.OperationalError) as error:
        raise OperatorError(f"{data}: expected a folder that can be written, got {error}") from error
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found in _STEPS:
            with transaction(connection):
                (found,) = connection.execute("PRAGMA user_version").fetchone()
                for version in range(found, VERSION):
                    for statement in _STEPS[version].split(";\n"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version={version + 1}")
        elif found != VERSION:
            raise OperatorError(f"{path}: expected version {VERSION}, got {found}; use the program that made it")
    except sqlite3.OperationalError as error:
        connection.close()
        raise OperatorError(f"{path}: cannot be opened for writing: {error}") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DatabaseDamaged(f"{path}: {error}; move it aside: a new one begins without accounts and notes") from error
    except OperatorError:
        connection.close()
        raise
    return connection


@contextmanager
def page_database(data: Path) -> Iterator[sqlite3.Connection]:
    """Hand out a connection for one piece of work."""
    with closing(open_page_database(data)) as connection:
        yield connection
