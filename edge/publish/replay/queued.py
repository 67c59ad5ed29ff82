"""Records that somebody asked to have again. Pure: which go next, and what became of those that went."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge.contract.base import Scalar
from edge.publish.delivery.window import Key


@dataclass(slots=True)
class Replay:
    """One request. pending: message ids, of records and pictures, that the broker has not answered."""

    request: str
    records: int
    acknowledged: int = 0
    waiting: deque[Key] = field(default_factory=deque)
    pending: dict[int, Key] = field(default_factory=dict)
    refused: set[Key] = field(default_factory=set)

    @property
    def done(self) -> bool:
        """Whether nothing is left to send or to be answered."""
        return not self.waiting and not self.pending

    def sent(self, key: Key, mids: Iterable[int]) -> None:
        """Note under which ids a record and its picture went out."""
        self.pending |= dict.fromkeys(mids, key)

    def acked(self, mid: int, *, well: bool) -> bool:
        """Take in the broker's answer; return whether it was one to this replay."""
        key = self.pending.pop(mid, None)
        if key is None:
            return False
        if not well:
            self.refused.add(key)
        if key not in self.pending.values() and key not in self.refused:
            self.acknowledged += 1
        return True

    def report(self) -> tuple[str, dict[str, Scalar]]:
        """Return what became of it, in words and as numbers."""
        text = f"{self.acknowledged} of {self.records} records were sent again and acknowledged"
        return text, {"records": self.records, "acknowledged": self.acknowledged}

    def lose_connection(self) -> None:
        """Put what was not answered back to the front."""
        self.waiting.extendleft(sorted(set(self.pending.values()), reverse=True))
        self.pending.clear()
