"""What waits in quarantine is taken in once it can be read, and nothing else of it changes."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from station.cli import main
from station.store.store import Store
from tests.station import samples
from tests.station.samples import arrival, picture_arrival
from tests.station.store.faults import fault_at
from tests.station.store.test_faults import READING_ROW


def query(data: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two readings that an earlier version failed on, one that no version can read, a stored event, a bad picture."""
    jpeg = samples.picture(2)
    readings = [arrival(samples.reading(seq, thumbnail=jpeg if seq == 2 else None), seq) for seq in (1, 2)]
    with closing(Store.open(tmp_path)) as store:
        with fault_at(READING_ROW, lambda: ValueError("a fault of that version"), always=True):
            assert store.take(readings).quarantined == 2
        store.take([arrival(b'{"schema":"cageclock/reading/9"}', 3), arrival(samples.event(4), 4)])
        store.take([picture_arrival(jpeg), picture_arrival(b"no picture", properties=())])
    return tmp_path


def test_what_can_be_read_now_becomes_a_record_and_the_rest_stays(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = query(data, "SELECT received_at FROM quarantine WHERE seq IN (1, 2) ORDER BY seq")
    assert main(["reread", "--data", str(data)]) == 0
    said = capsys.readouterr().out
    assert "2 records taken in, 0 of them in conflict" in said
    assert "cage-1: 2 messages stay in quarantine" in said
    assert query(data, "SELECT received_at FROM records WHERE seq < 3 ORDER BY seq") == before
    assert query(data, "SELECT seq FROM readings ORDER BY seq") == [(1,), (2,)]
    assert query(data, "SELECT seq FROM quarantine ORDER BY seq") == [(0,), (3,)]
    assert query(data, "SELECT kept FROM usage WHERE what = 'quarantine'") == [(2,)]
    with closing(Store.open(data)) as store:
        [found] = store.committed("cage-1").epochs
        assert (found.through, found.holes, found.thumbnail_holes) == (4, (), ())


def test_a_second_reread_takes_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["reread", "--data", str(data)])
    assert main(["reread", "--data", str(data)]) == 0
    assert "0 records taken in" in capsys.readouterr().out
    assert query(data, "SELECT count(*) FROM records") == [(3,)]


def test_one_that_fails_again_stays_and_holds_up_no_other(data: Path) -> None:
    with closing(Store.open(data)) as store:
        with fault_at(READING_ROW, lambda: ValueError("still"), always=False) as raised:
            assert store.reread().stored == 1
        assert raised
    assert query(data, "SELECT seq FROM quarantine WHERE seq > 0 ORDER BY seq") == [(1,), (3,)]


def test_it_is_refused_while_the_station_runs_and_makes_no_folder(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)):
        assert main(["reread", "--data", str(tmp_path)]) == 2
    assert main(["reread", "--data", str(tmp_path / "nowhere")]) == 2
    assert not (tmp_path / "nowhere").exists()
