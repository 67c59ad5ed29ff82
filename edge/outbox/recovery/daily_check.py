"""When the whole of a file is checked: once after the start, once a day, and whenever its reader asks for it."""

from __future__ import annotations

from pathlib import Path

from edge.errors import DatabaseDamaged
from edge.outbox.recovery.integrity import Check

CHECK_EVERY_S = 86_400.0


class DailyCheck:
    """Starts a check beside the captures when one is due, and reports what it found."""

    def __init__(self, path: Path) -> None:
        """The first call of `look` starts one."""
        self._path = path
        self._check: Check | None = None
        self._asked, self._due_s = "", float("-inf")

    @property
    def is_running(self) -> bool:
        """Whether a check is still to be finished, or its finding to be looked at."""
        return self._check is not None

    def look(self, now_s: float, asked: str) -> None:
        """Start a check where one is due. asked: names the newest request for one, "" for none.

        Raises:
            DatabaseDamaged: a check has ended and the file is not what was written.
        """
        if self._check is None and (now_s >= self._due_s or asked != self._asked):
            self._asked, self._due_s = asked, now_s + CHECK_EVERY_S
            self._check = Check(self._path)
        if self._check is not None and self._check.finished():
            finding = self._check.finding()
            self._check = None
            if finding:
                raise DatabaseDamaged(finding)

    def stop(self) -> None:
        """Break a running check off."""
        if self._check is not None:
            self._check.stop()
