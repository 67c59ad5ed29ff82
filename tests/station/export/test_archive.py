"""The Parquet archive: what DuckDB reads by the documents' queries, and that only changed months are written."""

import csv
import os
import re
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from station.cli import main
from station.export import archive as archive_module
from station.registry.subjects import import_subjects
from station.store.store import Store
from tests.harness.child import REPOSITORY
from tests.station import samples
from tests.station.samples import START, arrival
from tests.station.store.faults import lines_of


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Three months of one cage, a boot whose clock was never set, an event; M1 lives there from the second day."""
    data = tmp_path / "data"
    readings = samples.days([(d / 2, 100 + d / 2) for d in range(130)])
    never = [arrival(samples.reading(500 + n, synced=False, boot="never"), 500 + n) for n in range(3)]
    with closing(Store.open(data)) as store:
        store.take([*readings, *never, arrival(samples.event(600), 600)])
        store.take([arrival(samples.reading(601, accepted=False), 601)])
    settle(data)
    table = tmp_path / "animals.csv"
    table.write_text("subject,cage,date_of_birth,arm,notes\nM1,cage-1,2025-10-01,control,=1+2\n")
    import_subjects(table, data)
    settle(data)
    return data


def settle(data: Path) -> None:
    with closing(Store.open(data)) as store:
        while store.settle_days():
            pass


def run(data: Path, out: Path, *words: str) -> int:
    return main(["archive", "--data", str(data), "--out", str(out), *words])


def written(out: Path) -> dict[str, int]:
    return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.rglob("*.parquet")}


def test_a_month_a_file_with_every_row_of_the_export_and_its_types(lab: Path, tmp_path: Path) -> None:
    out, exported = tmp_path / "out", tmp_path / "csv"
    assert run(lab, out) == 0
    assert main(["export", "--data", str(lab), "--out", str(exported)]) == 0
    months = ["2026-01", "2026-02", "2026-03", "unknown"]
    for name in ("readings", "animals"):
        assert sorted(path.stem for path in (out / name).iterdir()) == months
        with (exported / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        found = duckdb.sql(f"SELECT * FROM '{out}/{name}/*.parquet'").fetchall()
        names = duckdb.sql(f"SELECT * FROM '{out}/{name}/*.parquet'").columns
        assert len(found) == len(rows) == 134
        assert names == [one for one in rows[0] if one != "thumbnail"]
        by_key = {(row["epoch"], int(row["seq"])): row for row in rows}
        for values in found:
            row = dict(zip(names, values, strict=True))
            text = by_key[row["epoch"], row["seq"]]
            at = datetime.fromisoformat(text["captured_at"])
            assert abs(row["captured_at"] - at) <= timedelta(milliseconds=1)
            for column, value in row.items():
                if isinstance(value, (str, type(None))):
                    assert (value or "") == text[column]
                elif isinstance(value, (bool, int, float)):
                    assert float(value) == float(text[column])
    schema = pq.read_schema(out / "animals" / "2026-01.parquet")
    assert schema.field("age_days").metadata[b"unit"] == b"d"
    assert schema.field("age_days").metadata[b"meaning"].startswith(b"accepted age")
    assert duckdb.sql(f"SELECT notes, date_of_birth FROM '{out}/subjects.parquet'").fetchall() == [
        ("=1+2", datetime(2025, 10, 1).date())  # no spreadsheet reads it: the text as it is
    ]
    assert pq.ParquetFile(out / "readings" / "2026-01.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_the_queries_of_the_documents_run(lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(lab, tmp_path / "out") == 0
    queries = re.findall(r"```sql\n(.*?)```", (REPOSITORY / "docs" / "archive.md").read_text(), re.DOTALL)
    assert len(queries) >= 5
    monkeypatch.chdir(tmp_path / "out")
    weeks, days, rejected, captures, truth = (duckdb.sql(query).fetchall() for query in queries)
    assert weeks[0][0] == "M1"
    assert len(days) == 66
    assert rejected == [("control", "out_of_domain", 1)]
    assert {row[0] for row in captures} == {"cage-1"}
    assert truth[0][:4] == ("M1", "control", START.date(), 96)


def test_only_what_has_changed_is_written_again(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(lab, out) == 0
    before = written(out)
    assert run(lab, out) == 0
    assert "2 files written, 8 had not changed" in capsys.readouterr().out
    assert changed(before, written(out)) == set()
    with closing(Store.open(lab)) as store:  # late by a month
        store.take([arrival(samples.reading(700, at=START + timedelta(days=40)), 700)])
    assert run(lab, out) == 0
    assert changed(before, written(out)) == {"readings/2026-02.parquet", "animals/2026-02.parquet"}
    before = written(out)
    table = tmp_path / "dead.csv"
    table.write_text("subject,date_of_death\nM1,2026-03-05\n")
    import_subjects(table, lab)
    settle(lab)
    assert run(lab, out) == 0
    assert {name for name in changed(before, written(out)) if "2026-01" in name} == set()
    names = duckdb.sql(f"SELECT DISTINCT subject FROM '{out}/animals/2026-03.parquet' ORDER BY 1").fetchall()
    assert names == [("M1",), (None,)]


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in after if after[name] != before.get(name) and "/" in name}


def test_a_clock_that_is_corrected_moves_its_readings_to_their_month(lab: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(lab, out) == 0
    with closing(Store.open(lab)) as store:
        moment = datetime(2026, 6, 15, tzinfo=UTC).timestamp()
        store.take([arrival(samples.correction("never", moment - 1000), 701)])
    settle(lab)
    assert run(lab, out) == 0
    assert not (out / "readings" / "unknown.parquet").exists()
    assert not (out / "animals" / "unknown.parquet").exists()
    assert len(pq.read_table(out / "readings" / "2026-06.parquet")) == 3
    assert len(duckdb.sql(f"SELECT * FROM '{out}/readings/*.parquet'").fetchall()) == 134


def test_what_is_another_s_is_not_overwritten(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    (out / "readings").mkdir(parents=True)
    (out / "readings" / "2026-02.parquet").write_text("mine")
    assert run(lab, out) == 2
    assert "expected a file of this archive" in capsys.readouterr().err
    assert (out / "readings" / "2026-02.parquet").read_text() == "mine"


def test_values_of_another_type_are_left_empty_and_counted(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(lab / "station.db")) as connection:
        connection.execute(
            "UPDATE readings SET frames = 'many', px_per_mm = x'00', cage = CAST(x'ff' AS TEXT) WHERE seq = 3"
        )
        connection.commit()
    assert run(lab, tmp_path / "out") == 0
    assert "left empty: 2 values" in capsys.readouterr().err
    table = pq.read_table(tmp_path / "out" / "readings" / "2026-01.parquet").to_pylist()
    [row] = [one for one in table if one["seq"] == 3]
    assert (row["frames"], row["px_per_mm"], row["cage"]) == (None, None, "\ufffd")


def test_killed_in_the_middle_it_leaves_whole_files_and_goes_on(lab: Path, tmp_path: Path) -> None:
    """The child kills itself with SIGKILL at lines of the pass; what stands there then is whole."""
    out = tmp_path / "out"

    def work() -> None:
        run(lab, out)

    places = [one for one in lines_of(work) if "/station/export/" in one[0]]
    assert any(place[0] == archive_module.__file__ for place in places)
    clear(out)
    for place in [one for one in places if one[0].endswith(("archive.py", "parquet.py"))][::20]:
        killed_at(place, work)
        for path in out.rglob("*.parquet"):
            pq.read_table(path)
        work()
        assert len(duckdb.sql(f"SELECT * FROM '{out}/readings/*.parquet'").fetchall()) == 134
        assert list(out.rglob("*.tmp")) == []
        clear(out)


def clear(out: Path) -> None:
    for path in out.rglob("*.*"):
        path.unlink()


def killed_at(place: tuple[str, int], work: Any) -> None:
    child = os.fork()
    if child == 0:

        def trace(frame: Any, event: str, _: object) -> Any:
            if frame.f_code.co_filename != place[0]:
                return None
            if event == "line" and frame.f_lineno == place[1]:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            sys.settrace(trace)
            work()
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
