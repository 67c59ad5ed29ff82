"""The statements that make the station's tables and views."""

from __future__ import annotations

from station.store.sound import AHEAD_S, SOUND_ANIMAL, SOUND_READING

VERSION = 7

_COUNTED = """
CREATE TRIGGER {0}_{1} AFTER {1} ON {0} BEGIN
    INSERT INTO totals (device, {0}) VALUES ({2}.device, {3}) ON CONFLICT DO UPDATE SET {0} = {0} + {3};
END;"""

RECORDS = """
-- Every record once. Never updated, never deleted. body: what the device stored, byte for byte, as
-- station.store.body packs it, digest: SHA-256 of the bytes before that, seal: CRC-32 of the row's other columns.
CREATE TABLE records (
    id INTEGER PRIMARY KEY, device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
    digest TEXT NOT NULL, schema TEXT NOT NULL, body BLOB NOT NULL,
    received_at REAL NOT NULL, replayed INTEGER NOT NULL, seal INTEGER NOT NULL
);
CREATE UNIQUE INDEX records_by_number ON records (device, epoch, seq);
"""

TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

{RECORDS}
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

-- Ranges that are gone from the device, as it said itself (a `lost` record) or as first_held implied. A record that
-- came all the same, from another copy of the card, is taken out of them.
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

-- Per sequence, as JSON lists of inclusive pairs: the numbers that came, stored or quarantined, and those known to be
-- lost. A number may be in both: then it came, from another copy of the card.
CREATE TABLE accounts (
    device TEXT NOT NULL, epoch TEXT NOT NULL,
    records TEXT NOT NULL, thumbnails TEXT NOT NULL, received_at REAL NOT NULL,
    lost TEXT NOT NULL DEFAULT '[]', lost_thumbnails TEXT NOT NULL DEFAULT '[]',
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

EPOCHS = """
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

SUMS = f"""
-- How many records and thumbnails of each device there are: counting them would read the whole table.
CREATE TABLE totals (
    device TEXT PRIMARY KEY, records INTEGER NOT NULL DEFAULT 0, thumbnails INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
{_COUNTED.format("records", "INSERT", "NEW", 1)}{_COUNTED.format("records", "DELETE", "OLD", -1)}
{_COUNTED.format("thumbnails", "INSERT", "NEW", 1)}{_COUNTED.format("thumbnails", "DELETE", "OLD", -1)}

-- Readings that a clock that was set dated long after they came.
CREATE TABLE dated_ahead (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, at_s REAL NOT NULL, received_at REAL NOT NULL,
    PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID;
CREATE TRIGGER readings_INSERT AFTER INSERT ON readings WHEN NEW.clock_synced = 1 AND NEW.captured_s - {AHEAD_S} > (
    SELECT received_at FROM records WHERE device = NEW.device AND epoch = NEW.epoch AND seq = NEW.seq) BEGIN
    INSERT OR IGNORE INTO dated_ahead SELECT device, epoch, seq, NEW.captured_s, received_at FROM records
        WHERE device = NEW.device AND epoch = NEW.epoch AND seq = NEW.seq;
END;
CREATE TRIGGER readings_DELETE AFTER DELETE ON readings BEGIN
    DELETE FROM dated_ahead WHERE device = OLD.device AND epoch = OLD.epoch AND seq = OLD.seq;
END;

-- The few rows that are looked for among the many.
CREATE INDEX readings_not_synchronised ON readings (device) WHERE clock_synced IS NOT 1;
CREATE INDEX readings_unsound ON readings (device) WHERE ({SOUND_READING}) IS NOT TRUE;
CREATE INDEX animals_unsound ON animals (device) WHERE ({SOUND_ANIMAL}) IS NOT TRUE;
"""

DATED_AHEAD = f"""
SELECT r.device, r.epoch, r.seq, r.captured_s AS at_s, k.received_at FROM readings r JOIN records k
    ON k.device = r.device AND k.epoch = r.epoch AND k.seq = r.seq
    WHERE r.clock_synced = 1 AND r.captured_s - {AHEAD_S} > k.received_at
"""
"""What the table `dated_ahead` holds."""

DAYS_TABLE = """
CREATE TABLE days (
    device TEXT NOT NULL, day TEXT NOT NULL, cage TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    reason TEXT NOT NULL, about TEXT NOT NULL,
    age_days REAL, low_days REAL, high_days REAL, by_light TEXT NOT NULL, accepted INTEGER NOT NULL,
    accepted_by_light TEXT NOT NULL, seen INTEGER NOT NULL, refused TEXT NOT NULL, seen_s REAL,
    captures INTEGER NOT NULL, captures_by_light TEXT NOT NULL, outcomes TEXT NOT NULL,
    first_s REAL, last_s REAL, mean_s REAL, step_s REAL, gaps TEXT NOT NULL, models TEXT NOT NULL,
    strain TEXT, notices TEXT NOT NULL,
    PRIMARY KEY (device, day, cage, kind, name, reason, about)
) WITHOUT ROWID;
CREATE TABLE days_due (day TEXT NOT NULL, device TEXT NOT NULL, PRIMARY KEY (day, device)) WITHOUT ROWID;
"""

DAYS = f"""
-- Whose the readings of each calendar day of the room are, and the robust figures of each: see station.days.day.
-- days_due: days that wait to be made anew, '' for all of a device's.
{DAYS_TABLE}
CREATE INDEX days_by_cage ON days (cage, device);
CREATE INDEX readings_by_boot ON readings (device, boot_id, monotonic_s) WHERE clock_synced IS NOT 1;
"""
