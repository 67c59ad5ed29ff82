"""publish's own file: what is delivered and old goes, the rest is bounded, of a damaged one the readable part stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.config import tree
from edge.contract import jsontext
from edge.contract.ranges import RangeSet
from edge.contract.record import Event
from edge.outbox.publish_file import MAX_MB, MAX_QUARANTINED, PublishFile
from edge.outbox.reader import Reader
from edge.outbox.row import Row
from edge.outbox.watermarks import Released, read_released
from edge.timing.clock import SteppedClock, SystemClock
from tests.losses import Loss, read_losses

SETTINGS = tree.Outbox(keep_days=14.0)


class Then(SystemClock):
    """A clock that is so many days behind."""

    def __init__(self, days: float) -> None:
        super().__init__()
        self.days = days

    def now(self) -> datetime:
        return datetime.now(UTC) - timedelta(days=self.days)


def opened(folder, days_ago: float = 0.0) -> PublishFile:
    return PublishFile.open(folder, device_id="cage07", clock=Then(days_ago))


def rows_of(folder) -> list[Row]:
    reader = Reader(folder / "delivery.db")
    reader.changed()
    found = [row for held in reader.epochs() for row in reader.rows(held.epoch, 1, 10**9)]
    reader.close()
    return found


def texts_of(folder) -> list[str]:
    return [jsontext.decode(row.body, Event).text for row in rows_of(folder) if row.schema == "cageclock/event/1"]


def losses_of(folder) -> list[Loss]:
    return [loss for row in rows_of(folder) for loss in read_losses(row.schema, row.body)]


def fill(folder, days_ago: float, count: int, size: int = 10) -> str:
    delivery = opened(folder, days_ago)
    for number in range(count):
        delivery.event("watchdog", f"{number} " + "x" * size)
    delivery.close()
    return rows_of(folder)[-1].epoch


def release(folder, epoch: str, last: int) -> None:
    delivery = opened(folder)
    delivery.set_released({epoch: Released(RangeSet([(1, last)]), RangeSet())}, "db-1")
    delivery.close()


def test_what_the_station_has_goes_once_it_is_older_than_the_ring(tmp_path):
    epoch = fill(tmp_path, 20, 300)
    young = fill(tmp_path, 10, 5)
    held = [(epoch, seq) for seq in range(251, 301)] + [(young, seq) for seq in range(1, 7)]
    release(tmp_path, epoch, 250)
    delivery = opened(tmp_path)
    for _ in range(3):
        delivery.tidy(SETTINGS)
    assert [(row.epoch, row.seq) for row in rows_of(tmp_path)] == held, "old and not yet delivered, or still young"
    delivery.close()
    release(tmp_path, epoch, 300)
    delivery = opened(tmp_path)
    delivery.tidy(SETTINGS)
    assert [(row.epoch, row.seq) for row in rows_of(tmp_path)] == held[50:]
    delivery.event("watchdog", "and on")
    assert [row.seq for row in rows_of(tmp_path)[-2:]] == [1, 2], "of a third start, which names the one before"
    delivery.close()
    reader = Reader(tmp_path / "delivery.db")
    reader.changed()
    assert next(iter(reader.epochs())).epoch == young, "an epoch without records is forgotten"
    reader.close()
    assert losses_of(tmp_path) == []


def test_the_file_has_a_ceiling_and_what_goes_undelivered_for_it_is_named(tmp_path):
    epoch = fill(tmp_path, 0, 60, size=400_000)
    path = tmp_path / "delivery.db"
    assert path.stat().st_size > 3 * MAX_MB * 1_000_000 // 2
    release(tmp_path, epoch, 10)
    delivery = opened(tmp_path)
    delivery.tidy(SETTINGS)
    delivery.close()
    with closing(sqlite3.connect(path)) as connection:
        ask = connection.execute
        pages = ask("PRAGMA page_count").fetchone()[0] - ask("PRAGMA freelist_count").fetchone()[0]
        assert pages * ask("PRAGMA page_size").fetchone()[0] <= MAX_MB * 1_000_000
    held = [row.seq for row in rows_of(tmp_path) if row.epoch == epoch]
    gone = RangeSet()
    for lost in losses_of(tmp_path):
        assert (lost.what, lost.of_epoch) == ("record", epoch)
        gone.add(lost.first_seq, lost.last_seq)
    assert list(gone) == [(11, min(held) - 1)], "the delivered ones are no loss"
    assert 60 in held


@pytest.mark.slow
def test_what_is_remembered_of_lost_thumbnails_is_bounded(tmp_path):
    opened(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "delivery.db", isolation_level=None)) as connection:
        rows = [
            ("ab" * 16, seq, "thumbnail", "its file is gone", f"2026-{seq:09}")
            for seq in range(1, MAX_QUARANTINED + 51)
        ]
        connection.executemany("INSERT INTO quarantine VALUES (?, ?, ?, ?, ?)", rows)
    delivery = opened(tmp_path)
    delivery.tidy(SETTINGS)
    kept = {seq for _, seq in delivery.lost_thumbnails()}
    delivery.close()
    assert kept == set(range(51, MAX_QUARANTINED + 51)), "the oldest go"


def test_what_is_readable_of_a_damaged_file_is_saved_and_the_rest_named(tmp_path):
    epoch = fill(tmp_path, 0, 6)
    release(tmp_path, epoch, 2)
    with closing(sqlite3.connect(tmp_path / "delivery.db", isolation_level=None)) as connection:
        connection.execute("UPDATE records SET body = CAST(replace(body, '3 xx', '3 xy') AS BLOB) WHERE seq = 4")
    delivery = opened(tmp_path)
    assert list(delivery.released()[epoch].records) == [(1, 2)]
    delivery.close()
    texts = texts_of(tmp_path)
    assert [text[:2] for text in texts[:5]] == ["0 ", "1 ", "2 ", "4 ", "5 "]
    assert all("delivery.db was damaged" in text for text in texts[5:7])
    rows = rows_of(tmp_path)
    assert [row.seq for row in rows[:5]] == [1, 2, 3, 5, 6]
    assert {row.epoch for row in rows[:5]} == {epoch}
    assert rows[5].epoch != epoch
    event = jsontext.decode(rows[6].body, Event)
    assert event.code == "database_set_aside"
    assert event.detail["saved"] == 5
    assert (tmp_path / str(event.detail["file"])).exists()
    (lost,) = losses_of(tmp_path)
    assert (lost.of_epoch, lost.first_seq, lost.last_seq) == (epoch, 4, 4)


@pytest.mark.parametrize("begin", [0, 100], ids=["no database any more", "no schema any more"])
def test_events_are_read_from_the_bare_pages_where_sqlite_refuses(tmp_path, begin):
    epoch = fill(tmp_path, 0, 5)
    path = tmp_path / "delivery.db"
    data = bytearray(path.read_bytes())
    data[begin : begin + 16] = bytes(16)
    if begin:
        data[100:200] = bytes(100)
    path.write_bytes(data)
    opened(tmp_path).close()
    rows = rows_of(tmp_path)
    assert [(row.epoch, row.seq) for row in rows[:5]] == [(epoch, seq) for seq in range(1, 6)]
    assert losses_of(tmp_path) == []
    before = len(rows)
    opened(tmp_path).close()
    assert len(rows_of(tmp_path)) == before, "the successor is sound"


def test_damage_that_shows_while_it_runs_is_replaced_too(tmp_path):
    epoch = fill(tmp_path, 20, 5)
    release(tmp_path, epoch, 5)
    delivery = opened(tmp_path)
    with closing(sqlite3.connect(tmp_path / "delivery.db", isolation_level=None)) as connection:
        connection.execute("UPDATE records SET seq = 77 WHERE seq = 2")
    delivery.tidy(SETTINGS)
    delivery.event("watchdog", "it goes on")
    delivery.close()
    texts = texts_of(tmp_path)
    assert "delivery.db was damaged" in texts[-2]
    assert texts[-1] == "it goes on"


def test_a_replacement_that_a_power_cut_interrupted_is_finished(tmp_path):
    epoch = fill(tmp_path, 0, 2)
    (tmp_path / "delivery.db").rename(tmp_path / "delivery.db.new")
    opened(tmp_path).close()
    assert [(row.epoch, row.seq) for row in rows_of(tmp_path)] == [(epoch, 1), (epoch, 2)]


def test_a_torn_journal_gives_no_number_twice(tmp_path):
    delivery = opened(tmp_path)
    for number in range(3):
        delivery.event("watchdog", f"event {number}")
    journal, database = (tmp_path / "delivery.db-wal").read_bytes(), (tmp_path / "delivery.db").read_bytes()
    epoch = rows_of(tmp_path)[-1].epoch
    delivery.close()
    folder = tmp_path / "after"
    folder.mkdir()
    (folder / "delivery.db").write_bytes(database)
    torn = bytearray(journal)
    torn[-100] ^= 1
    (folder / "delivery.db-wal").write_bytes(torn)
    delivery = opened(folder)
    delivery.event("watchdog", "another one")
    delivery.close()
    rows = rows_of(folder)
    assert rows[-1].epoch != epoch
    begun = jsontext.decode(rows[-2].body, Event)
    assert (begun.code, begun.detail["reason"], begun.detail["before"]) == ("epoch_begun", "torn journal", epoch)
    assert begun.detail["in_doubt"] == 1, "as the outbox says it: so many records at most are missing"


def test_the_record_that_begins_an_epoch_of_publish_is_not_younger_than_the_event_behind_it(tmp_path):
    fill(tmp_path, 0, 1)
    clock = SteppedClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    delivery = PublishFile.open(tmp_path, device_id="cage07", clock=clock)
    began_s = clock.monotonic_s()
    clock.sleep_until(began_s + 60.0, lambda: False)
    delivery.event("watchdog", "a minute later")
    delivery.close()
    begun, event = (jsontext.decode(row.body, Event) for row in rows_of(tmp_path)[1:])
    assert (begun.code, begun.monotonic_s, event.monotonic_s) == ("epoch_begun", began_s, began_s + 60.0)


def test_each_start_of_publish_writes_under_an_epoch_of_its_own(tmp_path):
    first = fill(tmp_path, 0, 2)
    opened(tmp_path).close()  # says nothing, begins nothing
    second = fill(tmp_path, 0, 1)
    reader = Reader(tmp_path / "delivery.db")
    reader.changed()
    assert [(of.epoch, of.starts, of.before, of.before_last) for of in reader.epochs()] == [
        (first, 1, "", 0),
        (second, 2, first, 2),
    ]
    reader.close()


def test_a_watermark_that_has_not_changed_is_not_written_again(tmp_path):
    delivery = opened(tmp_path)
    released = {f"{number:032x}": Released(RangeSet([(1, 3)]), RangeSet()) for number in range(3000)}
    delivery.set_released(released, "db-1")
    before = delivery._file.connection.total_changes
    released[f"{7:032x}"] = Released(RangeSet([(1, 4)]), RangeSet())
    del released[f"{8:032x}"]
    delivery.set_released(released, "db-1")
    assert delivery._file.connection.total_changes - before <= 3
    assert delivery.released() == released
    delivery.close()


def rows_of_watermarks(folder: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / "delivery.db")) as connection:
        return connection.execute("SELECT epoch, records FROM watermarks").fetchall()


def test_watermarks_that_rise_are_written_in_place_and_committed_at_the_end(tmp_path: Path) -> None:
    """Every reading raises one: the database is left alone, and whoever asks is told the newest."""
    epoch = "a" * 32
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    for last in (1, 2, 3):
        delivery.set_released({epoch: Released(RangeSet([(1, last)]), RangeSet([(1, last)]))}, "db-1")
        assert read_released(tmp_path / "delivery.db")[epoch].records.highest == last
    assert rows_of_watermarks(tmp_path) == [(epoch, "[[1,1]]")]
    delivery.close()
    assert rows_of_watermarks(tmp_path) == [(epoch, "[[1,3]]")]


def test_a_lower_watermark_is_committed_and_no_older_slot_outlives_it(tmp_path: Path) -> None:
    """A station that lost its newest hours must be sent them again: nothing may release them, not even after a kill."""
    epoch = "a" * 32
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    for last, station in ((5, "db-1"), (9, "db-1"), (3, "db-2")):
        delivery.set_released({epoch: Released(RangeSet([(1, last)]), RangeSet())}, station)
    assert rows_of_watermarks(tmp_path) == [(epoch, "[[1,3]]")]
    assert read_released(tmp_path / "delivery.db")[epoch].records.highest == 3
    delivery.close()


def test_what_a_power_cut_takes_of_the_slots_costs_a_resend_and_no_more(tmp_path: Path) -> None:
    epoch = "a" * 32
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    for last in (5, 9):
        delivery.set_released({epoch: Released(RangeSet([(1, last)]), RangeSet())}, "db-1")
    slots = tmp_path / "delivery.db-released"
    slots.write_bytes(bytes(slots.stat().st_size))
    assert read_released(tmp_path / "delivery.db")[epoch].records.highest == 5
    slots.unlink()
    assert read_released(tmp_path / "delivery.db")[epoch].records.highest == 5
    delivery.close()


def test_slots_of_another_database_release_nothing(tmp_path: Path) -> None:
    """A restored or a new database beside slots that were left from another one."""
    epoch = "a" * 32
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    for last in (5, 9):
        delivery.set_released({epoch: Released(RangeSet([(1, last)]), RangeSet())}, "db-1")
    delivery.close()
    for path in tmp_path.glob("delivery.db*"):
        if path.name != "delivery.db-released":
            path.unlink()
    again = PublishFile.open(tmp_path, device_id="cage07")
    assert read_released(tmp_path / "delivery.db") == {}
    again.set_released({epoch: Released(RangeSet([(1, 2)]), RangeSet())}, "db-1")
    assert again.released()[epoch].records.highest == 2
    again.close()
