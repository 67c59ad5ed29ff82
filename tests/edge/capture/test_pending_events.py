"""What waits for the first reading of a start stays small, and goes in with it whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.capture.event_writer import EventWriter
from edge.capture.pending_events import DISK_FULL, UNSEEN, PendingEvents
from edge.config.tree import Outbox as OutboxSettings
from edge.contract.record import Event
from edge.outbox import Outbox
from edge.timing.clock import SystemClock
from tests.edge.outbox.conftest import make_reading


def test_slots_that_a_full_disk_refuses_before_the_first_reading_wait_as_one_event(tmp_path: Path) -> None:
    """A disk may be full from the start on, for weeks: the process must not gather an event for each slot."""
    outbox = Outbox.open(tmp_path, OutboxSettings(min_free_mb=0, reserve_mb=1), device_id="cage07", serial="s")
    writer = EventWriter(outbox, SystemClock(), "cage07")
    pending = PendingEvents(writer)
    pending.add(lambda: writer.append("start", "capture begins"))
    for slot in range(1000):
        pending.append_all()
        pending.add_missed(1, float(slot), DISK_FULL)
        if slot == 500:
            pending.add_missed(3, float(slot), UNSEEN)
    pending.append_all()
    pending.append_all()
    assert len(writer.pending) == 2
    outbox.append_reading(make_reading(), writer.pending)
    writer.pending.clear()
    pending.add_missed(2, 1001.0, UNSEEN)
    pending.append_all()
    found = [one for one in reversed(outbox.newest()) if isinstance(one, Event)]
    outbox.close()
    assert [event.code for event in found] == ["start", "gap", "gap"]
    first, second = found[1:]
    assert (first.detail["missed_slots"], first.detail["through_s"]) == (1003, pytest.approx(999.0))
    assert f"1000 due slots {DISK_FULL}" in first.text
    assert second.detail["missed_slots"] == 2, "what is durable is named once"
