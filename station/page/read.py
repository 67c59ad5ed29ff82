"""What the page reads of the log: the one module that knows the station's tables, so that it can follow them."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.errors import OperatorError
from station.curves.curve import Curve, Sighting
from station.curves.days import load_day_curves
from station.curves.read import load_curves
from station.registry.attribution import Owners, Sight
from station.registry.reviews import count_reviews
from station.registry.subject import Subject
from station.registry.subjects import load_subjects
from station.registry.zones import Zones, load_zones
from station.store.schema import has_log, open_for_reading

MOST_READINGS = 20_000
"""In one answer; a longer window is to be read by day."""
_PICTURES_BACK = 200
_DEVICES = """
WITH RECURSIVE name(device) AS (
    SELECT min(device) FROM {table}
    UNION ALL
    SELECT (SELECT min(device) FROM {table} WHERE device > name.device) FROM name WHERE name.device IS NOT NULL
) SELECT device FROM name WHERE device IS NOT NULL"""
_NAMED_BY = """
WITH RECURSIVE name(device) AS (
    SELECT min(device) FROM animals WHERE subject = :subject
    UNION ALL
    SELECT (SELECT min(device) FROM animals WHERE subject = :subject AND device > name.device)
    FROM name WHERE name.device IS NOT NULL
) SELECT device FROM name WHERE device IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored thumbnail's key. path: relative to the data folder."""

    device: str
    epoch: str
    seq: int
    sha256: str
    path: str


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest that a device sent. at: when it photographed; cage: what it looks at; picture: the newest one."""

    device: str
    cage: str
    at: datetime | None
    outcome: str | None
    picture: Picture | None
    picture_at: datetime | None


@dataclass(frozen=True, slots=True)
class OneReading:
    """One row of a zoomed window: a reading, and one animal of it where there is one. Ages are days, at is UTC seconds.

    age_days, low_days, high_days: the estimate, whether or not it was accepted.
    """

    epoch: str
    seq: int
    device: str
    at_s: float
    light: str
    outcome: str
    accepted: bool
    reasons: str
    age_days: float | None
    low_days: float | None
    high_days: float | None
    pictured: bool


class NoLog(OperatorError):
    """There is no database of a station in the folder yet."""


@contextmanager
def log(data: Path) -> Iterator[sqlite3.Connection]:
    """Hand out a read-only connection to the log for one piece of work.

    Raises:
        NoLog: no station has run here yet.
    """
    if not has_log(data):
        raise NoLog(f"{data}: no station has logged here yet; start `cageclock-station run` on this folder")
    with closing(open_for_reading(data)) as connection:
        yield connection


def find_devices(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all devices that said or sent anything, by a look into an index each."""
    found: set[str] = set()
    for table in ("readings", "accounts", "device_state"):
        found |= {str(row[0]) for row in connection.execute(_DEVICES.format(table=table)).fetchall()}
    return sorted(found)


def find_newest(connection: sqlite3.Connection, device: str) -> Newest:
    """Return the newest reading and picture of a device."""
    row = connection.execute(
        "SELECT cage, captured_s, outcome FROM readings WHERE device = ? "
        "ORDER BY clock_synced = 0, captured_s DESC LIMIT 1"
        if _has_unset_clocks(connection, device)
        else "SELECT cage, captured_s, outcome FROM readings WHERE device = ? ORDER BY captured_s DESC LIMIT 1",
        (device,),
    ).fetchone()
    picture = connection.execute(
        "SELECT r.captured_s, t.device, t.epoch, t.seq, t.sha256, t.path FROM (SELECT device, epoch, seq, captured_s "
        "FROM readings WHERE device = ? ORDER BY captured_s DESC LIMIT ?) r "
        "JOIN thumbnails t USING (device, epoch, seq) ORDER BY r.captured_s DESC LIMIT 1",
        (device, _PICTURES_BACK),
    ).fetchone()
    return Newest(
        device,
        str(row["cage"]) if row is not None else device,
        _time(row["captured_s"]) if row is not None else None,
        str(row["outcome"]) if row is not None else None,
        _picture(picture) if picture is not None else None,
        _time(picture["captured_s"]) if picture is not None else None,
    )


def find_picture(connection: sqlite3.Connection, device: str, epoch: str, seq: int) -> Picture | None:
    """Return the stored thumbnail of a reading, None where none came."""
    row = connection.execute(
        "SELECT device, epoch, seq, sha256, path FROM thumbnails WHERE device = ? AND epoch = ? AND seq = ?",
        (device, epoch, seq),
    ).fetchone()
    return _picture(row) if row is not None else None


def find_reading(connection: sqlite3.Connection, device: str, epoch: str, seq: int) -> tuple[Any, list[Any]] | None:
    """Return a reading's row and the rows of its animals, None where there is no such reading."""
    key = (device, epoch, seq)
    row = connection.execute("SELECT * FROM timed_readings WHERE device = ? AND epoch = ? AND seq = ?", key).fetchone()
    if row is None:
        return None
    animals = connection.execute(
        "SELECT * FROM animals WHERE device = ? AND epoch = ? AND seq = ? ORDER BY number", key
    ).fetchall()
    return row, animals


def find_neighbours(connection: sqlite3.Connection, device: str, at_s: float) -> tuple[Any, Any]:
    """Return the keys of the readings before and after a time, None where there is none."""
    query = "SELECT epoch, seq FROM readings WHERE device = ? AND captured_s {} ? ORDER BY captured_s {} LIMIT 1"
    before = connection.execute(query.format("<", "DESC"), (device, at_s)).fetchone()
    after = connection.execute(query.format(">", "ASC"), (device, at_s)).fetchone()
    return before, after


def devices_of_animal(connection: sqlite3.Connection, name: str) -> list[str]:
    """Return the devices that may have seen an animal: that name it, or look at a cage where the table has it."""
    found = {str(row[0]) for row in connection.execute(_NAMED_BY, {"subject": name}).fetchall()}
    subject = next((one for one in load_subjects(connection) if one.subject == name), None)
    if subject is None:
        return sorted(found)
    stays = [(subject.cage, subject.device), *((stay.cage, stay.device) for stay in subject.stays)]
    known = [str(row[0]) for row in connection.execute(_DEVICES.format(table="readings")).fetchall()]
    cages = {cage for cage, _ in stays if cage}
    found |= {device for _, device in stays if device in known}
    if cages:
        found |= {device for device in known if cages & set(cages_of(connection, device))}
    return sorted(found)


def cages_of(connection: sqlite3.Connection, device: str) -> list[str]:
    """Return the cages that a device looked at in its oldest and its newest reading."""
    query = "SELECT cage FROM readings WHERE device = ? ORDER BY captured_s {} LIMIT 1"
    rows = [connection.execute(query.format(order), (device,)).fetchone() for order in ("ASC", "DESC")]
    return sorted({str(row[0]) for row in rows if row is not None})


def load_some_curves(data: Path, devices: Sequence[str], since_s: float | None = None) -> list[Curve]:
    """Return the curves of all animals that these devices saw, by day, as every command draws them.

    since_s: only readings from then on; one whose clock was never set counts as new.
    """
    with log(data) as connection:
        if since_s is None:
            return load_day_curves(connection, "day", devices)
        _narrow(connection, devices, since_s)
        return load_curves(connection, "day", include_rejected=False)


def load_readings(
    data: Path,
    devices: Sequence[str],
    name: str,
    named: bool,
    from_s: float,
    until_s: float,
    most: int = MOST_READINGS,
) -> list[OneReading]:
    """Return the readings of an animal, or of a cage, in a window of time, oldest first.

    Raises:
        OperatorError: they are more than `most`.
    """
    with log(data) as connection:
        _narrow(connection, devices, None)
        owners = Owners(load_subjects(connection), load_zones(connection))
        rows = connection.execute(
            "SELECT r.device, r.cage, r.epoch, r.seq, r.at_s, r.time_basis, r.light, r.outcome, r.expected_animals, "
            "r.found_animals, r.thumbnail_sha256, a.number, a.subject, a.identity_method, a.accepted, "
            "a.reject_reasons, a.estimate_days, a.interval_low_days, a.interval_high_days "
            "FROM timed_readings r LEFT JOIN animals a USING (device, epoch, seq) "
            "WHERE r.at_s >= ? AND r.at_s < ? AND r.time_basis != 'unsynchronised' "
            "ORDER BY r.at_s, r.device, r.epoch, r.seq, a.number LIMIT ?",
            (from_s, until_s, most + 1),
        ).fetchall()
    if len(rows) > most:
        raise OperatorError(f"expected a window of at most {most} readings, got more; choose a shorter one")
    return [_reading(row) for row in rows if _belongs(row, owners, name, named)]


def made_of(connection: sqlite3.Connection, devices: Sequence[str]) -> str:
    """Return a digest that changes whenever a curve of these devices may change."""
    found = hashlib.sha256(table_digest(connection).encode())
    for device in devices:
        for row in connection.execute(
            "SELECT epoch, records, thumbnails FROM accounts WHERE device = ? ORDER BY epoch", (device,)
        ).fetchall():
            found.update(repr((device, *row)).encode())
    return found.hexdigest()


def table_digest(connection: sqlite3.Connection) -> str:
    """Return a digest of what people say of the log: the table of animals, the time zones, how many reviews."""
    zones = connection.execute("SELECT key, value FROM meta WHERE key = 'zone' OR key LIKE 'zone/%'").fetchall()
    animals = [(subject.cells(), subject.stays) for subject in load_subjects(connection)]
    said = (animals, [tuple(row) for row in zones], count_reviews(connection))
    return hashlib.sha256(repr(said).encode()).hexdigest()


def load_table(data: Path) -> tuple[list[Subject], Zones]:
    """Return the table of animals and the time zones; empty before a station has run."""
    try:
        with log(data) as connection:
            return load_subjects(connection), load_zones(connection)
    except NoLog:
        return [], Zones()


def recent(sightings: Sequence[Sighting], days: float = 7.0) -> list[Sighting]:
    """Return those within so many days of the newest one."""
    if not sightings:
        return []
    newest = max(one.at for one in sightings)
    return [one for one in sightings if (newest - one.at).total_seconds() <= days * 86400]


def _narrow(connection: sqlite3.Connection, devices: Sequence[str], since_s: float | None) -> None:
    """Let every query of the connection see only the readings and events of some devices.

    since_s: of the readings only those labelled from then on. A view in `main` goes on reading the whole tables.
    """
    if not isinstance(connection, sqlite3.Connection):
        _narrow_on_postgres(connection, devices, since_s)
        return
    within = "device IN (SELECT device FROM temp.scope)"
    later = "" if since_s is None else f" AND captured_s >= {float(since_s)!r}"
    connection.execute("CREATE TEMP TABLE scope (device TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.executemany("INSERT INTO temp.scope VALUES (?)", [(device,) for device in devices])
    for name, bounds in (("timed_readings", within + later), ("timed_events", within)):
        (sql,) = connection.execute("SELECT sql FROM sqlite_temp_master WHERE name = ?", (name,)).fetchone()
        connection.execute(f"DROP VIEW temp.{name}")
        connection.execute(f"{sql.replace('CREATE VIEW', 'CREATE TEMP VIEW', 1)} AND {bounds}")
    for name, bounds in (("readings", within + later), ("events", within)):
        connection.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM main.{name} WHERE {bounds}")


def _narrow_on_postgres(connection: sqlite3.Connection, devices: Sequence[str], since_s: float | None) -> None:
    """As `_narrow`: views of this session alone stand before those that all readers have."""
    names = ", ".join("'" + device.replace("'", "''") + "'" for device in devices) or "NULL"
    later = "" if since_s is None else f" AND captured_s >= {float(since_s)!r}"
    for whole in ("readable.timed_readings", "main.readings", "readable.timed_events", "main.events"):
        bounds = f"device IN ({names}){later if whole.endswith('readings') else ''}"
        connection.execute(f"CREATE TEMP VIEW {whole.partition('.')[2]} AS SELECT * FROM {whole} WHERE {bounds}")


def _has_unset_clocks(connection: sqlite3.Connection, device: str) -> bool:
    """Return whether one of the newest readings was labelled by a clock that was not set."""
    rows = connection.execute(
        "SELECT clock_synced FROM readings WHERE device = ? ORDER BY captured_s DESC LIMIT 1", (device,)
    ).fetchall()
    return any(not row[0] for row in rows)


def _belongs(row: sqlite3.Row, owners: Owners, name: str, named: bool) -> bool:
    place = (row["device"], row["cage"], row["at_s"], row["time_basis"], row["expected_animals"])
    if row["number"] is None:
        whose = owners.whose(Sight(*place, 0))
    else:
        whose = owners.whose(Sight(*place, row["found_animals"], row["subject"], row["identity_method"]))
    if whose.nobodys:
        return False
    if named:
        return whose.subject == name or (row["number"] is None and whose.subject is None)
    return whose.subject is None and row["cage"] == name


def _reading(row: sqlite3.Row) -> OneReading:
    return OneReading(
        row["epoch"],
        row["seq"],
        row["device"],
        row["at_s"],
        row["light"],
        row["outcome"],
        bool(row["accepted"]),
        row["reject_reasons"] or "",
        row["estimate_days"],
        row["interval_low_days"],
        row["interval_high_days"],
        row["thumbnail_sha256"] is not None,
    )


def _picture(row: sqlite3.Row) -> Picture:
    return Picture(row["device"], row["epoch"], int(row["seq"]), row["sha256"], row["path"])


def _time(seconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(seconds), UTC)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError, OSError):
        return None
