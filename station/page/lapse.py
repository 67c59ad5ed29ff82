"""An animal through its life: one picture a week."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from starlette.responses import Response

from station.page.read import NoLog, Picture, devices_of_animal, load_table, log
from station.page.show_animal import missing
from station.page.texts import text
from station.page.web import Visit
from station.registry.attribution import Owners, Sight
from station.registry.lifetime import day_of, midnight
from station.registry.subject import Subject

WEEK = timedelta(days=7)
MOST_WEEKS = 400
TRIED = 25
"""Readings on either side of a week's middle that are looked at: nearly always the first one will do."""
_NEAR = """
SELECT r.device, r.cage, r.epoch, r.seq, r.at_s, r.time_basis, r.expected_animals, r.found_animals, r.accepted,
    a.subject, a.identity_method, t.sha256, t.path
FROM timed_readings r JOIN thumbnails t USING (device, epoch, seq)
LEFT JOIN animals a USING (device, epoch, seq)
WHERE r.device = ? AND r.captured_s {} ? AND r.captured_s {} ? AND r.outcome = 'ok' ORDER BY r.captured_s {} LIMIT ?"""


@dataclass(frozen=True, slots=True)
class Shot:
    """One week's picture. weeks: the animal's age then, None where its birth is not known. seq: its reading's."""

    at: datetime
    weeks: float | None
    picture: Picture


def show_lapse(visit: Visit) -> Response:
    """Return the page that plays an animal's pictures."""
    name = visit.value("name")
    subjects, zones = load_table(visit.data)
    subject = next((one for one in subjects if one.subject == name), None)
    try:
        with log(visit.data) as connection:
            devices = devices_of_animal(connection, name)
            zone = zones.of(devices[0] if devices else None)
            shots = find_shots(connection, devices, name, Owners(subjects, zones), subject, zone)
    except NoLog:
        devices, shots, zone = [], [], zones.lab
    if subject is None and not devices:
        return missing(visit, text("animal.unknown", name=name))
    return visit.answer("lapse.html", name=name, shots=shots, zone=zone)


def find_shots(
    connection: sqlite3.Connection,
    devices: Sequence[str],
    name: str,
    owners: Owners,
    subject: Subject | None,
    zone: tzinfo,
) -> list[Shot]:
    """Return one picture of an animal for each week of which there is one, nearest to noon of the week's middle."""
    span = [
        connection.execute(
            f"SELECT captured_s FROM readings WHERE device = ? ORDER BY captured_s {order} LIMIT 1", (device,)
        ).fetchone()[0]
        for device in devices
        for order in ("ASC", "DESC")
    ]
    if not span:
        return []
    first = datetime.fromtimestamp(max(min(span), 0.0), UTC).astimezone(zone).date()
    last = datetime.fromtimestamp(max(span), UTC).astimezone(zone).date()
    week = first - timedelta(days=first.weekday())
    found: list[Shot] = []
    born = day_of(subject.date_of_birth) if subject is not None else None
    while week <= last and len(found) < MOST_WEEKS:
        row = _of_week(connection, devices, name, owners, week, zone)
        if row is not None:
            at = datetime.fromtimestamp(row["at_s"], UTC).astimezone(zone)
            age = (at.date() - born).days / 7 if born is not None else None
            picture = Picture(row["device"], row["epoch"], int(row["seq"]), row["sha256"], row["path"])
            found.append(Shot(at, age, picture))
        week += WEEK
    return found


def _of_week(
    connection: sqlite3.Connection, devices: Sequence[str], name: str, owners: Owners, week: date, zone: tzinfo
) -> sqlite3.Row | None:
    """Return the best reading of a week: an accepted one before others, then the nearest to the week's middle."""
    begin, end = midnight(week, zone).timestamp(), midnight(week + WEEK, zone).timestamp()
    middle = begin + (end - begin) / 2
    near: list[sqlite3.Row] = []
    for device in devices:
        for bounds, order in (((">=", "<", middle, end), "ASC"), (("<", ">=", middle, begin), "DESC")):
            query = _NEAR.format(bounds[0], bounds[1], order)
            near += connection.execute(query, (device, bounds[2], bounds[3], TRIED)).fetchall()
    own = [row for row in near if _is_of(row, owners, name)]
    return min(own, key=lambda row: (not row["accepted"], abs(row["at_s"] - middle)), default=None)


def _is_of(row: sqlite3.Row, owners: Owners, name: str) -> bool:
    place = (row["device"], row["cage"], row["at_s"], row["time_basis"], row["expected_animals"])
    whose = owners.whose(Sight(*place, row["found_animals"], row["subject"], row["identity_method"] or "none"))
    return not whose.nobodys and whose.subject == name
