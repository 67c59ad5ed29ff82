"""Which records are sent next. Pure: what is held, what the station has committed, what is in flight, the time.

In flight means sent and not yet committed. At most `limit` are, and the newest reading always passes. Only records
that the broker has acknowledged are sent again: of the others the client library still holds a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from edge.contract.ranges import RangeSet

Key = tuple[str, int]
"""Epoch and sequence number."""

MAX_BACKOFF_S = 300.0


@dataclass(frozen=True, slots=True)
class Sending:
    """One record in flight. attempts: how often it was handed over; acked: by the broker; resend_at_s: not before."""

    attempts: int
    acked: bool
    resend_at_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """What the device can still send of an epoch: first..last."""

    epoch: str
    first: int
    last: int


@dataclass(slots=True)
class Window:
    """The in-flight window of one stream.

    jitter: returns a factor, about 0.5-1.5, so that a fleet does not resend in step.
    """

    limit: int
    resend_after_s: float
    jitter: Callable[[], float]
    in_flight: dict[Key, Sending] = field(default_factory=dict)

    def choose(
        self,
        held: Iterable[Held],
        committed: Mapping[str, RangeSet],
        *,
        newest: Key | None,
        station_online: bool,
        now_s: float,
        passed_over: Collection[Key] = (),
    ) -> list[Key]:
        """Return the keys to hand over now: the newest reading, then due resends, then new records in order.

        passed_over: quarantined, or known to have nothing to send.
        """
        chosen: list[Key] = []
        if newest is not None and newest not in self.in_flight and newest not in passed_over:
            if newest[1] not in committed.get(newest[0], _EMPTY):
                chosen.append(newest)
        if station_online:
            due = [key for key, sent in self.in_flight.items() if sent.acked and sent.resend_at_s <= now_s]
            chosen += due
        room = self.limit - len(self.in_flight) - (1 if newest in chosen else 0)
        for key in self._new(held, committed, passed_over) if room > 0 else ():
            if key != newest or newest not in chosen:
                chosen.append(key)
                room -= 1
                if room <= 0:
                    break
        return chosen

    def sent(self, key: Key, now_s: float) -> None:
        """Note that a record was handed over. The newest one of a full window is not tracked: its turn will come."""
        before = self.in_flight.get(key)
        if before is None and len(self.in_flight) >= self.limit:
            return
        attempts = 1 if before is None else before.attempts + 1
        wait_s = min(MAX_BACKOFF_S, self.resend_after_s * 2.0 ** min(attempts - 1, 10)) * self.jitter()
        self.in_flight[key] = Sending(attempts, False, now_s + wait_s)

    def acked(self, key: Key) -> None:
        """Note the broker's acknowledgement, which is no delivery."""
        if key in self.in_flight:
            self.in_flight[key] = replace(self.in_flight[key], acked=True)

    def forget(self, key: Key) -> None:
        """Take a record out of flight; it will be sent anew unless it is committed by then."""
        self.in_flight.pop(key, None)

    def settle(self, committed: Mapping[str, RangeSet]) -> list[Key]:
        """Take out of flight what is committed, and return it."""
        done = [key for key in self.in_flight if key[1] in committed.get(key[0], _EMPTY)]
        for key in done:
            del self.in_flight[key]
        return done

    def hurry(self, now_s: float, grace_s: float) -> None:
        """Make everything due after a short grace: the station came back and may have missed it all."""
        for key, sent in self.in_flight.items():
            soon_s = now_s + grace_s * self.jitter()
            self.in_flight[key] = Sending(1, sent.acked, min(sent.resend_at_s, soon_s))

    def _new(
        self, held: Iterable[Held], committed: Mapping[str, RangeSet], passed_over: Collection[Key]
    ) -> Iterator[Key]:
        for epoch in held:
            for first, last in _gaps(epoch, committed.get(epoch.epoch, _EMPTY)):
                for seq in range(first, last + 1):
                    key = (epoch.epoch, seq)
                    if key not in self.in_flight and key not in passed_over:
                        yield key


def _gaps(held: Held, committed: RangeSet) -> Iterator[tuple[int, int]]:
    """Yield the ranges of first..last that are not committed."""
    start = held.first
    for first, last in committed:
        if last < start:
            continue
        if first > held.last:
            break
        if first > start:
            yield start, first - 1
        start = last + 1
    if start <= held.last:
        yield start, held.last


_EMPTY = RangeSet()
