"""What became of messages that the store was given."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Taken:
    """What became of messages. `alarms` are sentences for a person.

    refused: messages over a quota, of which nothing was accounted for.
    """

    stored: int = 0
    known: int = 0
    quarantined: int = 0
    conflicts: int = 0
    refused: int = 0
    devices: set[str] = field(default_factory=set)
    alarms: list[str] = field(default_factory=list)

    def add(self, other: Taken) -> None:
        """Count what became of further messages."""
        self.stored += other.stored
        self.known += other.known
        self.quarantined += other.quarantined
        self.conflicts += other.conflicts
        self.refused += other.refused
        self.devices |= other.devices
        self.alarms += other.alarms
