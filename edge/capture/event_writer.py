"""Events and clock corrections in the outbox's one sequence."""

from __future__ import annotations

from edge.capture.clockwatch import Correction
from edge.contract.base import Scalar
from edge.contract.record import ClockCorrection, Event, EventCode
from edge.errors import plain
from edge.outbox import Outbox
from edge.timing.clock import Clock

_MOST = 2000


class EventWriter:
    """Appends what is not a reading, labelled like one.

    Before this process's first reading there is no epoch, and a start that never gets to a reading must leave none: the
    first events are kept as `pending`, for whoever appends that reading to store with it.
    """

    def __init__(self, outbox: Outbox, clock: Clock, device_id: str) -> None:
        """The outbox is the process's own."""
        self._outbox = outbox
        self._clock = clock
        self._device_id = device_id
        self.pending: list[Event | ClockCorrection] = []

    def append(self, code: EventCode, text: str, **detail: Scalar) -> Event:
        """Append one event, and return it."""
        event = Event(
            device_id=self._device_id,
            recorded_at=self._clock.now(),
            boot_id=self._clock.boot_id,
            monotonic_s=self._clock.monotonic_s(),
            clock_synced=self._clock.synced(),
            code=code,
            text=plain(text, _MOST),
            detail={key: plain(one, _MOST) if isinstance(one, str) else one for key, one in detail.items()},
        )
        self._append(event)
        return event

    def withdraw(self, event: Event | None) -> bool:
        """Return whether an event still waited for the first reading; it does no longer."""
        waits = any(one is event for one in self.pending)
        self.pending[:] = [one for one in self.pending if one is not event]
        return waits

    def append_correction(self, found: Correction) -> None:
        """Append what the station must add to the labels of a boot."""
        self._append(
            ClockCorrection(
                device_id=self._device_id,
                recorded_at=self._clock.now(),
                boot_id=self._clock.boot_id,
                monotonic_s=self._clock.monotonic_s(),
                clock_synced=True,
                of_boot_id=found.boot_id,
                offset_s=found.offset_s,
                epoch_offset_s=found.epoch_offset_s,
                uncertainty_s=found.uncertainty_s,
            )
        )

    def _append(self, record: Event | ClockCorrection) -> None:
        if self._outbox.begun:
            self._outbox.append_record(record)
        else:
            self.pending.append(record)
