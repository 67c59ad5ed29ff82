"""What people call a device, where it stands, and which one took its place."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge.errors import MessageError, OperatorError
from station.fleet.keep.database import fleet_database
from station.fleet.keep.groups import set_group
from station.page.changes import begin_change, end_change, keep_change
from station.page.database import page_database
from station.page.read import load_table
from station.page.texts import text
from station.printable import has_control_characters
from station.registry import devices
from station.registry.housing import move_subject
from station.registry.zones import Zones
from station.transaction import transaction

MOST_LETTERS = 60


@dataclass(frozen=True, slots=True)
class Place:
    """label: what people call it; "" for its own name. replaced_by: a device, "" where none took its place."""

    label: str = ""
    room: str = ""
    rack: str = ""
    replaced_by: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """A board that stood at a device's place, since when in Unix seconds."""

    since_s: float
    serial: str
    machine: str


def load_places(connection: sqlite3.Connection) -> dict[str, Place]:
    """Return what is known of each device's place."""
    rows = connection.execute("SELECT device, label, room, rack, replaced_by FROM places").fetchall()
    return {row["device"]: Place(row["label"], row["room"], row["rack"], row["replaced_by"]) for row in rows}


def load_boards(connection: sqlite3.Connection, device: str) -> list[Board]:
    """Return the boards of a device, the newest first."""
    rows = connection.execute(
        "SELECT since_s, serial, machine FROM boards WHERE device = ? ORDER BY since_s DESC", (device,)
    ).fetchall()
    return [Board(*tuple(row)) for row in rows]


def keep_place(data: Path, who: str, device: str, label: str, room: str, rack: str) -> bool:
    """Keep what people call a device and where it stands; return whether anything changed.

    The room goes to the fleet's groups too, where a rollout can name it.

    Raises:
        OperatorError: one of them is too long or holds control characters.
    """
    for name, said in (("label", label), ("room", room), ("rack", rack)):
        if len(said) > MOST_LETTERS or has_control_characters(said):
            raise OperatorError(f"{name}: expected up to {MOST_LETTERS} letters on one line, got {len(said)}")
    with page_database(data) as connection, transaction(connection):
        before = load_places(connection).get(device, Place())
        after = Place(label, room, rack, before.replaced_by)
        if before == after:
            return False
        _put(connection, device, after)
        keep_change(connection, who, "named a device", device, _shown(before), _shown(after))
    if room and room != before.room:
        with suppress(MessageError), fleet_database(data) as fleet, transaction(fleet):
            set_group(fleet, time.time(), who, "room", room, [device])
    return True


def replace_device(data: Path, who: str, old: str, new: str, zones: Zones) -> list[str]:
    """Let another device take a device's place and return the animals that it has now.

    The old one is retired. Animals that the table gives to the old device by its name are given to the new one from
    today on (their earlier readings stay their own); those that it gives to a cage need nothing. Name, room and rack go
    over where the new one has none.

    Raises:
        OperatorError: the two are one, or the table could not be changed.
    """
    if old == new:
        raise OperatorError(text("device.replace_same"))
    today = datetime.now(UTC).astimezone(zones.of(old)).date().isoformat()
    subjects, _ = load_table(data)
    moving = [one for one in subjects if one.device == old and one.date_of_death is None]
    moving = [one for one in moving if one.date_of_departure is None]
    with page_database(data) as connection:
        number = begin_change(connection, who, "replaced a device", old, {}, {"replaced by": new})
        done = False
        try:
            for one in moving:
                move_subject(data, one.subject, one.cage, new, today)
            devices.retire(data, old, f"{who}: {text('device.replaced_reason', device=new)}")
            with transaction(connection):
                places = load_places(connection)
                before, there = places.get(old, Place()), places.get(new, Place())
                _put(connection, old, Place(before.label, before.room, before.rack, new))
                rack, room = there.rack or before.rack, there.room or before.room
                _put(connection, new, Place(there.label or before.label, room, rack, there.replaced_by))
            done = True
        finally:
            end_change(connection, number, done=done)
    return [one.subject for one in moving]


def _put(connection: sqlite3.Connection, device: str, place: Place) -> None:
    row = (device, place.label, place.room, place.rack, place.replaced_by)
    connection.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?)", row)


def _shown(place: Place) -> dict[str, str]:
    return {"name": place.label, "room": place.room, "rack": place.rack}
