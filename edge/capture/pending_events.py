"""What the sequence must be told before it gets the next reading: a hole that nobody knows of is the worst of all.

A slot that passed unseen, or whose reading a full disk refused, is known to this process alone until its `gap` event is
durable. Were the next reading stored first, a kill between the two would leave a hole that looks like none: the next
start believes that everything up to the newest reading is settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edge.capture.journal import Journal
from edge.capture.start_events import THROUGH
from edge.contract.base import Scalar

UNSEEN = "passed unseen"
RAISED = "could not be taken: an error of the program, said on its standard error"
DISK_FULL = "could not be kept: the disk was full"


class Owed:
    """Events that wait for their turn, and slots without a reading, gathered into one event."""

    def __init__(self, journal: Journal) -> None:
        """Nothing is owed yet."""
        self._journal = journal
        self._events: deque[Callable[[], None]] = deque()
        self._slots: dict[str, int] = {}
        self._through_s = 0.0

    def event(self, tell: Callable[[], None]) -> None:
        """Owe what `tell` appends."""
        self._events.append(tell)

    def slots(self, count: int, through_s: float, why: str) -> None:
        """Owe so many due slots, the newest of them due at `through_s` of the boot's monotonic clock."""
        self._slots[why] = self._slots.get(why, 0) + count
        self._through_s = through_s

    def tell(self) -> None:
        """Append all of it, in order.

        Raises:
            StorageError: the outbox cannot keep something; that and what follows is still owed.
        """
        if self._slots:
            count = sum(self._slots.values())
            text = ", ".join(f"{number} due slots {why}" for why, number in self._slots.items())
            detail: dict[str, Scalar] = {"missed_slots": count, THROUGH: self._through_s}
            self._journal.event("gap", text, **detail)
            self._slots.clear()
        while self._events:
            self._events[0]()
            self._events.popleft()
