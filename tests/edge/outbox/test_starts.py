"""Each start writes under an epoch of its own, so that no number is ever written twice."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from edge.config import tree
from edge.contract.ranges import RangeSet
from edge.outbox import Outbox
from edge.outbox.reader import Reader
from edge.timing.clock import SteppedClock
from tests.edge.outbox.reading_back import SMALL, events_of, losses_of, opened, rows_of


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


@pytest.mark.slow
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
