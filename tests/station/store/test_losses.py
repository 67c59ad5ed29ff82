"""What one card lost releases nothing that another copy of it still holds, and a record that comes is lost no more."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.contract.committed import MAX_HOLES, CommittedEpoch
from edge.contract.ranges import RangeSet
from station.status import load_status
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.station import samples
from tests.station.samples import EPOCH, arrival, picture_arrival
from tests.station.versions import as_version_3

OTHER = "f" * 32
"""The epoch of the copy that says what it has lost."""


def query(data: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        return connection.execute(sql).fetchall()


def promise(store: Store, epoch: str = EPOCH) -> CommittedEpoch:
    return next(found for found in store.committed("cage-1").epochs if found.epoch == epoch)


def released(store: Store) -> RangeSet:
    """Return the records that a device may delete."""
    return RangeSet.from_watermark(promise(store).through, promise(store).holes)


def losses(data: Path) -> list[tuple[int, int]]:
    return query(data, "SELECT first_seq, last_seq FROM losses WHERE what = 'record' ORDER BY first_seq")


def numbers(data: Path) -> tuple[int, int, int]:
    """Return what status counts: stored, lost, to come."""
    with closing(open_for_reading(data)) as connection:
        [found] = load_status(connection)
    return found.records, found.lost, found.holes


def test_a_loss_of_one_copy_releases_nothing_that_another_copy_holds(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.reading(1), 1), arrival(samples.lost(1, 10), 1, epoch=OTHER)])
        assert released(store) == RangeSet([(1, 1)])
        assert numbers(tmp_path) == (2, 9, 0)


def test_a_record_that_comes_all_the_same_is_withdrawn_from_the_losses(tmp_path: Path) -> None:
    jpeg = samples.picture(5)
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.lost(1, 10), 1, epoch=OTHER)])
        store.take([arrival(samples.reading(5, thumbnail=jpeg), 5)])
        assert released(store) == RangeSet([(5, 5)])
        assert losses(tmp_path) == [(1, 4), (6, 10)]
        assert 5 not in thumbnails(store)  # that one is still to come
        store.take([picture_arrival(jpeg)])
        assert 5 in thumbnails(store)
        store.take([arrival(samples.event(seq), seq) for seq in (1, 2, 3, 4, 6, 7, 8, 9, 10)])
        assert losses(tmp_path) == []
        assert released(store) == RangeSet([(1, 10)])
        assert numbers(tmp_path) == (11, 0, 0)


def thumbnails(store: Store) -> RangeSet:
    return RangeSet.from_watermark(promise(store).thumbnails_through, promise(store).thumbnail_holes)


def test_a_loss_that_is_said_of_a_stored_record_names_only_what_is_missing(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.event(seq), seq) for seq in (3, 4, 7)])
        store.take([arrival(samples.lost(1, 2**53 - 1), 1, epoch=OTHER)])
        assert losses(tmp_path) == [(1, 2), (5, 6), (8, 2**53 - 1)]
        assert released(store) == RangeSet([(3, 4), (7, 7)])


def test_a_quarantined_record_is_lost_no_more_either(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.lost(1, 3), 1, epoch=OTHER)])
        store.take([arrival(b'{"schema":"cageclock/reading/9"}', 2)])
        assert losses(tmp_path) == [(1, 1), (3, 3)]
        assert 2 in released(store)


def test_more_losses_than_can_be_named_keep_no_device_waiting_for_what_is_behind_them(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        stored = [arrival(samples.event(seq), seq) for seq in range(2, 402, 2)]
        store.take(stored)
        store.take([arrival(samples.lost(1, 401), 1, epoch=OTHER)])
        found = promise(store)
        assert (found.through, len(found.holes)) == (401, MAX_HOLES)
        assert found.holes[-1] == (401, 401)
        assert all(seq in released(store) for seq in range(2, 402, 2))


def test_a_true_hole_is_named_before_any_loss(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.event(seq), seq) for seq in range(2, 402, 2) if seq != 2])
        store.take([arrival(samples.lost(3, 401), 1, epoch=OTHER)])
        assert promise(store).holes[0] == (1, 2)
        assert len(promise(store).holes) == MAX_HOLES


@pytest.mark.parametrize("read_first", [False, True])
def test_an_older_database_asks_again_for_what_it_took_for_lost(tmp_path: Path, read_first: bool) -> None:
    jpeg = samples.picture(3)
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.reading(3, thumbnail=jpeg), 3), picture_arrival(jpeg)])
        store.take([arrival(b'{"schema":"cageclock/reading/9"}', 4), arrival(samples.event(5), 5)])
        store.take([arrival(samples.lost(1, 8), 1, epoch=OTHER)])
        before = (promise(store).through, promise(store).holes)
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
        as_version_3(connection)
    assert query(tmp_path, f"SELECT records FROM accounts WHERE epoch = '{EPOCH}'") == [("[[1, 8]]",)]
    if read_first:
        assert numbers(tmp_path) == (3, 5, 0), "stored, lost, to come"
    with closing(Store.open(tmp_path)) as store:
        assert released(store) == RangeSet([(3, 5)])
        assert (promise(store).through, promise(store).holes) == before
        assert 3 in thumbnails(store)
