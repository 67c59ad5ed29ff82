"""Everything that was asked for again: until the broker has acknowledged it, or until a named station has it all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edge.contract.command import ReplayRequest
from edge.contract.committed import Committed
from edge.contract.topics import DeviceTopics, station_availability
from edge.publish.connection import Connection
from edge.publish.delivery.window import Held, Key
from edge.publish.replay.for_station import Addressed
from edge.publish.replay.queued import Replay

STEP = 20
"""Messages of one request that may wait for the broker's answer."""
KEPT = 8
"""Requests for named stations that are kept; the oldest gives way, and is asked for again."""
SendAgain = Callable[[Key], list[int] | None]
"""Hands a record over and returns the message ids; none where it is gone, None where the connection takes no more."""


class Replays:
    """The requests of one device. Nothing here releases a record."""

    def __init__(self, topics: DeviceTopics, resend_after_s: float, jitter: Callable[[], float]) -> None:
        """Nothing is asked for yet."""
        self._topics, self._resend_after_s, self._jitter = topics, resend_after_s, jitter
        self._queued: deque[Replay] = deque()
        self._addressed: list[Addressed] = []

    def begin(self, request: ReplayRequest, wanted: list[Held]) -> int:
        """Queue the records, of whatever epochs, and return how many."""
        count = sum(of.last - of.first + 1 for of in wanted)
        if count and request.station is not None:
            self._addressed.append(
                Addressed.begin(request.id, request.station, wanted, self._resend_after_s, self._jitter)
            )
            del self._addressed[:-KEPT]
        elif count:
            waiting = deque((of.epoch, seq) for of in wanted for seq in range(of.first, of.last + 1))
            self._queued.append(Replay(request.id, count, waiting=waiting))
        return count

    def finished(self) -> Replay | Addressed | None:
        """Return a request that a station has all of, or the oldest one that was sent and answered; forget it."""
        for replay in self._addressed:
            if replay.done:
                self._addressed.remove(replay)
                return replay
        return self._queued.popleft() if self._queued and self._queued[0].done else None

    def acked(self, mid: int, *, well: bool) -> bool:
        """Take in the broker's answer to a message; return whether it was one of these."""
        if any(replay.acked(mid) for replay in self._addressed):
            return True
        return any(replay.acked(mid, well=well) for replay in self._queued)

    def note_availability(self, station: str, online: bool, now_s: float) -> None:
        """Take in the availability of a station that a request is for."""
        for replay in self._addressed:
            if replay.station == station:
                replay.note_availability(online, now_s)

    def committed(self, station: str, message: Committed) -> None:
        """Take in the watermark of a station that a request is for."""
        for replay in self._addressed:
            if replay.station == station:
                replay.committed(message)

    def lose_connection(self) -> None:
        """Take back what was unanswered."""
        for replay in self._queued:
            replay.lose_connection()
        for addressed in self._addressed:
            addressed.lose_connection()

    def send(self, connection: Connection, send_again: SendAgain, now_s: float, *, taken: bool) -> int:
        """Hand over what may go now and return how many messages that were. taken: there is somebody to take them."""
        sent = self._send_queued(send_again) if taken else 0
        return sent + self._send_addressed(connection, send_again, now_s)

    def _send_queued(self, send_again: SendAgain) -> int:
        """Send the next ones of the oldest request, a few at a time, so that live readings never queue behind it."""
        sent = 0
        while self._queued and self._queued[0].waiting and len(self._queued[0].pending) < STEP:
            replay = self._queued[0]
            key = replay.waiting.popleft()
            mids = send_again(key)
            if mids is None:
                replay.waiting.appendleft(key)
                break
            replay.sent(key, mids)
            sent += len(mids)
        return sent

    def _send_addressed(self, connection: Connection, send_again: SendAgain, now_s: float) -> int:
        """Send what a named station lacks, as far as its own watermark lets."""
        sent = 0
        for replay in self._addressed:
            if not replay.subscribed:  # the watermark first, so that what the station has is known when it is online
                connection.subscribe([self._topics.committed(replay.station), station_availability(replay.station)])
                replay.subscribed = True
            for key in replay.choose(now_s):
                mids = send_again(key)
                if mids is None:
                    break
                if mids:
                    replay.sent(key, mids, now_s)
                else:
                    replay.pass_over(key)
                sent += len(mids)
        return sent
