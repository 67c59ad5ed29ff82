"""Records sent again for one named station, until its own database has them. Pure: which go next, what became of them.

What a broker acknowledged may still be dropped before a slow subscriber (mosquitto keeps 1,000 messages for each), and
the watermark of the releasing station says nothing of another one. So the named station's watermark bounds what is in
flight to it, and only that ends the request. Nothing here releases a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edge.contract.base import Scalar
from edge.contract.committed import Committed
from edge.contract.ranges import RangeSet
from edge.publish.delivery.window import Held, InFlightWindow, Key

LIMIT = 50
"""Records in flight; with their pictures twice as many messages."""
GRACE_S = 2.0


@dataclass(slots=True)
class Addressed:
    """One request: the numbers of `held`, of one epoch or many, for `station`.

    pending: message ids, of records and pictures, that the broker has not answered. gone: numbers that cannot be sent.
    """

    request: str
    station: str
    held: list[Held]
    window: InFlightWindow
    online: bool = False
    subscribed: bool = False
    station_db: str = ""
    stored: dict[str, RangeSet] = field(default_factory=dict)
    gone: dict[str, RangeSet] = field(default_factory=dict)
    left: list[Held] | None = None
    pending: dict[int, Key] = field(default_factory=dict)

    @classmethod
    def begin(
        cls, request: str, station: str, held: list[Held], resend_after_s: float, jitter: Callable[[], float]
    ) -> Addressed:
        """Return the request before anything of it was sent."""
        return cls(request, station, held, InFlightWindow(LIMIT, resend_after_s, jitter))

    @property
    def done(self) -> bool:
        """Whether the station has everything that could be sent."""
        return not self._left()

    def choose(self, now_s: float) -> list[Key]:
        """Return what to hand over now; nothing while the station is away."""
        if not self.online:
            return []
        held = self._left()[: 2 * LIMIT]
        done = {of.epoch: self._through(of.epoch) for of in held}
        return self.window.choose(held, done, newest=None, station_online=True, now_s=now_s)

    def _left(self) -> list[Held]:
        """Return the ranges of which something is still to come."""
        if self.left is None:
            self.left = [of for of in self.held if self._through(of.epoch).missing(of.first, of.last)]
        return self.left

    def _through(self, epoch: str) -> RangeSet:
        return RangeSet([*self.stored.get(epoch, ()), *self.gone.get(epoch, ())])

    def sent(self, key: Key, mids: Iterable[int], now_s: float) -> None:
        """Note under which ids a record and its picture went out."""
        self.pending |= dict.fromkeys(mids, key)
        self.window.sent(key, now_s)

    def pass_over(self, key: Key) -> None:
        """Leave out a record that is gone or too large by now."""
        self.gone.setdefault(key[0], RangeSet()).add(key[1])
        self.left = None
        self.window.forget(key)

    def acked(self, mid: int) -> bool:
        """Take in the broker's answer, of whatever code; return whether it was one to this request."""
        key = self.pending.pop(mid, None)
        if key is None:
            return False
        if key not in self.pending.values():
            self.window.acked(key)
        return True

    def committed(self, message: Committed) -> None:
        """Take in the station's watermark: a record counts when its picture is accounted for too.

        Of an epoch that the same database does not name, all stays as it is.
        """
        if message.station_db != self.station_db:
            self.station_db, self.stored = message.station_db, {}
        wanted = {of.epoch for of in self.held}
        for of in message.epochs:
            if of.epoch in wanted:
                records = RangeSet.from_watermark(of.through, of.holes)
                both = _both(records, RangeSet.from_watermark(of.thumbnails_through, of.thumbnail_holes))
                self.stored[of.epoch] = both
        self.left = None
        self.window.settle(self.stored)

    def note_availability(self, online: bool, now_s: float) -> None:
        """Take in the station's availability; when it comes back it may have missed all that is in flight."""
        if online and not self.online:
            self.window.hurry(now_s, GRACE_S)
        self.online = online

    def lose_connection(self) -> None:
        """Take back what was unanswered; station and subscriptions are to be asked for anew."""
        self.window.lose_connection()
        self.pending.clear()
        self.online = self.subscribed = False

    def report(self) -> tuple[str, dict[str, Scalar]]:
        """Return what became of it, in words and as numbers."""
        records = sum(of.last - of.first + 1 for of in self.held)
        stored = records - sum(
            last - first + 1
            for of in self.held
            for first, last in self.stored.get(of.epoch, RangeSet()).missing(of.first, of.last)
        )
        return f"{stored} of {records} records are stored by {self.station}", {"records": records, "stored": stored}


def _both(one: RangeSet, other: RangeSet) -> RangeSet:
    """Return the numbers that are in both."""
    found = RangeSet()
    for first, last in one:
        for begin, end in other:
            if max(first, begin) <= min(last, end):
                found.add(max(first, begin), min(last, end))
    return found
