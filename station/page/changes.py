"""What people changed: who, when, what, before and after; and forms that were sent twice."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

HIDDEN = frozenset({"arm"})
"""Columns of which a change keeps that, not what: who reads the list may have to stay blind to the arm."""
SENT_S = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Change:
    """One change. about: the animal, cage or person. before, after: values by name. state: begun, done or failed."""

    at: datetime
    who: str
    what: str
    about: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    state: str


def begin_change(
    connection: sqlite3.Connection, who: str, what: str, about: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> int:
    """Keep what somebody is about to change, before it is, and return its number; `end_change` closes it.

    A change that was cut off in the middle stays as `begun`, so that nothing happens without a line.
    """
    row = (time.time(), who, what, about, _text(before), _text(after))
    cursor = connection.execute(
        "INSERT INTO changes (at, who, what, about, before, after, state) VALUES (?, ?, ?, ?, ?, ?, 'begun')", row
    )
    return int(cursor.lastrowid or 0)


def end_change(connection: sqlite3.Connection, number: int, *, done: bool) -> None:
    """Say how a change ended."""
    connection.execute("UPDATE changes SET state = ? WHERE id = ?", ("done" if done else "failed", number))


def keep_change(
    connection: sqlite3.Connection, who: str, what: str, about: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """Keep a change of the page's own tables, in the caller's transaction."""
    end_change(connection, begin_change(connection, who, what, about, before, after), done=True)


def load_changes(connection: sqlite3.Connection, about: str | None = None, most: int = 200) -> list[Change]:
    """Return the newest changes first, of one animal, cage or person where it is named."""
    where, values = ("WHERE about = ?", [about]) if about is not None else ("", [])
    rows = connection.execute(f"SELECT * FROM changes {where} ORDER BY id DESC LIMIT ?", (*values, most)).fetchall()
    return [
        Change(
            datetime.fromtimestamp(row["at"], UTC),
            row["who"],
            row["what"],
            row["about"],
            json.loads(row["before"]),
            json.loads(row["after"]),
            row["state"],
        )
        for row in rows
    ]


def claim_form(connection: sqlite3.Connection, once: str) -> str | None:
    """Return None where a form is new, else where its first copy led: "" while that is still being worked on."""
    now = time.time()
    connection.execute("DELETE FROM sent WHERE at < ?", (now - SENT_S,))
    cursor = connection.execute("INSERT OR IGNORE INTO sent VALUES (?, ?, '')", (once, now))
    if cursor.rowcount:
        return None
    row = connection.execute("SELECT location FROM sent WHERE once = ?", (once,)).fetchone()
    return str(row["location"]) if row is not None else None


def settle_form(connection: sqlite3.Connection, once: str, location: str | None) -> None:
    """Keep where a form led; None where it was refused, so that the corrected one can be sent."""
    if location is None:
        connection.execute("DELETE FROM sent WHERE once = ?", (once,))
    else:
        connection.execute("UPDATE sent SET location = ? WHERE once = ?", (location, once))


def _text(values: Mapping[str, Any]) -> str:
    kept = {key: ("set" if value else None) if key in HIDDEN else value for key, value in values.items()}
    return json.dumps(kept, ensure_ascii=False)
