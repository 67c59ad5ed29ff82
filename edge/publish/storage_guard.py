"""Work that needs a database: trouble is reported once, whoever meets it, and the work is tried again."""

from __future__ import annotations

from collections.abc import Callable

from edge.errors import StorageError
from edge.publish.log import StateLog


class StorageGuard:
    """Runs such work, and remembers which kinds of it fail at present."""

    def __init__(self, log: StateLog) -> None:
        """All is well until something fails."""
        self._log = log
        self._failing: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        """What cannot be read or written at present, "" for nothing."""
        return "; ".join(sorted(set(self._failing.values())))

    def run(self, what: str, work: Callable[[], object]) -> None:
        """Do the work; a database that refuses it ends neither the process nor the cycle."""
        try:
            work()
            self._failing.pop(what, None)
            if not self._failing:
                self._log.forget("storage")
        except StorageError as error:
            self._failing[what] = str(error)
            self._log.report("storage", f"{error}. It is tried again; nothing is lost", state=type(error).__name__)
