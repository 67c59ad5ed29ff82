"""How connections end: when to try again, how often each way happened, whether a second client takes the name."""

from __future__ import annotations

from collections import Counter

from edge.publish.ended import TAKEN_OVER, Ended
from edge.publish.jitter import jitter

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 20.0
STABLE_S = 10.0
QUICK_END_S, QUICK_ENDS = 25.0, 5
"""Two clients of one name take the connection from each other after the other's back-off, which grows to this."""
_REMEMBERED_S, _REPORTED_AGAIN_S = 600.0, 3600.0
UNREACHABLE = "unreachable"


class Reconnects:
    """The history of a device's connections since the process began; times are monotonic seconds."""

    def __init__(self) -> None:
        """The first connection may be tried at once."""
        self._counts: Counter[str] = Counter()
        self._retry_at_s, self._retry_s = 0.0, FIRST_RETRY_S
        self._quick: list[float] = []
        self._double_reported_s = float("-inf")

    @property
    def counts(self) -> dict[str, int]:
        """How often: `unreachable` (nobody listens), or a `edge.publish.ended.Ended.kind`."""
        return dict(sorted(self._counts.items()))

    @property
    def quick(self) -> int:
        """How many connections ended soon after their beginning, of late."""
        return len(self._quick)

    def due(self, now_s: float) -> bool:
        """Return whether to connect now."""
        return now_s >= self._retry_at_s

    def unreachable(self, now_s: float) -> None:
        """Count an attempt that met nobody."""
        self._counts[UNREACHABLE] += 1
        self._back_off(now_s)

    def lives(self, for_s: float) -> None:
        """A connection has lived so long: after a while the next end is tried again soon."""
        if for_s > STABLE_S:
            self._retry_s = FIRST_RETRY_S

    def ended(self, ended: Ended, lived_s: float | None, now_s: float) -> bool:
        """Count an end and return whether a second client with this identity is to be named now.

        The broker reports one by reason 0x8E; otherwise it is guessed from connections that end one after the other.
        lived_s: None where the broker had not accepted the connection.
        """
        self._counts[ended.kind] += 1
        self._back_off(now_s)
        is_reported = ended.code == TAKEN_OVER
        if lived_s is None or not (is_reported or (ended.kind == "broken" and lived_s < QUICK_END_S)):
            return False
        self._quick = [at_s for at_s in self._quick if now_s - at_s < _REMEMBERED_S] + [now_s]
        if len(self._quick) < (2 if is_reported else QUICK_ENDS) or now_s - self._double_reported_s < _REPORTED_AGAIN_S:
            return False
        self._double_reported_s = now_s
        return True

    def _back_off(self, now_s: float) -> None:
        self._retry_at_s = now_s + self._retry_s * jitter()
        self._retry_s = min(LAST_RETRY_S, self._retry_s * 2)
