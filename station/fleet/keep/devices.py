"""What the devices said last, what each refused for good, and what was published for it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from edge.contract import jsontext
from edge.contract.reported import Reported
from edge.errors import MessageError
from station.fleet.keep.history import FLEET, keep

PASSING = frozenset({"", "host_not_allowed", "wrong_content", "wish_expired", "not_here", "unreadable"})
"""Reasons that lie in the wish, the server or the settings; "": it went back because it was asked to."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One device. reported: None where it never said, or said it so that nobody understands.

    problems: code -> (advice, Unix seconds since when).
    """

    device: str
    online: bool
    since_s: float | None
    reported: Reported | None
    problems: Mapping[str, tuple[str, float]]


def hear_availability(connection: sqlite3.Connection, device: str, online: bool, now_s: float) -> None:
    """Keep whether a device is connected, and since when; a repetition changes nothing."""
    connection.execute(
        "INSERT INTO devices (device, online, since_s) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
        "online = excluded.online, since_s = excluded.since_s WHERE online != excluded.online OR since_s IS NULL",
        (device, int(online), now_s),
    )


def hear_report(connection: sqlite3.Connection, device: str, payload: bytes, reported: Reported, now_s: float) -> None:
    """Keep what a device says of its model; a refusal for good, too, and each change in the history."""
    row = connection.execute("SELECT reported FROM devices WHERE device = ?", (device,)).fetchone()
    connection.execute(
        "INSERT INTO devices (device, reported, reported_s) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
        "reported = excluded.reported, reported_s = excluded.reported_s",
        (device, payload, now_s),
    )
    if reported.trust is not None:
        held = (device, reported.trust.version, now_s)
        connection.execute("INSERT OR IGNORE INTO trust_held VALUES (?, ?, ?)", held)
    lasting = reported.reason not in PASSING
    if reported.state in ("refused", "rolled_back") and reported.digest is not None and lasting:
        reason = reported.advice or reported.reason
        connection.execute(
            "INSERT OR IGNORE INTO refusals VALUES (?, ?, ?, ?)", (device, reported.digest, now_s, reason[:2000])
        )
    before = None if row is None or row["reported"] is None else read_report(row["reported"])
    if before is None or (before.state, before.digest, before.reason) != (
        reported.state,
        reported.digest,
        reported.reason,
    ):
        digest = "" if reported.digest is None else f" {reported.digest[:12]}"
        text = f"{reported.state}{digest}: {reported.reason} {reported.advice}".rstrip(": ")
        keep(connection, now_s, FLEET, "reported", text, device=device)


def hear_health(connection: sqlite3.Connection, device: str, problems: Mapping[str, str], now_s: float) -> None:
    """Keep what a device says is wrong with it, and since when each problem lasts."""
    row = connection.execute("SELECT problems FROM devices WHERE device = ?", (device,)).fetchone()
    known = {} if row is None else json.loads(row["problems"])
    lasting = {code: (text, known.get(code, ("", now_s))[1]) for code, text in problems.items()}
    connection.execute(
        "INSERT INTO devices (device, problems) VALUES (?, ?) ON CONFLICT DO UPDATE SET problems = excluded.problems",
        (device, json.dumps(lasting, sort_keys=True)),
    )


def load_heard(connection: sqlite3.Connection) -> dict[str, Heard]:
    """Return what is known of each device."""
    rows = connection.execute("SELECT * FROM devices ORDER BY device").fetchall()
    return {
        row["device"]: Heard(
            row["device"],
            bool(row["online"]),
            row["since_s"],
            None if row["reported"] is None else read_report(row["reported"]),
            {code: (text, since_s) for code, (text, since_s) in json.loads(row["problems"]).items()},
        )
        for row in rows
    }


def read_report(payload: bytes) -> Reported | None:
    """Return a report that was kept; None where a later version of the program wrote it."""
    try:
        return jsontext.decode(payload, Reported)
    except MessageError:
        return None


def load_refusals(connection: sqlite3.Connection, sha256: str) -> dict[str, str]:
    """Return the devices that refused a bundle for good, with the reason."""
    rows = connection.execute("SELECT device, reason FROM refusals WHERE sha256 = ?", (sha256,)).fetchall()
    return {row["device"]: row["reason"] for row in rows}


def load_said(connection: sqlite3.Connection, what: str) -> dict[str, bytes]:
    """Return what was published last, by device. what: desired or trust."""
    rows = connection.execute("SELECT device, payload FROM said WHERE what = ?", (what,)).fetchall()
    return {row["device"]: row["payload"] for row in rows}


def keep_said(connection: sqlite3.Connection, device: str, what: str, payload: bytes, now_s: float) -> None:
    """Keep what the broker has taken for a device."""
    connection.execute("INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?)", (device, what, payload, now_s))
