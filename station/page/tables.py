"""The tables of `page.db`, a step for each version of the file: what brings it one further."""

from __future__ import annotations

ACCOUNTS = """
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

ALARMS = """
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

DEVICES = """
-- What the devices said of themselves, now and then: the log keeps only the last word of each. Times are Unix seconds.
-- recovered: the sum of the recovery counters; dated_s: how long before its arrival the message was dated.
-- recovery, problems: JSON.
CREATE TABLE health (
    device TEXT NOT NULL, at_s REAL NOT NULL, temperature_c REAL, disk_used REAL, memory_bytes REAL, waiting REAL,
    quarantined REAL, uptime_s REAL, reconnects REAL, recovered REAL, dated_s REAL, recovery TEXT NOT NULL,
    problems TEXT NOT NULL, PRIMARY KEY (device, at_s)
) WITHOUT ROWID;
-- Which board stood at a device's place, by its serial number, and since when.
CREATE TABLE boards (
    device TEXT NOT NULL, since_s REAL NOT NULL, serial TEXT NOT NULL, machine TEXT NOT NULL,
    PRIMARY KEY (device, since_s)
) WITHOUT ROWID;
-- What people call a device, and where it stands. replaced_by: the device that took its place.
CREATE TABLE places (
    device TEXT PRIMARY KEY, label TEXT NOT NULL, room TEXT NOT NULL, rack TEXT NOT NULL, replaced_by TEXT NOT NULL
) WITHOUT ROWID;
-- The disk of the station's folder, once an hour.
CREATE TABLE disk (at_s REAL PRIMARY KEY, free REAL NOT NULL, total REAL NOT NULL, log REAL NOT NULL) WITHOUT ROWID;
"""

STEPS = {0: ACCOUNTS, 1: ALARMS, 2: DEVICES}
"""By the version that is found."""
VERSION = len(STEPS)
