"""`station.json`: what the logging process says of itself to `status`, beside the database."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FILE = "station.json"
EVERY_S = 10.0
LATE_S = 120.0
"""A process that has written nothing for so long does not run: more than its longest wait for a disk or a broker."""


@dataclass(frozen=True, slots=True)
class Running:
    """The newest that the file says.

    connected: whether the broker had accepted the station. said: why it is not connected, or what else is wrong, "" for
    nothing. ended: whether the process ended by itself.
    """

    name: str
    broker: str
    started_at: datetime
    updated_at: datetime
    connected: bool
    said: str
    ended: bool

    def runs(self, now: datetime) -> bool:
        """Return whether the process still runs, as far as the file shows."""
        return not self.ended and (now - self.updated_at).total_seconds() < LATE_S


class RunningFile:
    """The one writer: the logging process. Replaced atomically, never fsynced: a lost version costs ten seconds."""

    def __init__(self, data: Path, name: str, broker: str) -> None:
        """Nothing is written before the first `note`."""
        self._path, self._name, self._broker = data / FILE, name, broker
        self._started_at = datetime.now(UTC)
        self._noted: tuple[bool, str] | None = None
        self._at_s = float("-inf")

    def note(self, *, connected: bool, said: str = "", ended: bool = False) -> None:
        """Replace the file where this is news, and every ten seconds; a full disk is no reason to stop."""
        now_s = time.monotonic()
        if self._noted == (connected, said) and not ended and now_s - self._at_s < EVERY_S:
            return
        self._noted, self._at_s = (connected, said), now_s
        values = {
            "name": self._name,
            "broker": self._broker,
            "started_at": self._started_at.isoformat(),
            "updated_at": datetime.now(UTC).isoformat(),
            "connected": connected,
            "said": said[:2000],
            "ended": ended,
        }
        temporary = self._path.with_name(f".{FILE}")
        try:
            temporary.write_text(json.dumps(values))
            os.replace(temporary, self._path)
        except OSError:
            self._noted = None


def read_running(data: Path) -> Running | None:
    """Return what the process last said; None where there is nothing to be read."""
    try:
        found: Any = json.loads((data / FILE).read_bytes())
        return Running(
            str(found["name"]),
            str(found["broker"]),
            datetime.fromisoformat(found["started_at"]).astimezone(UTC),
            datetime.fromisoformat(found["updated_at"]).astimezone(UTC),
            bool(found["connected"]),
            str(found["said"]),
            bool(found["ended"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
