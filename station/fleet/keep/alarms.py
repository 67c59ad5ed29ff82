"""What a person must look at: one alarm a device and kind, from when it began until it is over."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from station.fleet.keep.history import FLEET, keep


@dataclass(frozen=True, slots=True)
class Alarm:
    """device: "" where it is about the whole fleet. cleared_s: None while it lasts. Unix seconds."""

    device: str
    kind: str
    text: str
    since_s: float
    cleared_s: float | None


def set_alarms(connection: sqlite3.Connection, now_s: float, present: Mapping[tuple[str, str], str]) -> None:
    """Keep what is wrong now, (device, kind) -> sentence, in the caller's transaction; what is not in it is cleared."""
    rows = connection.execute("SELECT id, device, kind, text FROM alarms WHERE cleared_s IS NULL").fetchall()
    lasting = {(row["device"], row["kind"]): row for row in rows}
    for key, row in lasting.items():
        if key not in present:
            connection.execute("UPDATE alarms SET cleared_s = ? WHERE id = ?", (now_s, row["id"]))
            keep(connection, now_s, FLEET, "cleared", f"{key[1]}: {row['text']}", device=key[0])
        elif row["text"] != present[key]:
            connection.execute("UPDATE alarms SET text = ? WHERE id = ?", (present[key], row["id"]))
    for (device, kind), text in present.items():
        if (device, kind) not in lasting:
            connection.execute(
                "INSERT INTO alarms (device, kind, text, since_s) VALUES (?, ?, ?, ?)", (device, kind, text, now_s)
            )
            keep(connection, now_s, FLEET, "alarm", f"{kind}: {text}", device=device)


def load_alarms(connection: sqlite3.Connection, *, cleared: bool = False) -> list[Alarm]:
    """Return the alarms that last, and with `cleared` the newest others, newest first."""
    where = "1" if cleared else "cleared_s IS NULL"
    rows = connection.execute(f"SELECT * FROM alarms WHERE {where} ORDER BY since_s DESC LIMIT 1000").fetchall()
    return [Alarm(row["device"], row["kind"], row["text"], row["since_s"], row["cleared_s"]) for row in rows]
