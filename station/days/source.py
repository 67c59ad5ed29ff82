"""What a device saw on one day, out of the log: by indexes, so that a day costs a day's readings and no more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

from edge.contract.times import FIRST_S, LAST_S
from station.days.day import Seen
from station.registry.attribution import AHEAD, UNSYNCHRONISED
from station.registry.lifetime import midnight
from station.store.reviewed import load_reviewed_out, with_reason
from station.store.sound import AHEAD_S, SOUND_ANIMAL, SOUND_PLACE

_COLUMNS: Final = (
    "r.cage, r.captured_s, r.monotonic_s, r.epoch, r.seq, r.light, r.outcome, r.model_sha256, r.strain, "
    "r.model_notice, r.expected_animals, r.found_animals, a.number, a.subject, a.identity_method, a.accepted, "
    "a.reject_reasons, a.estimate_days, a.interval_low_days, a.interval_high_days"
)
_ANIMALS: Final = f"LEFT JOIN (SELECT * FROM main.animals WHERE {SOUND_ANIMAL}) a USING (device, epoch, seq)"
_SYNCHRONISED: Final = (
    f"SELECT {_COLUMNS} FROM main.readings r INDEXED BY readings_by_time {_ANIMALS} WHERE r.device = ? "
    f"AND r.captured_s >= ? AND r.captured_s < ? AND r.clock_synced = 1 AND {SOUND_PLACE}"
)
_NEVER_SET: Final = (
    f"SELECT {_COLUMNS} FROM main.readings r INDEXED BY readings_by_time {_ANIMALS} WHERE r.device = ? "
    f"AND r.captured_s >= ? AND r.captured_s < ? AND r.clock_synced IS NOT 1 AND {SOUND_PLACE} AND r.boot_id NOT IN "
    "(SELECT of_boot_id FROM main.clock_corrections WHERE device = r.device AND epoch_offset_s IS NOT NULL)"
)
_CORRECTED: Final = (
    f"SELECT {_COLUMNS} FROM main.readings r {_ANIMALS} WHERE r.device = ? AND r.boot_id = ? "
    f"AND r.clock_synced IS NOT 1 AND r.monotonic_s >= ? AND r.monotonic_s < ? AND {SOUND_PLACE}"
)
_NOT_SYNCHRONISED: Final = "SELECT 1 FROM main.readings WHERE device = ? AND clock_synced IS NOT 1 LIMIT 1"
_OFFSETS: Final = "SELECT of_boot_id, epoch_offset_s FROM best_correction WHERE device = ?"


def day_of(at_s: object, zone: tzinfo) -> str | None:
    """Return the calendar day (YYYY-MM-DD) of a time in a zone, None of a time that no reader would use."""
    if not isinstance(at_s, (int, float)) or not FIRST_S <= at_s <= LAST_S:
        return None
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).date().isoformat()


def bounds_of(day: str, zone: tzinfo) -> tuple[float, float]:
    """Return the Unix seconds, half open, of a calendar day in a zone."""
    begins = date.fromisoformat(day)
    return midnight(begins, zone).timestamp(), midnight(begins + timedelta(days=1), zone).timestamp()


def seen_on(connection: sqlite3.Connection, device: str, day: str, zone: tzinfo) -> list[Seen]:
    """Return what a device saw on a day, in no order."""
    begins, ends = bounds_of(day, zone)
    bounds = (max(begins, FIRST_S), min(ends, LAST_S + 1))
    out = load_reviewed_out(connection, device)
    return [_out(one) if (one.epoch, one.seq) in out else one for one in _read(connection, device, *bounds)]


def _out(one: Seen) -> Seen:
    """Return what was seen as a person reviewed it: an estimate that is not accepted."""
    return one if one.number is None else one._replace(accepted=False, reasons=with_reason(one.reasons))


def _read(connection: sqlite3.Connection, device: str, first: float, after: float) -> list[Seen]:
    try:
        return _seen_within(connection, device, first, after)
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            raise
    with _lenient_texts(connection):  # a call for each text: only where it must be
        return _seen_within(connection, device, first, after)


def _seen_within(connection: sqlite3.Connection, device: str, first: float, after: float) -> list[Seen]:
    ahead = {
        (row[0], row[1])
        for row in connection.execute(
            "SELECT epoch, seq FROM dated_ahead WHERE device = ? AND at_s >= ? AND at_s < ?", (device, first, after)
        ).fetchall()
    }
    found = [
        _row(row, row[1], AHEAD if (row[3], row[4]) in ahead else "synchronised", 0)
        for row in connection.execute(_SYNCHRONISED, (device, first, after)).fetchall()
    ]
    if not connection.execute(_NOT_SYNCHRONISED, (device,)).fetchone():
        return found
    starts = dict(connection.execute("SELECT epoch, starts FROM epochs WHERE device = ?", (device,)).fetchall())
    for row in connection.execute(_NEVER_SET, (device, first, after)).fetchall():
        found.append(_row(row, row[1], UNSYNCHRONISED, starts.get(row[3], 0)))
    for boot, offset_s in connection.execute(_OFFSETS, (device,)).fetchall():
        window = (device, boot, first - offset_s - 1, after - offset_s + 1)
        for row in connection.execute(_CORRECTED, window).fetchall():
            at_s = row[2] + offset_s
            if first <= at_s < after and at_s <= LAST_S:
                basis = AHEAD if _is_ahead(connection, device, row, at_s) else "corrected"
                found.append(_row(row, at_s, basis, starts.get(row[3], 0)))
    return found


def days_of_device(connection: sqlite3.Connection, device: str, zone: tzinfo) -> set[str]:
    """Return every day of which a device may have a reading, by one look into an index a day."""
    found: set[str] = set()
    since = float(FIRST_S)
    query = "SELECT min(captured_s) FROM main.readings WHERE device = ? AND captured_s >= ? AND captured_s <= ?"
    while (next_s := connection.execute(query, (device, since, LAST_S)).fetchone()[0]) is not None:
        day = day_of(next_s, zone)
        if day is None:  # a value that is no number
            break
        found.add(day)
        since = bounds_of(day, zone)[1]
    for (boot,) in connection.execute(
        "SELECT DISTINCT of_boot_id FROM main.clock_corrections WHERE device = ?", (device,)
    ).fetchall():
        found |= days_of_boot(connection, device, boot, zone)
    return found


def days_of_boot(connection: sqlite3.Connection, device: str, boot: object, zone: tzinfo) -> set[str]:
    """Return the days on which the readings of a boot lie whose clock was not set, by what is known now."""
    offset = connection.execute(f"{_OFFSETS} AND of_boot_id = ?", (device, boot)).fetchone()
    column = "captured_s" if offset is None else "monotonic_s"
    rows = connection.execute(
        f"SELECT {column} FROM main.readings WHERE device = ? AND boot_id = ? AND clock_synced IS NOT 1", (device, boot)
    ).fetchall()
    moved_s = 0.0 if offset is None else offset[1]
    return {day for (second,) in rows if (day := day_of(second + moved_s, zone)) is not None}


@contextmanager
def _lenient_texts(connection: sqlite3.Connection) -> Iterator[None]:
    """Read texts that a flipped bit has made unreadable with a sign in their place, as every reader does."""
    before = connection.text_factory
    connection.text_factory = lambda raw: str(raw, "utf-8", "replace")
    try:
        yield
    finally:
        connection.text_factory = before


def _is_ahead(connection: sqlite3.Connection, device: str, row: Any, at_s: float) -> bool:
    received = connection.execute(
        "SELECT received_at FROM records WHERE device = ? AND epoch = ? AND seq = ?", (device, row[3], row[4])
    ).fetchone()
    known = received is not None and isinstance(received[0], (int, float))
    return known and at_s - AHEAD_S > received[0]


def _row(row: Any, at_s: float, basis: str, starts: int) -> Seen:
    return Seen(
        str(row[0]),
        at_s,
        basis,
        str(row[3]),
        starts,
        row[4],
        str(row[5]),
        str(row[6]),
        _text(row[7]),
        _text(row[8]),
        _text(row[9]),
        _number(row[10]),
        _number(row[11]),
        None if row[12] is None else _number(row[12]),
        _text(row[13]),
        str(row[14]),
        bool(row[15]),
        str(row[16] or ""),
        row[17],
        row[18],
        row[19],
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int:
    """Return a count; what a person has put there instead of one counts as 0."""
    return value if isinstance(value, int) else 0
