"""What summaries are made of: each reading is read once, a page of bodies at a time, and another file is read anew."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge.config import tree
from edge.outbox import Outbox
from edge.outbox.reader import Reader
from edge.publish.status.recent import DAYS, Recent
from tests.campaigns.synthetic import plain_reading

SETTINGS = tree.Outbox(max_mb=64, min_free_mb=0, reserve_mb=0)
NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)


def append(outbox: Outbox, at: datetime, detail: str = "") -> None:
    """Append a reading without a picture."""
    one = plain_reading(at, detail, None)
    outbox.append_reading(lambda _epoch, _seq: (one, None))


def seen(recent: Recent, reader: Reader, newest: datetime) -> list[datetime]:
    """Return the times of the readings that a summary is made of now."""
    reader.changed()
    return [glance.at for glance in recent.until(newest)]


def test_readings_come_in_once_and_leave_with_their_day(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path, SETTINGS, device_id="cage07", serial="s")
    reader = Reader(tmp_path / "outbox.db")
    recent = Recent(reader)
    times = [NOON + timedelta(hours=hour) for hour in range(0, 400, 2)]
    for number, at in enumerate(times):
        append(outbox, at)
        if number % 7 == 0:
            assert seen(recent, reader, at) == [one for one in times[: number + 1] if one >= at - timedelta(days=DAYS)]
    fresh = Recent(reader)
    assert seen(fresh, reader, times[-1]) == [one for one in times if one >= times[-1] - timedelta(days=DAYS)]
    outbox.close()


def test_a_replaced_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        outbox = Outbox.open(tmp_path / name, SETTINGS, device_id="cage07", serial="s")
        for hour in range(3 if name == "new" else 5):
            append(outbox, NOON + timedelta(hours=hour + (100 if name == "new" else 0)))
        outbox.close()
    path = tmp_path / "old" / "outbox.db"
    reader = Reader(path)
    recent = Recent(reader)
    assert len(seen(recent, reader, NOON)) == 5
    (tmp_path / "new" / "outbox.db").replace(path)
    assert seen(recent, reader, NOON) == [NOON + timedelta(hours=hour) for hour in (100, 101, 102)]
    reader.close()


def test_a_weeks_bodies_are_never_in_memory_at_once(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path, SETTINGS, device_id="cage07", serial="s")
    for minute in range(600):
        append(outbox, NOON + timedelta(minutes=minute), "x" * 20_000)
    outbox.close()
    reader = Reader(tmp_path / "outbox.db")
    recent = Recent(reader)
    reader.changed()
    tracemalloc.start()
    try:
        assert len(recent.until(NOON)) == 600
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000, "600 bodies of 20 kB are 12 MB"
    reader.close()
