"""Every row and picture is compared with what it was made from, and what can be put right is."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.contract.ranges import RangeSet
from edge.errors import CageclockError
from station.cli import main
from station.store.message import Arrival
from station.store.schema import open_for_reading
from station.store.store import Store
from station.store.upkeep import Upkeep
from tests.station import samples
from tests.station.samples import EPOCH, arrival, picture_arrival

PICTURES = {seq: samples.picture(seq) for seq in (1, 2)}
LIFE: list[Arrival] = [
    *(arrival(samples.reading(seq, thumbnail=PICTURES.get(seq)), seq) for seq in range(1, 31)),
    *(picture_arrival(jpeg) for jpeg in PICTURES.values()),
    arrival(samples.event(31), 31),
    arrival(samples.correction("boot-1", 1.7e9), 32),
    arrival(samples.lost(90, 99), 33),
    arrival(b'{"schema":"cageclock/reading/9"}', 34),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with closing(Store.open(tmp_path / "data")) as store:
        store.take(LIFE)
    return tmp_path / "data"


def edit(data: Path, *statements: str) -> None:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount, statement
        connection.commit()


def query(data: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        return connection.execute(sql).fetchall()


def whole_pass(store: Store) -> list[str]:
    found, complete = store.verify_part(1.9e9, fresh=True)
    while not complete:
        more, complete = store.verify_part(1.9e9)
        found += more
    return found


def look(data: Path) -> list[str]:
    """A pass beside a running station."""
    with closing(open_for_reading(data)) as connection:
        upkeep, found, complete = Upkeep(connection, data, None), [], False
        while not complete:
            more, complete = upkeep.next_part(1.9e9)
            found += map(str, more)
    return found


def wanted(store: Store) -> tuple[RangeSet, RangeSet]:
    """Return the numbers of EPOCH that a device is asked for: of records, of pictures."""
    [of] = [one for one in store.committed("cage-1").epochs if one.epoch == EPOCH]
    return RangeSet(of.holes), RangeSet(of.thumbnail_holes)


def content(data: Path) -> list[list[tuple[Any, ...]]]:
    tables = (
        "records",
        "readings",
        "animals",
        "events",
        "clock_corrections",
        "losses",
        "thumbnails",
        "accounts",
        "totals",
    )
    with closing(open_for_reading(data)) as connection:
        return [
            [tuple(row)[1 if of == "records" else 0 :] for row in rows(connection, of)] for of in (*tables, "totals")
        ]


def rows(connection: sqlite3.Connection, table: str) -> list[Any]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def test_a_sound_database_passes_and_status_says_when(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["status", "--data", str(data)])
    assert "no pass over the whole database is complete yet" in capsys.readouterr().out
    before = content(data)
    assert main(["verify", "--data", str(data)]) == 0
    assert "all is well" in capsys.readouterr().out
    assert content(data) == before
    main(["status", "--data", str(data)])
    assert "33 records and 2 pictures; put right then: nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE readings SET age_days = 101 WHERE seq = 7",
        "UPDATE animals SET estimate_days = estimate_days + 1e-9 WHERE seq = 7",
        "DELETE FROM readings WHERE seq = 7",
        "DELETE FROM animals WHERE seq = 7",
        "UPDATE events SET code = 'stop'",
        "UPDATE clock_corrections SET epoch_offset_s = 5",
        "UPDATE readings SET device = 'cage-2' WHERE seq = 7",
        "INSERT INTO events SELECT device, epoch, 77, recorded_s, boot_id, monotonic_s, clock_synced, code, text, "
        "detail FROM events",
        "UPDATE accounts SET records = '[[1, 60]]'",
        "UPDATE accounts SET records = 'x'",
    ],
)
def test_what_was_derived_is_compared_with_its_record_and_made_again(data: Path, damage: str) -> None:
    before = content(data)
    edit(data, damage)
    assert len(look(data)) >= 1
    with closing(Store.open(data)) as store:
        assert len(whole_pass(store)) >= 1
        assert whole_pass(store) == []
    assert content(data) == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE records SET body = x'017b7d' WHERE seq = 7",
        "UPDATE records SET body = CAST('{}' AS BLOB) WHERE seq = 7",
        "UPDATE records SET received_at = received_at + 1 WHERE seq = 7",
        "UPDATE records SET replayed = 1 WHERE seq = 7",
        "UPDATE records SET seq = 77 WHERE seq = 7",
        "UPDATE records SET device = 'cage-9' WHERE seq = 7",
        "DELETE FROM records WHERE seq = 7",
    ],
)
def test_a_damaged_record_is_named_kept_aside_and_asked_for_again(data: Path, damage: str) -> None:
    before = content(data)
    edit(data, damage)
    with closing(Store.open(data)) as store:
        assert 7 not in wanted(store)[0]
        found = whole_pass(store)
        assert found
        assert 7 in wanted(store)[0]
        assert whole_pass(store) == []
        assert store.take(LIFE[6:7]).stored == 1  # its device still had it
        assert 7 not in wanted(store)[0]
        assert whole_pass(store) == []
    assert sorted(map(str, content(data)[0])) == sorted(map(str, before[0]))
    kept = query(data, "SELECT reason FROM quarantine WHERE stream = 'damaged'")
    assert len(kept) == (0 if damage.startswith("DELETE") else 1)


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"\xff\xd8\xff x")])
def test_a_picture_that_is_gone_or_changed_is_asked_for_again(data: Path, damage: Callable[[Path], object]) -> None:
    [(path,)] = query(data, "SELECT path FROM thumbnails WHERE seq = 2")
    damage(data / path)
    assert len(look(data)) == 1
    with closing(Store.open(data)) as store:
        assert len(whole_pass(store)) == 1
        assert 2 in wanted(store)[1]
        assert store.take([picture_arrival(PICTURES[2])]).stored == 1
        assert 2 not in wanted(store)[1]
        assert whole_pass(store) == []


def test_a_pass_goes_on_where_a_stop_ended_it(data: Path) -> None:
    edit(data, "UPDATE readings SET age_days = 101 WHERE seq = 7")
    with closing(Store.open(data)) as store:
        found, complete = store.verify_part(1.9e9, fresh=True)
        assert (len(found), complete) == (1, False)
    parts = 1
    while not complete:
        with closing(Store.open(data)) as store:
            found, complete = store.verify_part(1.9e9)
            assert found == []
        parts += 1
    assert parts > 7
    assert query(data, "SELECT value LIKE '%\"derived\": 1%' FROM meta WHERE key = 'verified'") == [(1,)]


def test_beside_a_running_station_it_only_looks(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(data, "UPDATE readings SET age_days = 101 WHERE seq = 7")
    with closing(Store.open(data)):
        assert main(["verify", "--data", str(data)]) == 1
    assert "1 things are wrong; the running station" in capsys.readouterr().out
    assert query(data, "SELECT age_days FROM readings WHERE seq = 7") == [(101.0,)]


FLIPS = int(os.environ.get("CAGECLOCK_FLIPS", "150"))


@pytest.mark.timeout(3600)
def test_a_flipped_bit_is_noticed_or_harmless(data: Path, tmp_path: Path) -> None:
    """In the records and what is derived of them; a file that SQLite itself cannot read is noticed by that."""
    with closing(sqlite3.connect(data / "station.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sound, before = (data / "station.db").read_bytes(), content(data)
    chance, noticed = random.Random(7), 0
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    for _ in range(FLIPS):
        at, bit = chance.randrange(100, len(sound)), 1 << chance.randrange(8)
        (copy / "station.db").write_bytes(sound[:at] + bytes([sound[at] ^ bit]) + sound[at + 1 :])
        for side in ("station.db-wal", "station.db-shm"):
            (copy / side).unlink(missing_ok=True)
        try:
            wrong = look(copy)
            after = content(copy)
        except (sqlite3.DatabaseError, CageclockError):
            noticed += 1  # a clear end is a notice
            continue
        noticed += bool(wrong)
        assert wrong or after[:5] == before[:5], f"bit {bit} of byte {at}"
    assert noticed
