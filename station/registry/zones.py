"""The time zones of the lab's animal rooms: what a day of the table of animals means. UTC until it is set."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from edge.errors import OperatorError
from station.days.mark import mark_zone
from station.store import schema

_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])")
_KEY = "zone"
"""In the table `meta`: `zone` for all devices, `zone/DEVICE` for one."""


@dataclass(frozen=True, slots=True)
class Zones:
    """The zone of each device's room. lab: of all that are not in `devices`."""

    lab: tzinfo = UTC
    devices: Mapping[str, tzinfo] = field(default_factory=dict)

    def of(self, device: str | None) -> tzinfo:
        """Return the zone of a device's room; of the lab where the device is not known."""
        return self.lab if device is None else self.devices.get(device, self.lab)


def load_zones(connection: sqlite3.Connection) -> Zones:
    """Return the zones that were set; one that this machine no longer knows counts as UTC."""
    found = {}
    for key, text in connection.execute(f"SELECT key, value FROM meta WHERE key = '{_KEY}' OR key LIKE '{_KEY}/%'"):
        try:
            found[key] = zone_of(text)
        except OperatorError:
            found[key] = UTC
    lab = found.pop(_KEY, UTC)
    return Zones(lab, {key.removeprefix(f"{_KEY}/"): zone for key, zone in found.items()})


def set_zone(data: Path, text: str, device: str | None) -> None:
    """Keep the zone of all rooms, or of one device's.

    Raises:
        OperatorError: this machine knows no such zone, or the folder cannot be used.
    """
    zone_of(text)
    with closing(schema.open_for_writing(data)) as connection:
        try:
            key = _KEY if device is None else f"{_KEY}/{device}"
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, text))
            mark_zone(connection, device)
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise OperatorError(f"{data}: could not write the time zone: {error}") from error


def zone_of(text: str) -> tzinfo:
    """Return the zone of an IANA name, or of a fixed offset such as `+01:00`, as most animal rooms keep.

    Raises:
        OperatorError: this machine knows no such zone.
    """
    if text == "UTC":
        return UTC
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:  # unknown, malformed, or a folder of zones
        raise OperatorError(
            f"expected an IANA time zone such as Europe/Zurich, or an offset such as +01:00, got {text!r}"
        ) from error
