"""One stream of a device, records or thumbnails: what is done, what is in flight, what the broker refused."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from edge.contract.ranges import RangeSet
from edge.publish.delivery.refused import Refusals
from edge.publish.delivery.window import Held, InFlightWindow, Key


class Stream:
    """In-flight window, committed and skipped numbers of one stream; holds no connection and no file."""

    def __init__(self, name: str, limit: int, resend_after_s: float, jitter: Callable[[], float]) -> None:
        """Begin with nothing committed."""
        self.name = name
        self.window = InFlightWindow(limit, resend_after_s, jitter)
        self.committed: dict[str, RangeSet] = {}
        self.suspects: set[Key] = set()
        self.refusals = Refusals(jitter)
        self.paused_until_s = 0.0
        self._done: dict[str, RangeSet] = {}
        self._skipped: dict[str, RangeSet] = {}
        self._put_off: dict[str, RangeSet] = {}
        self._version = 0
        self._open: tuple[tuple[int, int], list[Held]] = ((-1, -1), [])

    def set_committed(self, committed: Mapping[str, RangeSet]) -> None:
        """Take what a station has in place of all that was known: another database, so that the ring is open again."""
        known, self.committed = {*self.committed, *self._done}, dict(committed)
        for epoch in known | self.committed.keys():
            self._rebuild(epoch)
        self._settle()

    def note_committed(self, committed: Mapping[str, RangeSet]) -> None:
        """Take what a station has of these epochs, which may be less than before; of others all stays as it is."""
        for epoch, ranges in committed.items():
            self.committed[epoch] = ranges
            self._rebuild(epoch)
        self._settle()

    def _rebuild(self, epoch: str) -> None:
        """Bring together what is not to be sent of an epoch: delivered, given up, or not now."""
        done = self.committed.get(epoch, _NOTHING).copy()
        for passed in (self._skipped.get(epoch, ()), self._put_off.get(epoch, ()), self.refusals.passed_over(epoch)):
            for first, last in passed:
                done.add(first, last)
        self._done[epoch] = done
        self._version += 1

    def _settle(self) -> None:
        self.window.settle(self._done)
        self.refusals.settle(self.committed)
        self.suspects = {key for key in self.suspects if key[1] not in self._done.get(key[0], _NOTHING)}

    def forget_epochs(self, held: Container[str]) -> None:
        """Forget the epochs that the card does not hold any more."""
        for known in (self.committed, self._done, self._skipped, self._put_off):
            for epoch in [epoch for epoch in known if epoch not in held]:
                del known[epoch]
        self.refusals.forget_epochs(held)

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
        """Count one record as delivered, where the broker's acknowledgement is all there is."""
        self.committed.setdefault(key[0], RangeSet()).add(key[1])
        self._finish(key)

    def skip(self, key: Key) -> None:
        """Never send this one: it is gone, or has no picture."""
        self._skipped.setdefault(key[0], RangeSet()).add(key[1])
        self._finish(key)

    def given_up(self, epoch: str) -> RangeSet:
        """Return the numbers of an epoch that are never sent."""
        return self._skipped.get(epoch, _NOTHING)

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
        if self.refusals.wake(now_s):
            self._rebuild_all()
        if now_s < self.paused_until_s:
            return []
        single = self.suspects | self.refusals.alone()
        if single:
            if any(not sent.acked for sent in self.window.in_flight.values()):
                return []
            return [min(single)]
        chosen = self.window.choose(
            held, self._done, newest=newest, station_online=station_online, now_s=now_s, fresh_above=fresh_above
        )
        if not self.refusals.general or not chosen:
            return chosen
        self.refusals.ask()
        return chosen[:1]

    def connected(self, fits: Callable[[int], bool]) -> None:
        """A new connection: whoever denied or refused something may have changed their mind with it."""
        self.paused_until_s = 0.0
        self.refusals.connect(fits)
        self._rebuild_all()

    def lose_connection(self, *, suspicious: bool, now_s: float) -> Key | None:
        """Take back what was unacknowledged; return a record that is worth a report: it keeps ending connections."""
        lost = self.window.lose_connection()
        if not suspicious:
            return None
        if len(lost) != 1:
            self.suspects.update(lost)
            return None
        (key,) = lost
        self.suspects.discard(key)
        report = self.refusals.end_alone(key, now_s)
        self._rebuild(key[0])
        return key if report else None

    def acked(self, key: Key) -> None:
        """Note that the broker took a message, or that it denied it for a reason that is not the message's."""
        self.window.acked(key)
        self.suspects.discard(key)

    def taken(self, key: Key) -> None:
        """Note that the broker took a message."""
        self.acked(key)
        if self.refusals.note_taken(key):
            self._rebuild_all()

    def refused(self, key: Key, reason: str, now_s: float) -> bool:
        """Let a record wait that the broker refused; return whether it is worth a report: others were taken."""
        self.window.forget(key)
        self.suspects.discard(key)
        report = self.refusals.refuse(key, reason, now_s)
        self._rebuild(key[0])
        if self.refusals.general:
            self.paused_until_s = now_s + self.refusals.ask_after_s()
        return report

    def too_large(self, key: Key, size: int) -> None:
        """Let a record wait for a connection that takes so many bytes."""
        self.window.forget(key)
        self.suspects.discard(key)
        self.refusals.note_too_large(key, size)
        self._rebuild(key[0])

    def suspected(self) -> dict[Key, int]:
        """Return what is under suspicion, with how often it was alone in flight at the end of a connection."""
        return dict.fromkeys(self.suspects, 0) | self.refusals.times()

    def restore_suspects(self, suspected: Mapping[Key, int], now_s: float) -> None:
        """Take up the suspicions of an earlier process."""
        self.suspects.update(key for key, times in suspected.items() if times == 0)
        self.refusals.restore({key: times for key, times in suspected.items() if times > 0}, now_s)
        self._rebuild_all()
        self._settle()

    def _rebuild_all(self) -> None:
        for epoch in {*self._done, *self.committed, *self.refusals.epochs()}:
            self._rebuild(epoch)

    def _finish(self, key: Key) -> None:
        self._done.setdefault(key[0], RangeSet()).add(key[1])
        self._version += 1
        self.window.forget(key)
        self.suspects.discard(key)
        self.refusals.finish(key)


_NOTHING = RangeSet()
