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
from station.page.tables import STEPS, VERSION
from station.transaction import transaction

DATABASE = "page.db"
BUSY_S = 10.0


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
        if found in STEPS:
            with transaction(connection):
                (found,) = connection.execute("PRAGMA user_version").fetchone()
                for version in range(found, VERSION):
                    for statement in STEPS[version].split(";\n"):
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
