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

DATABASE = "page.db"
VERSION = 1
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
        if found == 0:
            with transaction(connection):
                if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                    for statement in _TABLES.split(";\n"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version={VERSION}")
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


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do what the block does whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
