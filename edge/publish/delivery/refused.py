"""What a broker refuses, or what ended connections: each record waits by itself, longer each time; the others go on.

Whether a record is at fault or the broker of the moment cannot be known, so nothing is ever given up: it stays on the
device and is tried again, at least daily. A broker that refuses one record after the other is asked with one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from edge.contract.ranges import RangeSet
from edge.publish.delivery.window import Key

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 57_600.0
"""The wait grows fourfold from the one to the other; with its jitter (0.5-1.5) the longest is a day."""
IN_A_ROW = 5
"""After so many refusals without a message that was taken, it is the broker's state and no record's fault."""
_PROBE_S, _LONGEST_PROBE_S = 5.0, 300.0
REPORT_AT = 5
"""A record that was refused so often while others were taken is reported to the lab."""
_NOTHING = RangeSet()


@dataclass(slots=True)
class Refusal:
    """One record that waits.

    times: how often it was refused, or alone in flight at the end of a connection; alone: it has to be sent alone;
    taken_before: how many messages the broker had taken when it was first refused.
    """

    times: int
    retry_at_s: float
    reason: str
    alone: bool
    taken_before: int


class Refusals:
    """The records of one stream that wait, and those that are too large for the broker of the moment."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        """Nothing was refused yet."""
        self._jitter = jitter
        self._waiting: dict[Key, Refusal] = {}
        self._due: dict[Key, Refusal] = {}
        self._too_large: dict[str, RangeSet] = {}
        self._smallest = 0
        self._in_a_row = self._asked = self._taken = 0

    def refuse(self, key: Key, reason: str, now_s: float) -> bool:
        """Let a record wait that the broker refused; return whether that is worth a report: others were taken."""
        self._in_a_row += 1
        found = self._wait(key, reason, now_s, alone=False)
        return found.times == REPORT_AT and self._taken > found.taken_before

    def end_alone(self, key: Key, now_s: float) -> bool:
        """Let a record wait that was alone in flight when its connection ended; return as `refuse` does."""
        found = self._wait(key, "the connection ended each time it was sent alone", now_s, alone=True)
        return found.times == REPORT_AT and self._taken > found.taken_before

    def note_too_large(self, key: Key, size: int) -> None:
        """Let a record wait for a connection with a larger limit; size: bytes of its message."""
        self.finish(key)  # one that had to be sent alone must not keep the others waiting for it
        self._too_large.setdefault(key[0], RangeSet()).add(key[1])
        self._smallest = min(self._smallest or size, size)

    def note_taken(self, key: Key) -> bool:
        """Note that the broker took a message; return whether records that waited are due again by it."""
        self.finish(key)
        self._taken += 1
        general, self._in_a_row, self._asked = self.general, 0, 0
        return general and self._release(now_s=None)

    def finish(self, key: Key) -> None:
        """Forget a record that is delivered, or gone."""
        self._waiting.pop(key, None)
        self._due.pop(key, None)

    def connect(self, fits: Callable[[int], bool]) -> None:
        """Try again on a new connection what the broker refused, and what may not be too large for it.

        What has to be sent alone is not tried with each connection: it may end each.
        """
        self._in_a_row = self._asked = 0
        self._release(now_s=None)
        if self._too_large and fits(self._smallest):
            self._too_large.clear()
            self._smallest = 0

    def wake(self, now_s: float) -> bool:
        """Make due whose time has come; return whether there were any."""
        return bool(self._waiting) and self._release(now_s=now_s)

    def passed_over(self, epoch: str) -> RangeSet:
        """Return the numbers of an epoch that are not to be sent now."""
        found = self._too_large.get(epoch, RangeSet()).copy()
        for of, seq in self._waiting:
            if of == epoch:
                found.add(seq)
        return found

    def alone(self) -> set[Key]:
        """Return the records that are due and have to be sent alone."""
        return {key for key, found in self._due.items() if found.alone}

    @property
    def general(self) -> bool:
        """Whether the broker refuses one record after the other."""
        return self._in_a_row >= IN_A_ROW

    def ask(self) -> None:
        """Note that one message goes to a broker that refuses one after the other, to see whether it still does."""
        self._asked += 1

    def ask_after_s(self) -> float:
        """Return how long to wait before it is asked again."""
        wait_s = _PROBE_S * 2.0 ** min(self._asked, 10)
        return min(_LONGEST_PROBE_S, wait_s) * self._jitter()

    def count(self) -> int:
        """Return how many records stay on the device because the broker does not take them."""
        return len(self._waiting) + len(self._due) + sum(numbers.count() for numbers in self._too_large.values())

    def reasons(self) -> list[str]:
        """Return why, each reason once."""
        found = {refusal.reason for refusal in [*self._waiting.values(), *self._due.values()]}
        if self._too_large:
            found.add(f"larger ({self._smallest} bytes and more) than the broker or mqtt.max_packet_kb allow")
        return sorted(found)

    def times(self) -> dict[Key, int]:
        """Return how often each record was alone in flight at the end of a connection, to be kept over a restart."""
        return {key: found.times for key, found in (self._waiting | self._due).items() if found.alone}

    def restore(self, times: dict[Key, int], now_s: float) -> None:
        """Take up what an earlier process kept: each waits as long as it would have waited then."""
        for key, number in times.items():
            self._waiting[key] = Refusal(number - 1, now_s, "", True, 0)
            self._wait(key, "the connection ended each time it was sent alone", now_s, alone=True)

    def settle(self, done: Mapping[str, RangeSet]) -> None:
        """Forget the records that are done: the station has them, whoever sent them, or they are gone."""
        for known in (self._waiting, self._due):
            for key in [key for key in known if key[1] in done.get(key[0], _NOTHING)]:
                del known[key]
        for epoch in self._too_large.keys() & done.keys():
            left = [gap for first, last in self._too_large.pop(epoch) for gap in done[epoch].missing(first, last)]
            if left:
                self._too_large[epoch] = RangeSet(left)

    def forget_epochs(self, held: Container[str]) -> None:
        """Forget the epochs that the device does not hold any more."""
        for known in (self._waiting, self._due):
            for key in [key for key in known if key[0] not in held]:
                del known[key]
        for epoch in [epoch for epoch in self._too_large if epoch not in held]:
            del self._too_large[epoch]

    def epochs(self) -> set[str]:
        """Return the epochs of which something waits."""
        return {key[0] for key in self._waiting} | set(self._too_large)

    def _wait(self, key: Key, reason: str, now_s: float, *, alone: bool) -> Refusal:
        found = self._due.pop(key, None) or self._waiting.get(key) or Refusal(0, 0.0, "", alone, self._taken)
        found.times += 1
        found.reason, found.alone = reason, found.alone or alone
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 4.0 ** min(found.times - 1, 10))
        found.retry_at_s = now_s + wait_s * self._jitter()
        self._waiting[key] = found
        return found

    def _release(self, *, now_s: float | None) -> bool:
        """Make due what was to wait until now; None: all that the broker refused with a word."""
        ready = [
            key
            for key, found in self._waiting.items()
            if (not found.alone if now_s is None else found.retry_at_s <= now_s)
        ]
        for key in ready:
            self._due[key] = self._waiting.pop(key)
        return bool(ready)
