"""The station's database: how it is made, opened and brought up to date."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import cast
from urllib.parse import quote

from edge.errors import DatabaseDamaged, OperatorError
from station.store.openable import why_not_open
from station.store.postgres.address import Address
from station.store.postgres.place import FILE, find_address
from station.store.readable_rows import hide_unsound_rows
from station.store.tables import DAYS, EPOCHS, SUMS, TABLES, VERSION
from station.store.upgrade import SHOWN_AS_NEW, STEPS, Progress, bring_up_to_date, show_half_moved

DATABASE = "station.db"
BUSY_S = 10.0
CACHE_KIB = 64 << 10
"""Of the writer: the ends of some hundred devices' sequences in a dozen trees, which 2 MB read again each time."""
MOST_WAL_BYTES = 64 << 20
"""Of the -wal file once everything in it is in the database: what a long reader made it grow by is given back."""


def open_for_writing(data: Path, progress: Progress = lambda _: None) -> sqlite3.Connection:
    """Return a connection in autocommit mode to `<data>/station.db`, made when absent; WAL, synchronous=FULL.

    A database of an older version is brought up to date in place, which `progress` hears of. The caller begins and
    ends transactions itself.

    Raises:
        OperatorError: the folder cannot be used, or another version of the program made the database.
        StorageError: it cannot be used just now: another program holds it, or the disk is full or read-only.
        DatabaseDamaged: the file is no readable database.
    """
    address = _address(data)
    if address is not None:
        return on_postgres(address, reading=False)
    try:
        data.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(data / DATABASE, isolation_level=None, timeout=BUSY_S)
    except (OSError, sqlite3.OperationalError) as error:
        raise why_not_open(data, error) from error
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit={MOST_WAL_BYTES}")
        _create_or_check(connection, data, progress)
    except sqlite3.OperationalError as error:
        connection.close()
        raise why_not_open(data, error) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        connection.close()
        raise DatabaseDamaged(
            f"{data / DATABASE}: {error}; move it aside and start again: the devices still hold their last days"
        ) from error
    except OperatorError:
        connection.close()
        raise
    return connection


def open_for_reading(data: Path) -> sqlite3.Connection:
    """Return a read-only connection with named columns, also for a user who may only read the folder.

    It passes over what no reader can use (see `station.store.readable_rows`).

    Raises:
        OperatorError: there is no station database in the folder, or this user cannot read it.
        DatabaseDamaged: the file is no readable database.
    """
    address = _address(data)
    if address is not None:
        return on_postgres(address, reading=True)
    path = data / DATABASE
    try:
        if not path.is_file():
            raise OperatorError(f"{path}: expected a station's database, found none; `cageclock-station run` makes it")
        with path.open("rb"):
            pass
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read: {error.strerror}; ask its owner for the right to read") from error
    try:
        return _read(path, data, "mode=ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise DatabaseDamaged(f"{path}: {error}") from error
        return _read_where_nothing_may_be_written(path, data)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter: of the names of its tables
        raise DatabaseDamaged(f"{path}: {error}") from error


def has_log(data: Path) -> bool:
    """Return whether a station has logged into the folder, or into the database that it names.

    Raises:
        OperatorError: what the folder says of its database cannot be used.
    """
    return (data / DATABASE).is_file() or _address(data) is not None


def _address(data: Path) -> Address | None:
    """Return where the log of a folder lies on PostgreSQL, None where it is on SQLite, or there is none yet."""
    address = find_address(data)
    if address is not None and (data / DATABASE).exists():
        raise OperatorError(
            f"{data}: expected one log, found {DATABASE} and {FILE}, which names {address.shown}; move aside the one "
            "that is not to be used (`cageclock-station copy` moves a log from one to the other)"
        )
    return address


def on_postgres(address: Address, *, reading: bool) -> sqlite3.Connection:
    """Return a connection to a log on PostgreSQL, which takes the same statements.

    Raises:
        OperatorError: a person must act: the address, a right, a version, or psycopg is not installed.
        StorageError: the server cannot be used just now.
    """
    try:
        from station.store.postgres.opening import open_log
    except ModuleNotFoundError as error:
        text = f"{address.shown}: {error.name} is not installed: pip install 'cageclock[postgres]'"
        raise OperatorError(text) from error
    return cast(sqlite3.Connection, open_log(address, reading=reading))


def check_version(connection: sqlite3.Connection, data: Path) -> None:
    """Raise OperatorError unless this program knows the database's form, or a form that it can bring up to date."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found != VERSION and found not in STEPS:
        raise OperatorError(f"{data / DATABASE}: expected version {VERSION}, got {found}; use the program that made it")


def _read_where_nothing_may_be_written(path: Path, data: Path) -> sqlite3.Connection:
    """Return a connection that needs no files of its own beside the database, as reading a WAL database else does.

    A clean stop leaves everything in the one file, which then nobody changes. After a hard stop the newest records are
    in the -wal file, which only who may write can put in order.
    """
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size > 0:
        raise OperatorError(
            f"{data}: this user may only read the folder, and the station's last stop was not a clean one; start "
            "`cageclock-station run` or run one `cageclock-station status` as its owner, then try again"
        )
    try:
        return _read(path, data, "mode=ro&immutable=1")
    except sqlite3.DatabaseError as error:
        raise DatabaseDamaged(f"{path}: {error}") from error


def _read(path: Path, data: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(path))}?{options}", uri=True, timeout=BUSY_S)
    try:
        connection.row_factory = sqlite3.Row
        check_version(connection, data)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for older in range(version, VERSION):
            connection.executescript(SHOWN_AS_NEW[older])
        if version == VERSION:
            show_half_moved(connection)
        hide_unsound_rows(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_or_check(connection: sqlite3.Connection, data: Path, progress: Progress) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    if found or not empty:
        check_version(connection, data)
        bring_up_to_date(connection, progress)
        return
    # One transaction: a crash in the middle leaves an empty file, not half a database.
    identity = secrets.token_hex(16)
    connection.executescript(
        f"BEGIN IMMEDIATE;{TABLES}{EPOCHS}{SUMS}{DAYS};INSERT INTO meta VALUES ('station_db', '{identity}');"
        f"PRAGMA user_version={VERSION};COMMIT;"
    )
