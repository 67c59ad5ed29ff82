"""Whether the station has answered since this device connected, or since the station came back.

Before that nobody knows whose records the station holds under this card's numbers: a copy of the card may have sent
some that are still on their way. What is sent then would mix two histories, and where the newest record is this card's,
all below would pass for common. So a number that no record has is asked for with `info`: the watermark that names it
was made after all that the other copy had sent, because a broker keeps one client's messages in order.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import msgspec

from edge.contract.delivery import Committed

PATIENCE_S, LONGEST_PATIENCE_S = 5.0, 60.0
"""For an answer of a station of which nothing is known, and of one that has told digests before."""
_LEAST, _ABOVE = 1 << 51, 1 << 52


class Answer:
    """Of one station; nothing is waited for before `ask`."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self.number = 0
        self._asked_s: float | None = None
        self._tells = self._silent = False

    def ask(self, now_s: float) -> None:
        """Wait for an answer from now on, and name a new number that only that answer can hold.

        A station that did not answer the last time, and never told digests, is not waited for again.
        """
        self.number = _LEAST + secrets.randbelow(_ABOVE - _LEAST)
        unanswered = self._asked_s is not None and not self.awaited(now_s)
        self._silent = not self._tells and (self._silent or unanswered)
        self._asked_s = None if self._silent else now_s

    def take(self, message: Committed, mine: Iterable[str], retained: bool) -> None:
        """Take in a watermark. One that was retained at the broker answers nothing unless it names the number.

        mine: the epochs that were asked about. A station that knows none of them, or tells no digests, answers by
        speaking at all.
        """
        epochs = set(mine)
        told = [of.known for of in message.epochs if of.epoch in epochs]
        known = [numbers for numbers in told if not isinstance(numbers, msgspec.UnsetType)]
        self._tells = self._tells or bool(known)
        named = any(seq == self.number for numbers in known for seq, _ in numbers)
        if named or (not known and not retained):
            self._asked_s, self._silent = None, False

    def awaited(self, now_s: float) -> bool:
        """Return whether nothing may be sent yet; patience ends, lest a station that never answers stops all."""
        patience_s = LONGEST_PATIENCE_S if self._tells else PATIENCE_S
        return self._asked_s is not None and now_s < self._asked_s + patience_s
