"""The labels of a device's own records: whose it is, which boot, when by which clock."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from edge.contract.base import Scalar
from edge.contract.record import Event, EventCode, Lost
from edge.timing.clock import Clock


class Labels:
    """Makes events and losses of one device at this moment."""

    def __init__(self, device_id: str, clock: Clock) -> None:
        """Nothing is read before the first record."""
        self._device_id, self._clock = device_id, clock

    def event(self, code: EventCode, text: str, detail: dict[str, Scalar]) -> Event:
        """Return an event."""
        return Event(device_id=self._device_id, code=code, text=text, detail=detail, **self._now())

    def lost(self, what: str, epoch: str, first: int, last: int, reason: str) -> Lost:
        """Return a loss of records first..last of an epoch, or, where `what` is `thumbnail`, of their pictures only."""
        return Lost(
            device_id=self._device_id,
            what="thumbnail" if what == "thumbnail" else "record",
            of_epoch=epoch,
            first_seq=first,
            last_seq=last,
            reason=reason,
            **self._now(),
        )

    def _now(self) -> dict[str, Any]:
        clock = self._clock
        return {
            "recorded_at": clock.now().astimezone(UTC),
            "boot_id": clock.boot_id,
            "monotonic_s": clock.monotonic_s(),
            "clock_synced": clock.synced(),
        }
