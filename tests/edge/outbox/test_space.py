"""What goes first where space ends: each loss is named, and readings go last."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from edge.config import tree
from edge.contract.ranges import RangeSet
from edge.errors import DiskFull
from edge.outbox import Outbox
from edge.outbox.publish_file import PublishFile
from edge.outbox.watermarks import Released
from edge.timing.clock import SteppedClock
from tests.edge.outbox.reading_back import SMALL, events_of, losses_of, opened, rows_of


def test_released_pictures_go_first_then_released_records_then_pictures_and_each_loss_is_named(tmp_path, reading):
    outbox = opened(tmp_path)
    for _ in range(90):
        outbox.append_reading(reading(b"j" * 100_000, detail="x" * 3000))
    epoch = outbox.epoch
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    delivery.set_released({epoch: Released(RangeSet([(1, 50)]), RangeSet([(1, 50)]))}, "db-1")
    outbox.maintain()
    assert losses_of(tmp_path) == []
    assert len(rows_of(tmp_path)) == 90
    for _ in range(140):
        outbox.append_reading(reading(b"j" * 100_000, detail="x" * 3000))
        outbox.maintain()
    files = list((tmp_path / "thumbnails").iterdir())
    assert sum(path.stat().st_size for path in files) < 16_000_000
    losses = losses_of(tmp_path)
    assert losses
    assert {loss.what for loss in losses} == {"thumbnail"}
    assert min(loss.first_seq for loss in losses) > 50
    unreleased = {row.seq for row in rows_of(tmp_path) if row.kind == "reading" and row.seq > 50}
    assert len(unreleased) == 180, "no reading went while pictures could"
    delivery.close()
    outbox.close()


def test_released_records_go_after_their_days_and_only_from_the_front(tmp_path, reading):
    outbox = opened(tmp_path)
    for _ in range(10):
        outbox.append_reading(reading(days_ago=30))
    outbox.append_reading(reading())
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    held = RangeSet([(1, 4), (6, 11)])
    delivery.set_released({outbox.epoch: Released(held, RangeSet())}, "db-1")
    outbox.maintain()
    assert len(rows_of(tmp_path)) == 11, "nothing goes while its picture has yet to be sent"
    delivery.set_released({outbox.epoch: Released(held, held)}, "db-1")
    outbox.maintain()
    assert [row.seq for row in rows_of(tmp_path)] == [5, 6, 7, 8, 9, 10, 11]
    assert len(list((tmp_path / "thumbnails").iterdir())) == 7
    delivery.close()
    outbox.close()


def test_a_hole_in_what_the_station_has_stays_also_where_nothing_has_a_picture(tmp_path, reading):
    """With pictures the one that was not sent keeps its record, and hides a retention that looks past holes."""
    outbox = opened(tmp_path)
    for _ in range(10):
        outbox.append_reading(reading(None, days_ago=30))
    outbox.append_reading(reading(None))
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    held = RangeSet([(1, 4), (6, 11)])
    delivery.set_released({outbox.epoch: Released(held, RangeSet([(1, 11)]))}, "db-1")
    outbox.maintain()
    assert [row.seq for row in rows_of(tmp_path)] == [5, 6, 7, 8, 9, 10, 11]
    delivery.close()
    outbox.close()


def test_days_are_counted_by_the_outboxs_own_clock(tmp_path, reading):
    """On a clock that stands where the readings do, a month ago is today."""
    clock = SteppedClock(datetime.now(UTC) - timedelta(days=30))
    outbox = Outbox.open(tmp_path, SMALL, device_id="cage07", serial="board-1", clock=clock)
    for _ in range(3):
        outbox.append_reading(reading(days_ago=30))
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    held = RangeSet([(1, 3)])
    delivery.set_released({outbox.epoch: Released(held, held)}, "db-1")
    outbox.maintain()
    assert [row.seq for row in rows_of(tmp_path)] == [1, 2, 3]
    clock.sleep_until(SMALL.keep_days * 86_400 + 10, lambda: False)
    outbox.maintain()
    assert [row.seq for row in rows_of(tmp_path)] == [3], "the newest stays"
    delivery.close()
    outbox.close()


def test_at_the_ceiling_the_oldest_unreleased_readings_go_last_and_are_named_as_lost(tmp_path, reading):
    outbox = opened(tmp_path)
    for _ in range(120):
        outbox.append_reading(reading(None, detail="x" * 150_000))
    outbox.maintain()
    held = [row.seq for row in rows_of(tmp_path)]
    lost = losses_of(tmp_path)
    assert {loss.what for loss in lost} == {"record"}
    gone = {seq for loss in lost for seq in range(loss.first_seq, loss.last_seq + 1)}
    assert gone == set(range(1, min(held)))
    outbox.close()


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("a small disk needs root to mount it")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_on_a_full_disk_pictures_go_before_readings_and_all_is_said_and_recovers(small_disk, reading):
    settings = tree.Outbox(max_mb=500, min_free_mb=0, reserve_mb=2)
    outbox = opened(small_disk, settings)
    outbox.append_reading(reading())
    outbox.maintain()
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        file.write(b"0" * 6_000_000)
    for _ in range(60):
        outbox.append_reading(reading(b"j" * 100_000))
        outbox.maintain()
    assert outbox.last_seq >= 61
    readings = [row for row in rows_of(small_disk) if row.kind == "reading"]
    assert len(readings) == 61
    without = {row.seq for row in readings if row.thumbnail is None}
    named = {loss.first_seq for loss in losses_of(small_disk) if loss.what == "thumbnail"}
    assert without
    assert without <= named
    assert [event.code for event in events_of(small_disk)] == ["disk_full"]
    filler.unlink()
    outbox.maintain()
    outbox.append_reading(reading(b"j" * 1000))
    assert [event.code for event in events_of(small_disk)] == ["disk_full", "disk_recovered"]
    assert rows_of(small_disk)[-1].thumbnail is not None
    outbox.close()


def test_when_not_even_the_reserve_helps_the_error_says_so_and_what_was_stored_stays(small_disk, reading):
    outbox = opened(small_disk, tree.Outbox(max_mb=500, min_free_mb=0, reserve_mb=1))
    outbox.append_reading(reading(None))
    outbox.maintain()
    fill = lambda: [outbox.append_reading(reading(None, detail="x" * 100_000)) for _ in range(1000)]  # noqa: E731
    with pytest.raises(DiskFull, match="no space left on the disk"):
        fill()
    stored = outbox.last_seq
    outbox.close()
    assert [row.seq for row in rows_of(small_disk)] == list(range(1, stored + 1))


def test_the_pictures_held_are_summed_once_and_kept_up(tmp_path, reading):
    """What the outbox counts is what a fresh sum over all rows says, whatever came and went in between."""
    chance = random.Random(4)
    outbox = opened(tmp_path, tree.Outbox(max_mb=1, min_free_mb=0, keep_days=1, reserve_mb=0))
    held = outbox._pictures
    for number in range(60):
        outbox.append_reading(reading(chance.randbytes(chance.choice((20_000, 60_000))) if number % 4 else None))
        outbox.maintain()
        connection = outbox._file.connection
        query = "SELECT coalesce(sum(thumbnail_bytes), 0) FROM records WHERE thumbnail IS NOT NULL"
        assert held.bytes(connection) == connection.execute(query).fetchone()[0]
    assert "thumbnail" in {loss.what for loss in losses_of(tmp_path)}, "pictures were dropped on the way"
    outbox.close()


def test_keeping_the_sum_up_looks_at_new_rows_alone(tmp_path, reading):
    outbox = opened(tmp_path, SMALL)
    outbox.append_reading(reading())
    outbox.maintain()
    seen = []
    outbox._file.connection.set_trace_callback(seen.append)
    outbox.append_reading(reading())
    outbox.maintain()
    outbox._file.connection.set_trace_callback(None)
    (asked,) = [text for text in seen if "sum(min(thumbnail_bytes" in text]
    plan = " ".join(row[3] for row in outbox._file.connection.execute(f"EXPLAIN QUERY PLAN {asked}"))
    assert "USING INTEGER PRIMARY KEY (rowid>?)" in plan
    outbox.close()
