"""Which records are sent next. Pure: what is held, what the station has committed, what is in flight, the time.

In flight means sent and not yet committed. At most `limit` are, and the newest reading always passes. Only records
that the broker has acknowledged are sent again: of the others the client library still holds a copy.

A watermark names only so many holes and ends before the next one, so that what was sent above them stays in flight,
stored or not. The oldest numbers are what moves it: half a window of them is sent whatever else is in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from edge.contract.ranges import RangeSet

Key = tuple[str, int]
"""Epoch and sequence number."""

MAX_BACKOFF_S = 300.0
_OVERTAKEN_S = 1.0


@dataclass(frozen=True, slots=True)
class Sending:
    """One record in flight.

    attempts: how often it was handed over; acked: by the broker; resend_at_s: not before; order: of handing over.
    """

    attempts: int
    acked: bool
    resend_at_s: float
    order: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What the device can still send of an epoch: first..last."""

    epoch: str
    first: int
    last: int


@dataclass(slots=True)
class InFlightWindow:
    """The in-flight window of one stream.

    jitter: returns a factor, about 0.5-1.5, so that a fleet does not resend in step.
    passed: the newest reading that went out past a full window.
    oldest: what may go past a full window because the watermark waits for it.
    """

    limit: int
    resend_after_s: float
    jitter: Callable[[], float]
    in_flight: dict[Key, Sending] = field(default_factory=dict)
    passed: Key | None = None
    oldest: frozenset[Key] = frozenset()
    _overtaken: set[Key] = field(default_factory=set)
    _handed_over: int = 0

    def choose(
        self,
        held: Iterable[Held],
        done: Mapping[str, RangeSet],
        *,
        newest: Key | None,
        station_online: bool,
        now_s: float,
        fresh_above: Mapping[str, int] | None = None,
    ) -> list[Key]:
        """Return the keys to hand over now: due resends, then records in order, and always the newest reading.

        done: per epoch what is committed, or will never be sent.
        fresh_above: per epoch the last number of the backlog; what came after it does not queue up behind it.
        """
        chosen: list[Key] = []
        self._bring_forward(now_s)
        if station_online:
            chosen = [key for key, sent in self.in_flight.items() if sent.acked and sent.resend_at_s <= now_s]
        chosen += self._first_time(list(held), done, fresh_above or {})
        if newest is not None and self._passes(newest, done) and newest not in chosen:
            chosen.append(newest)
        return chosen

    def _first_time(self, held: list[Held], done: Mapping[str, RangeSet], above: Mapping[str, int]) -> list[Key]:
        """Return what goes for the first time: the oldest in any case, others while there is room; fresh ones first."""
        first = list(islice(_undone(held, done), max(1, self.limit // 2)))
        self.oldest = frozenset(first)
        due = [key for key in first if key not in self.in_flight]
        room = max(0, self.limit - len(self.in_flight) - len(due))
        known = self.oldest | self.in_flight.keys()
        others = (key for key in _undone(_fresh_first(held, above), done) if key not in known)
        place = {of.epoch: number for number, of in enumerate(held)}
        return sorted(
            [*islice(others, room), *due], key=lambda key: (key[1] <= above.get(key[0], 0), place[key[0]], key[1])
        )

    def _passes(self, newest: Key, done: Mapping[str, RangeSet]) -> bool:
        return newest not in self.in_flight and newest != self.passed and newest[1] not in done.get(newest[0], _EMPTY)

    def sent(self, key: Key, now_s: float) -> None:
        """Note that a record was handed over. The newest one of a full window is not tracked: its turn will come."""
        before = self.in_flight.get(key)
        if before is None and len(self.in_flight) >= self.limit and key not in self.oldest:
            self.passed = key
            return
        attempts = 1 if before is None else before.attempts + 1
        wait_s = min(MAX_BACKOFF_S, self.resend_after_s * 2.0 ** min(attempts - 1, 10)) * self.jitter()
        self._handed_over += 1
        self.in_flight[key] = Sending(attempts, False, now_s + wait_s, self._handed_over)

    def acked(self, key: Key) -> None:
        """Note the broker's acknowledgement, which is no delivery."""
        if key in self.in_flight:
            self.in_flight[key] = replace(self.in_flight[key], acked=True)

    def forget(self, key: Key) -> None:
        """Take a record out of flight; it will be sent anew unless it is committed by then."""
        self.in_flight.pop(key, None)

    def lose_connection(self) -> list[Key]:
        """Take out of flight what the broker has not acknowledged on the connection that ended, and return it."""
        lost = [key for key, sent in self.in_flight.items() if not sent.acked]
        for key in lost:
            del self.in_flight[key]
        self.passed = None
        return lost

    def settle(self, committed: Mapping[str, RangeSet]) -> list[Key]:
        """Take out of flight what is committed, and return it.

        A broker hands one subscriber its messages in order, so what was handed over before the last of these and is
        not among them was dropped on the way (mosquitto keeps 1,000 for a slow subscriber): it does not wait for its
        full time, as in TCP's fast retransmit (RFC 5681).
        """
        done = [key for key in self.in_flight if key[1] in committed.get(key[0], _EMPTY)]
        last = max((self.in_flight[key].order for key in done), default=0)
        for key in done:
            del self.in_flight[key]
        self._overtaken |= {key for key, sent in self.in_flight.items() if sent.order < last}
        return done

    def hurry(self, now_s: float, grace_s: float) -> None:
        """Make everything due after a short grace: the station came back and may have missed it all."""
        for key, sent in self.in_flight.items():
            soon_s = now_s + grace_s * self.jitter()
            self.in_flight[key] = replace(sent, attempts=1, resend_at_s=min(sent.resend_at_s, soon_s))

    def _bring_forward(self, now_s: float) -> None:
        for key in self._overtaken & self.in_flight.keys():
            sent, soon_s = self.in_flight[key], now_s + _OVERTAKEN_S * self.jitter()
            self.in_flight[key] = replace(sent, resend_at_s=min(sent.resend_at_s, soon_s))
        self._overtaken.clear()


def _undone(held: Iterable[Held], done: Mapping[str, RangeSet]) -> Iterator[Key]:
    """Yield what is neither committed nor never to be sent, in the order of `held`."""
    for epoch in held:
        for first, last in _gaps(epoch, done.get(epoch.epoch, _EMPTY)):
            for seq in range(first, last + 1):
                yield epoch.epoch, seq


def _fresh_first(held: Iterable[Held], fresh_above: Mapping[str, int]) -> list[Held]:
    """Split each epoch where its backlog ends, and put what came after in front."""
    fresh, backlog = [], []
    for of in held:
        last = fresh_above.get(of.epoch, 0)  # an epoch that began since is fresh
        fresh.append(Held(of.epoch, max(of.first, last + 1), of.last))
        backlog.append(Held(of.epoch, of.first, min(of.last, last)))
    return [of for of in fresh + backlog if of.first <= of.last]


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
