"""Records are kept packed, with a checksum, and an older database gets there in place, whatever kills the upgrade."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract import jsontext
from edge.contract.base import MAX_RECORD_BYTES
from station.store.body import pack_body, unpack_body
from station.store.record_rows import COLUMNS, RecordRow, read_body
from station.store.schema import open_for_reading
from station.store.store import Store
from station.store.upgrade import OLD_RECORDS, bring_up_to_date
from tests.harness.child import REPOSITORY
from tests.station import samples
from tests.station.samples import arrival
from tests.station.versions import as_version_4

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(st.dictionaries(st.text(), VALUES))
def test_a_body_comes_back_byte_for_byte(values: dict[str, Any]) -> None:
    body = json.dumps(values).encode()
    stored = pack_body(body)
    assert unpack_body(stored) == body
    assert len(stored) <= len(body)


def test_a_reading_takes_a_third_of_its_bytes() -> None:
    body = jsontext.encode(samples.reading(1, thumbnail=samples.picture(1)))
    assert len(pack_body(body)) < len(body) / 3


@given(st.binary(max_size=300))
def test_bytes_that_are_no_packed_body_are_refused_or_are_not_packed(data: bytes) -> None:
    try:
        found = unpack_body(data)
    except ValueError:
        assert data[:1] == b"\x01"
    else:
        assert len(found) <= MAX_RECORD_BYTES + 1


def test_a_packed_body_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="does not end"):
        unpack_body(pack_body(b"{" + b" " * (MAX_RECORD_BYTES * 100) + b"}"))


def test_any_change_of_any_column_is_noticed(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.reading(1), 1)])
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
        row = RecordRow(*connection.execute(f"SELECT {COLUMNS} FROM records").fetchone())
    assert read_body(row) == jsontext.encode(samples.reading(1))
    spoilt = bytes([*row.body[:-3], row.body[-3] ^ 4, *row.body[-2:]])
    others = ("cage-2", "f" * 32, 2, "0" * 64, "cageclock/event/1", spoilt, row.received_at + 1e-6, 1, row.seal ^ 1)
    for name, other in zip(RecordRow._fields, others, strict=True):
        with pytest.raises(ValueError, match=r"not what was written|expected a deflated body"):
            read_body(row._replace(**{name: other}))


def rows(data: Path) -> list[tuple[Any, ...]]:
    with closing(open_for_reading(data)) as connection:
        found = connection.execute(
            "SELECT device, epoch, seq, digest, body, received_at, replayed FROM records ORDER BY 1, 2, 3"
        ).fetchall()
    return [(*row[:4], unpack_body(row[4]), *row[5:]) for row in found]


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A database of version 4 with some thousand records of two devices."""
    with closing(Store.open(tmp_path)) as store:
        for device in ("cage-1", "cage-2"):
            store.take([arrival(samples.reading(seq, device=device), seq, device=device) for seq in range(1, 4_001)])
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
        as_version_4(connection)
    return tmp_path


OPEN = "import sys, pathlib; from station.store.store import Store; Store.open(pathlib.Path(sys.argv[1]), progress={})"
KILL = "lambda _: __import__('os').kill(__import__('os').getpid(), 9)"


def test_an_upgrade_that_is_killed_again_and_again_loses_and_doubles_nothing(older: Path) -> None:
    before = rows(older)
    assert len(before) == 8_000
    kills = 0
    while (
        subprocess.run([sys.executable, "-c", OPEN.format(KILL), older], cwd=REPOSITORY).returncode == -signal.SIGKILL
    ):
        kills += 1
        assert rows(older) == before, "a reader sees what is moved and what is not"
    assert kills >= 4  # on a busy machine also in the middle of a part
    with closing(Store.open(older)) as store:
        assert store.take([arrival(samples.reading(1), 1)]).known == 1
    assert rows(older) == before
    with closing(sqlite3.connect(older / "station.db")) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (OLD_RECORDS,)).fetchone()
        found = connection.execute(f"SELECT {COLUMNS} FROM records").fetchall()
    assert all(read_body(RecordRow(*row)) for row in found)


def test_a_step_that_takes_long_says_that_it_goes_on(older: Path) -> None:
    """Without a word systemd would end it, at each start anew."""
    said: list[str] = []
    with closing(sqlite3.connect(older / "station.db", isolation_level=None)) as connection:
        bring_up_to_date(connection, said.append, 0.0)
    parts = [text for text in said if "records moved" in text]
    assert len(parts) == 4
    assert len(said) > len(parts)


def test_a_database_of_version_4_can_be_read_before_anything_has_written_to_it(older: Path) -> None:
    assert len(rows(older)) == 8_000
