"""The station's database: its tables, its views, and how it is opened."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

from edge.errors import DatabaseDamaged, OperatorError
from station.sound import hide_unsound_rows

DATABASE = "station.db"
VERSION = 1
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

-- The lab's own table of animals; cage and device say where an unnamed animal of a single-housed cage belongs.
CREATE TABLE subjects (
    subject TEXT PRIMARY KEY, strain TEXT, sex TEXT, date_of_birth TEXT, cage TEXT, device TEXT,
    date_of_death TEXT, arm TEXT, notes TEXT
) WITHOUT ROWID;

-- A record is never edited: an unsynchronised label is corrected here, at reading time.
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
"""


def open_for_writing(data: Path) -> sqlite3.Connection:
    """Return a connection in autocommit mode to `<data>/station.db`, made when absent; WAL, synchronous=FULL.

    The caller begins and ends transactions itself.

    Raises:
        OperatorError: the folder cannot be used, or another version of the program made the database.
        DatabaseDamaged: the file is no readable database.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(data / DATABASE, isolation_level=None, timeout=BUSY_S)
    except (OSError, sqlite3.OperationalError) as error:
        raise OperatorError(f"{data}: expected a folder that can be written, got {error}") from error
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        _create_or_check(connection, data)
    except sqlite3.OperationalError as error:
        connection.close()
        raise OperatorError(f"{data / DATABASE}: cannot be opened for writing: {error}") from error
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
    """Return a read-only connection with named columns, which passes over what no reader can use (see `sound`).

    Raises:
        OperatorError: there is no station database in the folder.
    """
    path = data / DATABASE
    if not path.is_file():
        raise OperatorError(f"{path}: expected a station's database, found none; `cageclock-station run` makes it")
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_S)
    connection.row_factory = sqlite3.Row
    try:
        check_version(connection, data)
        hide_unsound_rows(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DatabaseDamaged(f"{path}: {error}") from error
    return connection


def check_version(connection: sqlite3.Connection, data: Path) -> None:
    """Raise OperatorError unless this program knows the database's form."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found != VERSION:
        raise OperatorError(f"{data / DATABASE}: expected version {VERSION}, got {found}; use the program that made it")


def _create_or_check(connection: sqlite3.Connection, data: Path) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    if found or not empty:
        check_version(connection, data)
        return
    # One transaction: a crash in the middle leaves an empty file, not half a database.
    identity = secrets.token_hex(16)
    connection.executescript(
        f"BEGIN IMMEDIATE;{_TABLES};INSERT INTO meta VALUES ('station_db', '{identity}');"
        f"PRAGMA user_version={VERSION};COMMIT;"
    )
