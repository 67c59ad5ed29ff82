"""What people decide about devices: pins, studies with their leads and locks, rooms."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from edge.contract.topics import check_name
from edge.errors import MessageError, OperatorError
from station.fleet.keep.history import keep

KINDS = ("study", "room")


@dataclass(frozen=True, slots=True)
class Study:
    """Its cages switch together. locked: no rollout touches them unless the lead approves that rollout."""

    name: str
    lead: str
    locked: bool


@dataclass(frozen=True, slots=True)
class Pin:
    """sha256: the bundle that alone the device is given; "": none, it keeps what it runs."""

    device: str
    sha256: str
    reason: str
    who: str


def set_group(
    connection: sqlite3.Connection, now_s: float, who: str, kind: str, name: str, devices: Iterable[str]
) -> None:
    """Put devices into a study or a room, in the caller's transaction; each has one of either kind.

    Raises:
        OperatorError: a name is none.
    """
    listed = sorted({checked_device(device) for device in devices})
    if not name.strip() or len(name) > 64 or not name.isprintable():
        raise OperatorError(f"{kind}: expected a name of 1 to 64 characters, got {name!r}")
    connection.executemany("INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", [(kind, name, one) for one in listed])
    for device in listed:
        keep(connection, now_s, who, kind, f"now in {kind} {name}", device=device)


def set_study(connection: sqlite3.Connection, now_s: float, who: str, study: Study) -> None:
    """Keep lead and lock of a study, in the caller's transaction.

    Raises:
        OperatorError: somebody other than its lead opens a locked one.
    """
    row = connection.execute("SELECT lead, locked FROM studies WHERE name = ?", (study.name,)).fetchone()
    if row is not None and row["locked"] and row["lead"] != who:
        raise OperatorError(f"study {study.name} is locked: its lead {row['lead']} alone changes that, not {who}")
    connection.execute("INSERT OR REPLACE INTO studies VALUES (?, ?, ?)", (study.name, study.lead, int(study.locked)))
    keep(connection, now_s, who, "study", f"{study.name}: lead {study.lead}, {'locked' if study.locked else 'open'}")


def approve_study(connection: sqlite3.Connection, now_s: float, who: str, rollout: int, study: str) -> None:
    """Let a rollout touch a locked study, in the caller's transaction.

    Raises:
        OperatorError: there is no such study, or it is not its lead who asks.
    """
    row = connection.execute("SELECT lead FROM studies WHERE name = ?", (study,)).fetchone()
    if row is None:
        raise OperatorError(f"--study: expected a study of this station, got {study!r}")
    if row["lead"] != who:
        raise OperatorError(f"study {study}: its lead {row['lead']} approves, not {who}")
    connection.execute("INSERT OR IGNORE INTO study_approvals VALUES (?, ?, ?, ?)", (rollout, study, who, now_s))
    keep(connection, now_s, who, "approve", f"study {study} may take part", rollout=rollout)


def pin(connection: sqlite3.Connection, now_s: float, made: Pin) -> None:
    """Keep that a device is given one bundle or none, in the caller's transaction.

    Raises:
        OperatorError: the name is none, or the station keeps no such bundle.
    """
    checked_device(made.device)
    if made.sha256:
        known = connection.execute("SELECT 1 FROM bundles WHERE sha256 = ?", (made.sha256,)).fetchone()
        if known is None:
            raise OperatorError(f"--to: expected a bundle that the station keeps, got {made.sha256[:12]}...")
    row = (made.device, made.sha256, made.reason, made.who, now_s)
    connection.execute("INSERT OR REPLACE INTO pins VALUES (?, ?, ?, ?, ?)", row)
    what = f"to {made.sha256[:12]}" if made.sha256 else "to what it runs"
    keep(connection, now_s, made.who, "pin", f"{what}: {made.reason}".rstrip(": "), device=made.device)


def unpin(connection: sqlite3.Connection, now_s: float, who: str, device: str) -> None:
    """Forget a pin, in the caller's transaction."""
    connection.execute("DELETE FROM pins WHERE device = ?", (device,))
    keep(connection, now_s, who, "unpin", device=device)


def load_pins(connection: sqlite3.Connection) -> dict[str, Pin]:
    """Return the pins by device."""
    rows = connection.execute("SELECT * FROM pins").fetchall()
    return {row["device"]: Pin(row["device"], row["sha256"], row["reason"], row["who"]) for row in rows}


def load_groups(connection: sqlite3.Connection, kind: str) -> dict[str, str]:
    """Return the group of each device that has one."""
    rows = connection.execute("SELECT device, name FROM groups WHERE kind = ?", (kind,)).fetchall()
    return {row["device"]: row["name"] for row in rows}


def load_studies(connection: sqlite3.Connection) -> dict[str, Study]:
    """Return the studies by name."""
    rows = connection.execute("SELECT * FROM studies ORDER BY name").fetchall()
    return {row["name"]: Study(row["name"], row["lead"], bool(row["locked"])) for row in rows}


def load_study_approvals(connection: sqlite3.Connection, rollout: int) -> set[str]:
    """Return the locked studies that a rollout may touch."""
    rows = connection.execute("SELECT study FROM study_approvals WHERE rollout = ?", (rollout,)).fetchall()
    return {row["study"] for row in rows}


def checked_device(device: str) -> str:
    """Return the device's name itself.

    Raises:
        OperatorError: it cannot be one.
    """
    try:
        return check_name(device)
    except MessageError as error:
        raise OperatorError(f"device: {error}") from error
