"""What happened, and who did it: written once, never changed."""

from __future__ import annotations

import os
import pwd
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

FLEET = "fleet"
"""Who did what no person did."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. rollout 0, device "": none."""

    at: datetime
    who: str
    what: str
    rollout: int
    device: str
    text: str


def keep(
    connection: sqlite3.Connection,
    now_s: float,
    who: str,
    what: str,
    text: str = "",
    *,
    rollout: int = 0,
    device: str = "",
) -> None:
    """Add a line, in the caller's transaction."""
    connection.execute(
        "INSERT INTO history (at_s, who, what, rollout, device, text) VALUES (?, ?, ?, ?, ?, ?)",
        (now_s, who, what, rollout, device, text[:2000]),
    )


def load_history(
    connection: sqlite3.Connection, *, rollout: int | None = None, device: str | None = None, most: int = 200
) -> list[Entry]:
    """Return the newest lines, oldest first, of one rollout or device where it is named."""
    named = {"rollout": rollout, "device": device}
    given = {name: value for name, value in named.items() if value is not None}
    where = " AND ".join(f"{name} = ?" for name in given) or "1"
    query = f"SELECT * FROM history WHERE {where} ORDER BY id DESC LIMIT ?"
    rows = connection.execute(query, (*given.values(), most)).fetchall()
    return [
        Entry(
            datetime.fromtimestamp(row["at_s"], UTC),
            row["who"],
            row["what"],
            row["rollout"],
            row["device"],
            row["text"],
        )
        for row in reversed(rows)
    ]


def person() -> str:
    """Return the account of whoever types: the one before `sudo`, where that was used."""
    if os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
