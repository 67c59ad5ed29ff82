"""The station's database: its tables, its views, and how it is opened."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from edge.errors import DatabaseDamaged, OperatorError
from station.store.openable import why_not_open
from station.store.readable_rows import hide_unsound_rows

DATABASE = "station.db"
VERSION = 3
BUSY_S = 10.0

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Every record once, byte for byte as the device stored it. Never updated, never deleted.
CREATE TABLE records (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    digest TEXT NOT NULL, schema TEXT NOT NULL, body BLOB NOT NULL,
    received_at REAL NOT NULL, replayed INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID;

-- The same readings as columns, for queries. Times are Unix seconds, UTC.
CREATE TABLE readings (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    cage TEXT NOT NULL, captured_s REAL NOT NULL, boot_id TEXT NOT NULL, monotonic_s REAL NOT NULL,
    clock_synced INTEGER NOT NULL, light TEXT NOT NULL, zeitgeber_h REAL, trigger TEXT NOT NULL,
    outcome TEXT NOT NULL, detail TEXT NOT NULL, accepted INTEGER NOT NULL, age_days REAL,
    expected_animals INTEGER NOT NULL, found_animals INTEGER NOT NULL, strain TEXT, frames INTEGER NOT NULL,
    px_per_mm REAL, quality_flags TEXT NOT NULL, exposure_us REAL, analogue_gain REAL,
    model_name TEXT, model_version TEXT, model_sha256 TEXT, model_notice TEXT,
    thumbnail_sha256 TEXT, config_sha256 TEXT NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID;
CREATE INDEX readings_by_time ON readings (device, captured_s);

CREATE TABLE animals (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL,
    subject TEXT, identity_method TEXT NOT NULL, identity_confidence REAL,
    accepted INTEGER NOT NULL, reject_reasons TEXT NOT NULL, age_days REAL,
    estimate_days REAL, sd_days REAL, interval_low_days REAL, interval_high_days REAL, coverage REAL,
    domain_score REAL, centre_likelihood REAL NOT NULL,
    PRIMARY KEY (device, epoch, seq, number)
) WITHOUT ROWID;
CREATE INDEX animals_by_subject ON animals (subject);

CREATE TABLE events (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    recorded_s REAL NOT NULL, boot_id TEXT NOT NULL, monotonic_s REAL NOT NULL, clock_synced INTEGER NOT NULL,
    code TEXT NOT NULL, text TEXT NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID;

CREATE TABLE clock_corrections (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    of_boot_id TEXT NOT NULL, offset_s REAL NOT NULL, epoch_offset_s REAL NOT NULL, uncertainty_s REAL NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID;
CREATE INDEX clock_corrections_by_boot ON clock_corrections (device, of_boot_id);

-- Ranges that are gone from the device, as it said itself (a `lost` record) or as first_held implied.
CREATE TABLE losses (
    device TEXT NOT NULL, epoch TEXT NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    what TEXT NOT NULL, reason TEXT NOT NULL, recorded_at REAL NOT NULL,
    PRIMARY KEY (device, epoch, first_seq, last_seq, what, reason)
) WITHOUT ROWID;

-- Another content under a key that is already taken. Both are kept; a person decides.
CREATE TABLE conflicts (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, what TEXT NOT NULL, digest TEXT NOT NULL,
    content BLOB NOT NULL, received_at REAL NOT NULL, times INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (device, epoch, seq, what, digest)
) WITHOUT ROWID;

-- What could not be read, with the reason. epoch '' and seq 0 where not even the head could be.
CREATE TABLE quarantine (
    device TEXT NOT NULL, stream TEXT NOT NULL, digest TEXT NOT NULL,
    epoch TEXT NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, bytes INTEGER NOT NULL, content BLOB NOT NULL,
    received_at REAL NOT NULL, times INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (device, stream, digest, epoch, seq)
);

-- Pictures; `path` is relative to the data folder.
CREATE TABLE thumbnails (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    path TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, received_at REAL NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID;

-- Per sequence: which numbers are accounted for, as JSON lists of inclusive pairs.
CREATE TABLE accounts (
    device TEXT NOT NULL, epoch TEXT NOT NULL,
    records TEXT NOT NULL, thumbnails TEXT NOT NULL, received_at REAL NOT NULL,
    PRIMARY KEY (device, epoch)
) WITHOUT ROWID;

-- What each device last said of itself: availability, info, health.
CREATE TABLE device_state (
    device TEXT NOT NULL, what TEXT NOT NULL, body BLOB NOT NULL, received_at REAL NOT NULL,
    PRIMARY KEY (device, what)
) WITHOUT ROWID;

-- The lab's own table of animals; cage and device say where an unnamed animal of a single-housed cage belongs, the
-- dates (YYYY-MM-DD) from when to when.
CREATE TABLE subjects (
    subject TEXT PRIMARY KEY, strain TEXT, sex TEXT, date_of_birth TEXT, cage TEXT, device TEXT,
    date_of_death TEXT, arm TEXT, notes TEXT, date_of_arrival TEXT, date_of_departure TEXT
) WITHOUT ROWID;

"""

_EPOCHS = """
-- How epochs follow each other, as their first records and the devices' info say. starts: the start counter, 0 where
-- unknown. settled: nothing of what came before is held by the device any more, and what is missing is in losses.
CREATE TABLE epochs (
    device TEXT NOT NULL, epoch TEXT NOT NULL, publisher TEXT NOT NULL, starts INTEGER NOT NULL,
    before TEXT NOT NULL, before_last INTEGER NOT NULL, reason TEXT NOT NULL, settled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, epoch)
) WITHOUT ROWID;
CREATE INDEX epochs_by_predecessor ON epochs (device, before);

-- A record is never edited: an unsynchronised label is corrected here, at reading time.
CREATE VIEW best_correction AS
    SELECT device, of_boot_id, epoch_offset_s, uncertainty_s FROM (
        SELECT c.*, row_number() OVER (
            PARTITION BY c.device, of_boot_id ORDER BY uncertainty_s, coalesce(e.starts, 0) DESC, seq DESC) AS place
        FROM clock_corrections c LEFT JOIN epochs e ON e.device = c.device AND e.epoch = c.epoch) WHERE place = 1;
CREATE VIEW timed_readings AS
    SELECT r.*,
        CASE WHEN r.clock_synced = 1 OR c.epoch_offset_s IS NULL THEN r.captured_s
             ELSE r.monotonic_s + c.epoch_offset_s END AS at_s,
        CASE WHEN r.clock_synced = 1 THEN 'synchronised' WHEN c.epoch_offset_s IS NULL THEN 'unsynchronised'
             ELSE 'corrected' END AS time_basis,
        coalesce(e.starts, 0) AS starts
    FROM readings r LEFT JOIN best_correction c ON c.device = r.device AND c.of_boot_id = r.boot_id
    LEFT JOIN epochs e ON e.device = r.device AND e.epoch = r.epoch;
CREATE VIEW timed_events AS
    SELECT v.*,
        CASE WHEN v.clock_synced = 1 OR c.epoch_offset_s IS NULL THEN v.recorded_s
             ELSE v.monotonic_s + c.epoch_offset_s END AS at_s,
        CASE WHEN v.clock_synced = 1 THEN 'synchronised' WHEN c.epoch_offset_s IS NULL THEN 'unsynchronised'
             ELSE 'corrected' END AS time_basis,
        coalesce(e.starts, 0) AS starts
    FROM events v LEFT JOIN best_correction c ON c.device = v.device AND c.of_boot_id = v.boot_id
    LEFT JOIN epochs e ON e.device = v.device AND e.epoch = v.epoch;
"""

_STEPS = {
    1: "ALTER TABLE subjects ADD COLUMN date_of_arrival TEXT; ALTER TABLE subjects ADD COLUMN date_of_departure TEXT;",
    2: "DROP VIEW timed_readings; DROP VIEW timed_events; DROP VIEW best_correction;" + _EPOCHS,
}
"""From each version to the next, each in a transaction of its own: what is killed in the middle goes on next time."""

_SHOWN_AS_NEW = {
    1: "CREATE TEMP VIEW subjects AS SELECT *, NULL AS date_of_arrival, NULL AS date_of_departure FROM main.subjects;",
    2: "CREATE TEMP VIEW epochs AS SELECT '' AS device, '' AS epoch, '' AS publisher, 0 AS starts, '' AS before, "
    "0 AS before_last, '' AS reason, 0 AS settled WHERE 0;",
}
"""What lets the reading commands read an older version that only `open_for_writing` may bring up to date."""


def open_for_writing(data: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode to `<data>/station.db`, made when absent; WAL, synchronous=FULL.

    A database of an older version is brought up to date in place. The caller begins and ends transactions itself.

    Raises:
        OperatorError: the folder cannot be used, or another version of the program made the database.
        StorageError: it cannot be used just now: another program holds it, or the disk is full or read-only.
        DatabaseDamaged: the file is no readable database.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(data / DATABASE, isolation_level=None, timeout=BUSY_S)
    except (OSError, sqlite3.OperationalError) as error:
        raise why_not_open(data, error) from error
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        _create_or_check(connection, data)
    except sqlite3.OperationalError as error:
        connection.close()
        raise why_not_open(data, error) from error
    except sqlite3.DatabaseError as error:
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
    except sqlite3.DatabaseError as error:
        raise DatabaseDamaged(f"{path}: {error}") from error


def check_version(connection: sqlite3.Connection, data: Path) -> None:
    """Raise OperatorError unless this program knows the database's form, or a form that it can bring up to date."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found != VERSION and found not in _STEPS:
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
            connection.executescript(_SHOWN_AS_NEW[older])
        hide_unsound_rows(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_or_check(connection: sqlite3.Connection, data: Path) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    if found or not empty:
        check_version(connection, data)
        _bring_up_to_date(connection)
        return
    # One transaction: a crash in the middle leaves an empty file, not half a database.
    identity = secrets.token_hex(16)
    connection.executescript(
        f"BEGIN IMMEDIATE;{_TABLES}{_EPOCHS};INSERT INTO meta VALUES ('station_db', '{identity}');"
        f"PRAGMA user_version={VERSION};COMMIT;"
    )


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in _STEPS:  # done, perhaps by another program meanwhile
                connection.execute("ROLLBACK")
                return
            for statement in _STEPS[version].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
