"""What is read of a damaged outbox, and what an outbox of an earlier version becomes."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from edge.config import tree
from edge.contract import identity
from edge.outbox import Outbox
from edge.outbox.reader import Reader
from edge.outbox.recovery.page_salvage import read_pages
from edge.outbox.recovery.wal import judge

SETTINGS = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=0)


def opened(folder):
    return Outbox.open(folder, SETTINGS, device_id="cage07", serial="s")


def read_all(folder):
    reader = Reader(folder / "outbox.db")
    reader.changed()
    rows = {(row.epoch, row.seq): row for of in reader.epochs() for row in reader.rows(of.epoch, 1, of.last)}
    reader.close()
    return rows


def test_a_row_with_a_changed_letter_is_not_read(tmp_path, reading):
    outbox = opened(tmp_path)
    for _ in range(3):
        outbox.append_reading(reading(None))
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as connection:
        connection.execute(
            "UPDATE records SET body = CAST(replace(body, 'no_mouse', 'no_house') AS BLOB) WHERE seq = 2"
        )
        connection.execute("UPDATE records SET kind = 'record' WHERE seq = 3")
    assert [seq for _, seq in read_all(tmp_path)] == [1]


def test_a_file_whose_schema_is_gone_still_yields_its_records(tmp_path, reading):
    outbox = opened(tmp_path)
    acknowledged = [outbox.append_reading(reading(None, detail="x" * size)).key for size in (0, 3000, 9000, 100_000)]
    outbox.close()
    path = tmp_path / "outbox.db"
    before = read_all(tmp_path)
    data = bytearray(path.read_bytes())
    data[100:200] = bytes(100)
    path.write_bytes(data)
    assert read_pages(path).rows == before, "also what lies on several pages"
    outbox = opened(tmp_path)
    outbox.close()
    assert set(acknowledged) <= set(read_all(tmp_path))


def journal_of(folder, reading):
    outbox = opened(folder)
    for _ in range(5):
        outbox.append_reading(reading(None))
    data = (folder / "outbox.db-wal").read_bytes()
    outbox.close()
    return data


def test_a_journal_is_whole_or_torn_at_its_end_or_damaged_in_its_middle(tmp_path, reading):
    data = journal_of(tmp_path, reading)
    assert not judge(data).damaged
    assert not judge(data).torn
    cut = judge(data[:-3000])
    assert (cut.damaged, cut.torn) == (False, False), "an entry that was never finished is no entry"
    last = bytearray(data)
    last[-100] ^= 1
    assert (judge(bytes(last)).damaged, judge(bytes(last)).torn) == (False, True)
    for place in (5, 40, 500, len(data) // 2):
        middle = bytearray(data)
        middle[place] ^= 4
        assert judge(bytes(middle)).damaged, f"byte {place}"


def test_a_file_of_a_version_without_seals_gets_them(tmp_path, reading):
    outbox = opened(tmp_path)
    acknowledged = [outbox.append_reading(reading(None)).key for _ in range(3)]
    epoch = outbox.epoch
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as connection:
        for table in ("meta", "epochs", "records"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN seal")
    outbox = opened(tmp_path)
    acknowledged.append(outbox.append_reading(reading(None)).key)
    assert outbox.epoch != epoch
    outbox.close()
    rows = read_all(tmp_path)
    assert sorted(rows) == sorted([*acknowledged, (outbox.epoch, 1)]), "a start's first record names the old epoch"
    assert f'"before":"{epoch}","last":3'.encode() in rows[outbox.epoch, 1].body
    assert all(identity.digest(row.body) == row.digest for row in rows.values())


def test_a_replacement_that_a_power_cut_interrupted_is_finished(tmp_path, reading):
    outbox = opened(tmp_path)
    acknowledged = outbox.append_reading(reading(None)).key
    outbox.close()
    (tmp_path / "outbox.db").rename(tmp_path / "outbox.db.new")
    opened(tmp_path).close()
    assert acknowledged in read_all(tmp_path)
