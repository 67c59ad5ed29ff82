"""The outbox keeps what it was given, through kills, damage, clones and full disks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.config import tree
from edge.contract import identity, jsontext
from edge.contract.ranges import RangeSet
from edge.contract.record import Event
from edge.errors import DiskFull, OperatorError
from edge.outbox import Outbox
from edge.outbox.capture_requests import Requests
from edge.outbox.publish_file import PublishFile
from edge.outbox.reader import Reader
from edge.outbox.row import Row
from edge.outbox.watermarks import Released
from edge.timing.clock import SteppedClock
from tests.losses import Loss, read_losses

SMALL = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=0)


def opened(folder: Path, settings: tree.Outbox = SMALL, serial: str = "board-1") -> Outbox:
    return Outbox.open(folder, settings, device_id="cage07", serial=serial)


def rows_of(folder: Path) -> list[Row]:
    reader = Reader(folder / "outbox.db")
    reader.changed()
    found = [row for held in reader.epochs() for row in reader.rows(held.epoch, 1, 10**9)]
    reader.close()
    return found


def events_of(folder: Path) -> list[Event]:
    return [jsontext.decode(row.body, Event) for row in rows_of(folder) if row.schema == "cageclock/event/1"]


def losses_of(folder: Path) -> list[Loss]:
    return [loss for row in rows_of(folder) for loss in read_losses(row.schema, row.body)]


def test_what_was_appended_is_there_after_opening_again_with_its_picture_and_digest(tmp_path, reading):
    outbox = opened(tmp_path)
    first, second = outbox.append_reading(reading()).key, outbox.append_reading(reading(None)).key
    assert (outbox.epoch, outbox.last_seq) == second == (first[0], 2)
    outbox.close()
    with_picture, without = rows_of(tmp_path)
    assert (tmp_path / "thumbnails" / f"{with_picture.thumbnail}.jpg").read_bytes().startswith(b"jpeg")
    assert without.thumbnail is None
    assert with_picture.digest == identity.digest(with_picture.body)
    assert with_picture.body.startswith(b'{"schema":"cageclock/reading/1"')


def test_a_second_writer_is_refused_with_the_number_of_the_first(tmp_path):
    outbox = opened(tmp_path)
    with pytest.raises(OperatorError, match=f"process {os.getpid()} writes it already; stop that one first"):
        opened(tmp_path)
    outbox.close()
    opened(tmp_path).close()


def test_another_devices_outbox_is_refused(tmp_path):
    opened(tmp_path).close()
    with pytest.raises(OperatorError, match="holds the records of device 'cage07'"):
        Outbox.open(tmp_path, SMALL, device_id="cage08", serial="board-1")


def test_a_cloned_card_begins_a_new_epoch_and_keeps_the_old_records(tmp_path, reading):
    outbox = opened(tmp_path)
    epoch, _ = outbox.append_reading(reading()).key
    outbox.close()
    opened(tmp_path, serial="board-2").close()
    assert events_of(tmp_path) == [], "a start that appends nothing leaves nothing"
    clone = opened(tmp_path, serial="board-2")
    clone.append_reading(reading())
    assert clone.epoch != epoch
    clone.close()
    assert [event.detail["reason"] for event in events_of(tmp_path)] == ["another board"]
    assert rows_of(tmp_path)[0].epoch == epoch
    again = opened(tmp_path, serial="board-2")
    again.append_reading(reading())
    again.close()
    assert [event.detail["reason"] for event in events_of(tmp_path)] == ["another board", "start"]


def test_each_start_writes_under_an_epoch_of_its_own_that_names_the_one_before(tmp_path, reading):
    acknowledged, boundaries = [], [("", 0)]
    for _ in range(4):
        opened(tmp_path).close()  # a start that never gets to a reading
        outbox = opened(tmp_path)
        acknowledged += [outbox.append_reading(reading()).key, outbox.append_reading(reading()).key]
        boundaries.append((outbox.epoch, outbox.last_seq))
        outbox.close()
    assert len(set(acknowledged)) == 8
    assert len({epoch for epoch, _ in acknowledged}) == 4
    begun = [event.detail for event in events_of(tmp_path)]
    assert [(one["before"], one["last"]) for one in begun] == boundaries[1:4]
    assert [one["starts"] for one in begun] == [2, 3, 4]
    reader = Reader(tmp_path / "outbox.db")
    reader.changed()
    assert [(of.before, of.before_last) for of in reader.epochs()] == boundaries[:4]
    assert [of.starts for of in reader.epochs()] == [1, 2, 3, 4]
    reader.close()


def test_an_epoch_begins_in_one_transaction_with_what_waited_for_its_first_reading(tmp_path, reading):
    outbox = opened(tmp_path)
    outbox.append_reading(reading())
    outbox.close()
    outbox = opened(tmp_path)
    waiting = [
        outbox._file.labels.event("gap", "nothing was captured", {}),
        outbox._file.labels.event("start", "again", {}),
    ]

    def refused(epoch: str, seq: int):
        raise ValueError("no reading after all")

    with pytest.raises(ValueError, match="no reading after all"):
        outbox.append_reading(refused, waiting)
    assert len(rows_of(tmp_path)) == 1, "nothing of an epoch without its reading"
    key = outbox.append_reading(reading(), waiting).key
    outbox.close()
    assert key == (outbox.epoch, 4)
    assert [event.code for event in events_of(tmp_path)] == ["epoch_begun", "gap", "start"]


def test_the_record_that_begins_an_epoch_has_the_time_of_the_start_not_of_the_first_reading(tmp_path, reading):
    outbox = opened(tmp_path)
    outbox.append_reading(reading())
    outbox.close()
    clock = SteppedClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    outbox = Outbox.open(tmp_path, SMALL, device_id="cage07", serial="board-1", clock=clock)
    began_s = clock.monotonic_s()
    clock.sleep_until(began_s + 60.0, lambda: False)
    waiting = [outbox._file.labels.event("start", "again", {})]
    clock.sleep_until(began_s + 3600.0, lambda: False)
    outbox.append_reading(reading(), waiting)
    outbox.close()
    begun, start = events_of(tmp_path)
    assert (begun.code, start.code) == ("epoch_begun", "start")
    assert [event.monotonic_s - began_s for event in (begun, start)] == [0.0, 60.0]
    assert (start.recorded_at - begun.recorded_at).total_seconds() == 60.0


def test_two_copies_of_a_card_never_write_one_number_twice(tmp_path, reading):
    (tmp_path / "card").mkdir()
    outbox = opened(tmp_path / "card")
    outbox.append_reading(reading())
    shutil.copytree(tmp_path / "card", tmp_path / "live")  # with its journal, as a power cut leaves it
    outbox.close()
    shutil.copytree(tmp_path / "card", tmp_path / "closed")
    acknowledged = []
    for name in ("card", "live", "closed", "card", "live"):
        outbox = opened(tmp_path / name)
        acknowledged += [outbox.append_reading(reading()).key for _ in range(3)]
        outbox.close()
    assert len(set(acknowledged)) == len(acknowledged)


def test_the_ceiling_holds_with_thousands_of_starts_and_every_lost_number_is_named(tmp_path, reading):
    """One capture a start, no station: the oldest starts go whole, each is named, and no empty epoch is left."""
    wanted: dict[str, int] = {}
    settings = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=0)
    for number in range(400):
        outbox = opened(tmp_path, settings)
        epoch, seq = outbox.append_reading(reading(None, detail="x" * 100_000)).key
        wanted[epoch] = seq
        if number % 10 == 9:
            outbox.maintain()
            wanted[epoch] = outbox.last_seq
        outbox.close()
    reader = Reader(tmp_path / "outbox.db")
    reader.changed()
    epochs = reader.epochs()
    reader.close()
    assert all(of.first_held <= of.last for of in epochs)
    assert 100 < len(epochs) < 200
    known = {of.epoch: RangeSet([(of.first_held, of.last)]) for of in epochs}
    for loss in losses_of(tmp_path):
        known.setdefault(loss.of_epoch, RangeSet()).add(loss.first_seq, loss.last_seq)
    assert known == {epoch: RangeSet([(1, last)]) for epoch, last in wanted.items()}
    assert (tmp_path / "outbox.db").stat().st_size < 40_000_000
    assert len([row for row in rows_of(tmp_path) if row.schema.startswith("cageclock/lost/")]) < 60


def test_a_request_is_offered_once_and_not_again_after_a_crash(tmp_path):
    outbox = opened(tmp_path)
    requests = Requests(tmp_path)
    assert not requests.waiting()
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    delivery.add_request("r1")
    delivery.add_request("r1")
    delivery.add_request("r2")
    assert requests.waiting()
    assert requests.pop_oldest() == "r1"
    outbox.mark_taken("r1")
    assert requests.pop_oldest() == "r2"
    assert requests.pop_oldest() is None
    after_a_crash = Requests(tmp_path)
    assert after_a_crash.pop_oldest() == "r2"
    assert not after_a_crash.waiting()
    delivery.close()
    outbox.close()


def _settle(outbox: Outbox) -> None:
    """Maintain until the check in the background has been looked at."""
    for _ in range(50):
        outbox.maintain()
        time.sleep(0.01)


def test_a_file_that_is_no_database_is_set_aside_and_nothing_stops(tmp_path, reading):
    (tmp_path / "outbox.db").write_bytes(b"not a database" * 1000)
    outbox = opened(tmp_path)
    assert outbox.append_reading(reading()).key[1] >= 1
    outbox.close()
    assert len(list(tmp_path.glob("outbox.db.damaged-*"))) >= 1
    assert events_of(tmp_path)[0].code == "database_set_aside"


def test_a_page_that_rots_is_found_after_the_first_reading_and_the_rest_is_saved(tmp_path, reading):
    outbox = opened(tmp_path)
    for _ in range(60):
        outbox.append_reading(reading(None, detail="x" * 3000))
    epoch = outbox.epoch
    outbox.close()
    with (tmp_path / "outbox.db").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 8192)
    reader = Reader(tmp_path / "outbox.db")
    assert reader.changed()
    outbox = opened(tmp_path)
    outbox.append_reading(reading())
    _settle(outbox)
    assert outbox.epoch != epoch
    outbox.close()
    assert reader.changed(), "a reader opens the new file"
    reader.close()
    saved = {row.seq for row in rows_of(tmp_path) if row.epoch == epoch}
    assert len(saved) > 40
    missing = RangeSet([(1, 60)])
    lost = {
        seq
        for loss in losses_of(tmp_path)
        for seq in range(loss.first_seq, loss.last_seq + 1)
        if loss.of_epoch == epoch
    }
    assert saved | lost == {seq for first, last in missing for seq in range(first, last + 1)}
    assert not saved & lost


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


KILLED = """
import os, sys
from pathlib import Path
from tests.edge.outbox.conftest import make_reading
from edge.config import tree
from edge.outbox import Outbox
at, count = sys.argv[2], 0
def step(name):
    if name == at and count >= 3:
        os._exit(9)
outbox = Outbox.open(Path(sys.argv[1]), tree.Outbox(reserve_mb=0), device_id="cage07", serial="s", step=step)
for count in range(6):
    print(*outbox.append_reading(make_reading()).key, flush=True)
"""


@pytest.mark.parametrize(
    "at",
    [
        "built",
        "thumbnail opened",
        "thumbnail written",
        "thumbnail synced",
        "thumbnail named",
        "row inserted",
        "committed",
    ],
)
def test_killed_between_any_two_steps_nothing_appended_is_lost_and_no_row_names_a_missing_file(tmp_path, at):
    script = KILLED.format(tests=str(Path(__file__).parent))
    child = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), at], capture_output=True, text=True, check=False
    )
    assert child.returncode == 9, child.stderr
    acknowledged = [int(line.split()[1]) for line in child.stdout.splitlines()]
    outbox = Outbox.open(tmp_path, SMALL, device_id="cage07", serial="s")
    rows = rows_of(tmp_path)
    assert acknowledged == [1, 2, 3]
    assert [row.seq for row in rows] == list(range(1, (4 if at == "committed" else 3) + 1))
    outbox.maintain()
    assert {path.name for path in (tmp_path / "thumbnails").iterdir()} == {f"{row.thumbnail}.jpg" for row in rows}
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
