"""One slot of the schedule: when it was, what its light was, what asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edge.config.tree import LightCycle
from edge.contract.reading import Light, Trigger
from edge.timing.clock import Clock
from edge.timing.zeitgeber import light_at, zeitgeber_h


@dataclass(frozen=True, slots=True)
class Slot:
    """The labels of one reading; see `edge.contract.reading.Reading`."""

    captured_at: datetime
    boot_id: str
    monotonic_s: float
    clock_synced: bool
    light: Light
    zeitgeber_h: float | None
    trigger: Trigger
    request_id: str | None


def begin_slot(clock: Clock, cycle: LightCycle, request_id: str | None = None) -> Slot:
    """Return the labels of a slot that begins now; the phase is unknown while the time is."""
    now, synced = clock.now(), clock.synced()
    hour = zeitgeber_h(now, cycle) if synced else None
    return Slot(
        captured_at=now,
        boot_id=clock.boot_id,
        monotonic_s=clock.monotonic_s(),
        clock_synced=synced,
        light=Light.UNKNOWN if hour is None else light_at(now, cycle),
        zeitgeber_h=hour,
        trigger=Trigger.SCHEDULE if request_id is None else Trigger.COMMAND,
        request_id=request_id,
    )
