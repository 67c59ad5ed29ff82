"""The labels of a device's own records: whose it is, which boot, when by which clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Literal

from edge.contract.base import Scalar
from edge.contract.ranges import RangeSet
from edge.contract.record import MAX_RANGES, Event, EventCode, Lost, LostRange, LostRanges
from edge.timing.clock import Clock

Moment = dict[str, Any]
"""The fields of a record that say when it was made."""


class Labels:
    """Makes events and losses of one device at this moment."""

    def __init__(self, device_id: str, clock: Clock) -> None:
        """Nothing is read before the first record."""
        self._device_id, self._clock = device_id, clock

    def event(self, code: EventCode, text: str, detail: dict[str, Scalar], at: Moment | None = None) -> Event:
        """Return an event of this moment, or of an earlier one."""
        return Event(device_id=self._device_id, code=code, text=text, detail=detail, **(at or self.now()))

    def lost(self, what: str, epoch: str, first: int, last: int, reason: str) -> Lost:
        """Return a loss of records first..last of an epoch, or, where `what` is `thumbnail`, of their pictures only."""
        return Lost(
            device_id=self._device_id,
            what=_kind(what),
            of_epoch=epoch,
            first_seq=first,
            last_seq=last,
            reason=reason,
            **self.now(),
        )

    def losses(self, what: str, gone: Mapping[str, RangeSet], reason: str) -> list[Lost | LostRanges]:
        """Return as few losses as name all the numbers, per epoch, in the form that a single range needs or the other.

        The form for a single range is the one that stations of an earlier version read too.
        """
        ranges: list[LostRange] = [(epoch, *span) for epoch, numbers in gone.items() for span in numbers]
        if len(ranges) == 1:
            return [self.lost(what, *ranges[0], reason)]
        return [
            LostRanges(
                device_id=self._device_id,
                what=_kind(what),
                ranges=tuple(ranges[start : start + MAX_RANGES]),
                reason=reason,
                **self.now(),
            )
            for start in range(0, len(ranges), MAX_RANGES)
        ]

    def now(self) -> Moment:
        """Return the label of this moment."""
        clock = self._clock
        return {
            "recorded_at": clock.now().astimezone(UTC),
            "boot_id": clock.boot_id,
            "monotonic_s": clock.monotonic_s(),
            "clock_synced": clock.synced(),
        }


def _kind(what: str) -> Literal["record", "thumbnail"]:
    return "thumbnail" if what == "thumbnail" else "record"
