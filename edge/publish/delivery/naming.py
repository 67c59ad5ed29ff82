"""Which epochs `info` names, so that the station says of each what it has. Pure.

A card may hold thousands of epochs, one for each start, and a message names 64. Those that are written now and the
oldest that are not confirmed are always among them; the others take turns. After each connection, and when the station
comes back, they are gone through at once: a database that was set back to an older state shows by what it says of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from edge.contract.status import MAX_EPOCHS_IN_INFO
from edge.outbox.reader import HeldEpoch

UNCONFIRMED = 24
Publisher = Literal["capture", "publish"]


@dataclass(frozen=True, slots=True)
class Named:
    """An epoch as `info` names it."""

    publisher: Publisher
    held: HeldEpoch


class Naming:
    """The turns of one device's epochs."""

    def __init__(self) -> None:
        """Nothing has been named."""
        self._next = 0
        self._left = 0
        self._in_turn = 0
        self._named: frozenset[str] = frozenset()

    def begin(self) -> None:
        """Let every epoch be named once, as fast as the station answers."""
        self._left = -1

    def choose(self, held: dict[Publisher, list[HeldEpoch]], confirmed: Callable[[HeldEpoch], bool]) -> list[Named]:
        """Return what to name now, in the order in which the epochs began.

        confirmed: whether the station has all that the card holds of an epoch.
        """
        every = [Named(publisher, of) for publisher, epochs in held.items() for of in _worth_naming(epochs)]
        current = {epochs[-1].epoch for epochs in held.values() if epochs}
        chosen = set(current)
        for one in every:
            if len(chosen) >= UNCONFIRMED + len(current):
                break
            if not confirmed(one.held):
                chosen.add(one.held.epoch)
        others = [one.held.epoch for one in every if one.held.epoch not in chosen]
        if self._left < 0 or self._left > len(others):
            self._left = len(others)
        self._in_turn = min(MAX_EPOCHS_IN_INFO - len(chosen), len(others))
        start = self._next % len(others) if others else 0
        chosen.update((others + others)[start : start + self._in_turn])
        self._named = frozenset(chosen)
        return [one for one in every if one.held.epoch in chosen]

    def answered(self, epochs: Iterable[str]) -> bool:
        """Return whether the next ones should be named at once: the station answered for all of these."""
        if self._left <= 0 or not self._named <= set(epochs):
            return False
        self.turn()
        return self._left > 0

    def turn(self) -> None:
        """Go on to the next ones."""
        self._next += self._in_turn
        self._left = max(0, self._left - self._in_turn)
        self._in_turn = 0


def _worth_naming(epochs: list[HeldEpoch]) -> list[HeldEpoch]:
    """Return those with records, and the newest."""
    return [of for of in epochs if of.first_held <= of.last or of is epochs[-1]]
