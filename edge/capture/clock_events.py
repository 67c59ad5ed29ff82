"""What the wall clock did, as records: how wrong an unset clock was, and by how much a set one was stepped."""

from __future__ import annotations

from edge.capture.clockwatch import ClockWatch, Correction, Step
from edge.capture.event_writer import EventWriter
from edge.timing.clock import Clock


def append_clock_events(watch: ClockWatch, clock: Clock, events: EventWriter) -> None:
    """Append what has happened since the last call.

    Raises:
        StorageError: the outbox cannot keep it.
    """
    found = watch.observe(clock.now().timestamp() - clock.monotonic_s(), clock.synced())
    if isinstance(found, Correction):
        events.append_correction(found)
    elif isinstance(found, Step):
        text = f"the wall clock was set by {found.step_s:+.1f} s; slots keep their spacing, labels follow it"
        events.append("clock_stepped", text, step_s=found.step_s)
