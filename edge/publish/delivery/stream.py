"""One stream of a device, records or thumbnails: what is done, what is in flight, what the broker refused."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from edge.contract.ranges import RangeSet
from edge.publish.delivery.window import Held, Key, Window

MAX_STRIKES = 5
"""A record refused so often, or alone in flight at the end of so many connections, is quarantined."""


class Stream:
    """Window, committed and skipped numbers of one stream; holds no connection and no file."""

    def __init__(self, name: str, limit: int, resend_after_s: float, jitter: Callable[[], float]) -> None:
        """Begin with nothing committed."""
        self.name = name
        self.window = Window(limit, resend_after_s, jitter)
        self.committed: dict[str, RangeSet] = {}
        self.suspects: set[Key] = set()
        self.paused_until_s = 0.0
        self._done: dict[str, RangeSet] = {}
        self._skipped: dict[str, RangeSet] = {}
        self._put_off: dict[str, RangeSet] = {}
        self._strikes: dict[Key, int] = {}
        self._version = 0
        self._open: tuple[tuple[int, int], list[Held]] = ((-1, -1), [])

    def set_committed(self, committed: Mapping[str, RangeSet]) -> None:
        """Take what a station has in place of all that was known: another database, so that the ring is open again."""
        committed = dict(committed)  # it may be this very one
        self.committed, self._done = {}, {}
        for passed in (self._skipped, self._put_off):
            for epoch, ranges in passed.items():
                for first, last in ranges:
                    self._done.setdefault(epoch, RangeSet()).add(first, last)
        self.note_committed(committed)

    def note_committed(self, committed: Mapping[str, RangeSet]) -> None:
        """Take what a station has of these epochs, which may be less than before; of others all stays as it is."""
        for epoch, ranges in committed.items():
            self.committed[epoch] = ranges
            done = ranges.copy()
            for passed in (self._skipped, self._put_off):
                for first, last in passed.get(epoch, ()):
                    done.add(first, last)
            self._done[epoch] = done
        self._version += 1
        self.window.settle(self._done)
        self._clear_resolved()

    def forget_epochs(self, held: Container[str]) -> None:
        """Forget the epochs that the card does not hold any more."""
        for known in (self.committed, self._done, self._skipped, self._put_off):
            for epoch in [epoch for epoch in known if epoch not in held]:
                del known[epoch]

    def open_epochs(self, held: list[Held], version: int) -> list[Held]:
        """Return those of which something is to be sent: the oldest and the newest, as many as a window may want.

        version: of `held`; a card may hold thousands of epochs, and they are looked through only after a change.
        """
        if self._open[0] != (version, self._version):
            left = [of for of in held if not self._is_done(of)]
            most = 2 * self.window.limit
            self._open = (version, self._version), left if len(left) <= 2 * most else left[:most] + left[-most:]
        return self._open[1]

    def _is_done(self, of: Held) -> bool:
        done = self._done.get(of.epoch)
        return done is not None and not done.missing(of.first, of.last)

    def commit(self, key: Key) -> None:
        """Count one record as delivered, where the broker's word is all there is."""
        self.committed.setdefault(key[0], RangeSet()).add(key[1])
        self._finish(key)

    def skip(self, key: Key) -> None:
        """Never send this one: it is quarantined, gone, or has no picture."""
        self._skipped.setdefault(key[0], RangeSet()).add(key[1])
        self._finish(key)

    def put_off(self, key: Key) -> None:
        """Do not send this one for now: the file does not hold it as it was written."""
        self._put_off.setdefault(key[0], RangeSet()).add(key[1])
        self._finish(key)

    def take_up(self) -> None:
        """Try again what was put off: the file has been replaced."""
        if self._put_off:
            self._put_off.clear()
            self.set_committed(self.committed)

    def choose(
        self,
        held: list[Held],
        newest: Key | None,
        *,
        station_online: bool,
        now_s: float,
        fresh_above: Mapping[str, int] | None = None,
    ) -> list[Key]:
        """Return what to hand over now. After a connection ended under several, they go one at a time."""
        if now_s < self.paused_until_s:
            return []
        if self.suspects:
            if any(not sent.acked for sent in self.window.in_flight.values()):
                return []
            return [min(self.suspects)]
        return self.window.choose(
            held, self._done, newest=newest, station_online=station_online, now_s=now_s, fresh_above=fresh_above
        )

    def lose_link(self, *, suspicious: bool) -> Key | None:
        """Take back what was unacknowledged; return a record that keeps ending connections, if one is found."""
        lost = self.window.lose_link()
        if not suspicious:
            return None
        if len(lost) == 1 and self.strike(lost[0]):
            return lost[0]
        self.suspects.update(lost)
        return None

    def acked(self, key: Key) -> None:
        """Note the broker's acknowledgement, of whatever code."""
        self.window.acked(key)
        self.suspects.discard(key)

    def doubts(self) -> dict[Key, int]:
        """Return what is under suspicion, with how often it was refused or ended a connection alone."""
        return dict.fromkeys(self.suspects, 0) | self._strikes

    def restore_doubts(self, doubts: Mapping[Key, int]) -> None:
        """Take up the suspicions of an earlier process."""
        self.suspects.update(doubts)
        self._strikes |= {key: strikes for key, strikes in doubts.items() if strikes}
        self._clear_resolved()

    def strike(self, key: Key) -> bool:
        """Count a refusal; return whether it was one too many."""
        self._strikes[key] = self._strikes.get(key, 0) + 1
        return self._strikes[key] >= MAX_STRIKES

    def _finish(self, key: Key) -> None:
        self._done.setdefault(key[0], RangeSet()).add(key[1])
        self._version += 1
        self.window.forget(key)
        self.suspects.discard(key)
        self._strikes.pop(key, None)

    def _clear_resolved(self) -> None:
        done = self._done
        self.suspects = {key for key in self.suspects if key[1] not in done.get(key[0], RangeSet())}
        self._strikes = {key: n for key, n in self._strikes.items() if key[1] not in done.get(key[0], RangeSet())}
