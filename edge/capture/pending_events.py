"""Events that have to be appended before the next reading: an unreported hole in the readings is the worst of all.

A slot that passed unseen, or whose reading a full disk refused, is known to this process alone until its `gap` event is
durable. Were the next reading stored first, a kill between the two would leave a hole that looks like none: the next
start believes that everything up to the newest reading is settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edge.capture.event_writer import EventWriter
from edge.capture.start_events import THROUGH
from edge.contract.base import Scalar
from edge.contract.record import Event

UNSEEN = "passed unseen"
RAISED = "could not be taken: an error of the program; see its standard error"
DISK_FULL = "could not be kept: the disk was full"


class PendingEvents:
    """Events that wait for their turn, and slots without a reading, gathered into one event."""

    def __init__(self, events: EventWriter) -> None:
        """Nothing is pending yet."""
        self._events = events
        self._calls: deque[Callable[[], object]] = deque()
        self._slots: dict[str, int] = {}
        self._through_s = 0.0
        self._gap: Event | None = None
        self._named: dict[str, int] = {}

    def add(self, append: Callable[[], object]) -> None:
        """Keep a call that appends one or more events."""
        self._calls.append(append)

    def add_missed(self, count: int, through_s: float, why: str) -> None:
        """Count due slots without a reading, the newest of them due at `through_s` of the boot's monotonic clock."""
        self._slots[why] = self._slots.get(why, 0) + count
        self._through_s = through_s

    def append_all(self) -> None:
        """Append everything that is pending, in order.

        Raises:
            StorageError: the outbox cannot keep something; that and what follows stays pending.
        """
        if self._slots:
            self._append_gap()
        while self._calls:
            self._calls[0]()
            self._calls.popleft()

    def _append_gap(self) -> None:
        """Append one event for all slots. While none of them is durable, before the first reading, it stays one."""
        if self._events.withdraw(self._gap):
            for why, number in self._named.items():
                self._slots[why] = self._slots.get(why, 0) + number
        self._gap, self._named = None, {}
        count = sum(self._slots.values())
        text = ", ".join(f"{number} due slots {why}" for why, number in self._slots.items())
        detail: dict[str, Scalar] = {"missed_slots": count, THROUGH: self._through_s}
        self._gap = self._events.append("gap", text, **detail)
        self._named, self._slots = self._slots, {}
