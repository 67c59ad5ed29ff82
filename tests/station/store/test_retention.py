"""Retention removes bodies and pictures, never keys or digests; each removal has its line; nothing comes back."""

import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.errors import OperatorError
from station.cli import main
from station.ingest.retaining import Retaining
from station.ingest.settings import load_settings
from station.store import retention
from station.store.backup import back_up, restore
from station.store.retention import Rule
from station.store.store import Store
from tests.station import samples
from tests.station.samples import arrival, picture_arrival
from tests.station.store.faults import lines_of
from tests.station.store.test_upkeep import look, whole_pass

PICTURES = {seq: samples.picture(seq) for seq in range(1, 9)}
CAME = 1.8e9
LATER = CAME + 100 * 86400.0
BODIES, THUMBNAILS = Rule(what="bodies", older_than_days=30), Rule(what="thumbnails", older_than_days=30)
LIFE = [
    *(arrival(samples.reading(n, thumbnail=PICTURES.get(n), accepted=n % 2 == 0), n) for n in range(1, 21)),
    *(picture_arrival(jpeg) for jpeg in PICTURES.values()),
    arrival(samples.event(21), 21),
    arrival(samples.correction("boot-1", 1.7e9), 22),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with closing(Store.open(tmp_path / "data")) as store:
        store.take(LIFE)
    return tmp_path / "data"


def run(store: Store, *rules: Rule, now_s: float = LATER) -> int:
    total, complete = 0, False
    while not complete:
        removed, complete = store.retain_part(rules, "test", now_s)
        total += removed
    return total


def query(data: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        return connection.execute(sql).fetchall()


def kept(data: Path) -> list[list[tuple[Any, ...]]]:
    """What retention never touches."""
    tables = ["readings", "animals", "events", "clock_corrections", "days", "accounts", "totals", "losses", "conflicts"]
    columns = "device, epoch, seq, digest, schema, received_at, replayed, seal"
    rows = [query(data, f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]
    pictures = query(data, "SELECT device, epoch, seq, sha256, bytes FROM thumbnails ORDER BY 1, 2, 3")
    return [*rows, query(data, f"SELECT {columns} FROM records ORDER BY id"), pictures]


def removed(data: Path) -> tuple[set[int], set[int]]:
    """The numbers of removed bodies and pictures."""
    bodies = query(data, "SELECT seq FROM records WHERE substr(body, 1, 1) = x'00'")
    return {one[0] for one in bodies}, {
        o[0] for o in query(data, "SELECT seq FROM thumbnails WHERE path LIKE 'removed:%'")
    }


def files(data: Path) -> int:
    return len(list((data / "thumbnails").rglob("*.jpg")))


def test_bodies_and_pictures_go_and_everything_else_stays(data: Path) -> None:
    before = kept(data)
    with closing(Store.open(data)) as store:
        assert run(store, BODIES, THUMBNAILS) == 28
        assert run(store, BODIES, THUMBNAILS) == 0
        assert whole_pass(store) == []
    assert kept(data) == before
    assert removed(data) == (set(range(1, 21)), set(PICTURES))
    assert files(data) == 0
    assert look(data) == []


def test_what_comes_again_after_it_is_known_and_nothing_comes_back(data: Path) -> None:
    """A replay of the whole ring, pictures and corrections too, stores and counts nothing twice."""
    with closing(Store.open(data)) as store:
        run(store, BODIES, THUMBNAILS)
        before, promise = kept(data), store.committed("cage-1")
        ring = [
            arrival(samples.reading(n, thumbnail=PICTURES.get(n), accepted=n % 2 == 0), n, replayed=True)
            for n in range(1, 21)
        ]
        again = store.take(ring + LIFE[20:])
        assert (again.stored, again.known, again.conflicts, again.quarantined) == (0, len(LIFE), 0, 0)
        assert kept(data) == before
        assert store.committed("cage-1") == promise
        assert whole_pass(store) == []
        other = store.take([arrival(samples.reading(3, age_days=7.0), 3)])
        assert (other.stored, other.conflicts) == (0, 1)
    assert removed(data) == (set(range(1, 21)), set(PICTURES))
    assert files(data) == 0
    assert main(["days", "rebuild", "--data", str(data)]) == 0
    assert kept(data)[4] == before[4]


def test_a_rule_says_how_old_and_of_which_readings(data: Path) -> None:
    with closing(Store.open(data)) as store:
        assert run(store, BODIES, THUMBNAILS, now_s=CAME + 29 * 86400.0) == 0
        assert run(store, Rule(what="thumbnails", kind="rejected", older_than_days=30)) == 4
        assert run(store, Rule(what="bodies", kind="accepted", older_than_days=30)) == 10
    assert removed(data) == ({2, 4, 6, 8, 10, 12, 14, 16, 18, 20}, {1, 3, 5, 7})
    assert files(data) == 4


def test_each_removal_has_its_line_in_the_same_transaction(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retention", "log", "--data", str(data)]) == 0
    assert capsys.readouterr().out == "nothing was removed yet\n"
    with closing(Store.open(data)) as store:
        run(store, Rule(what="thumbnails", kind="rejected", older_than_days=30), BODIES)
    assert main(["retention", "log", "--data", str(data), "--json"]) == 0
    pictures, bodies = json.loads(capsys.readouterr().out)
    assert (pictures["who"], pictures["what"], pictures["kind"], pictures["older_than_days"]) == (
        "test", "thumbnails", "rejected", 30)  # fmt: skip
    assert (pictures["removed"], pictures["devices"], pictures["began_at"]) == (4, {"cage-1": 4}, LATER)
    assert (bodies["removed"], bodies["first_s"], bodies["last_s"]) == (20, CAME + 1, CAME + 20)
    assert bodies["bytes"] > 1000
    assert main(["retention", "log", "--data", str(data)]) == 0
    assert "test: 4 thumbnails of rejected readings older than 30 days" in capsys.readouterr().out


def test_a_pass_of_several_parts_has_one_line_and_gives_the_disk_back_what_it_took(data: Path) -> None:
    with closing(Store.open(data)) as store:
        store.take([arrival(samples.reading(n), n) for n in range(100, 550)])
        while store.settle_days():
            pass
        before = kept(data)
        assert run(store, BODIES) == 470
        earlier, later = store.compact()
        assert earlier > later
        assert whole_pass(store) == []
    assert query(data, "SELECT removed, devices, first_s, last_s FROM retention_log") == [
        (470, '{"cage-1": 470}', CAME + 1, CAME + 549)
    ]
    assert kept(data) == before


def test_what_is_gone_without_a_line_is_damage_and_asked_for_again(data: Path) -> None:
    with closing(Store.open(data)) as store:
        run(store, BODIES, THUMBNAILS)
    with closing(sqlite3.connect(data / "station.db")) as connection:
        connection.execute("DELETE FROM retention_log WHERE what = 'thumbnails'")
        connection.execute("UPDATE records SET body = x'007b7d' WHERE seq = 3")
        connection.execute("UPDATE readings SET age_days = 5 WHERE seq = 4")
        connection.commit()
    assert len(look(data)) == 8 + 2
    with closing(Store.open(data)) as store:
        found = whole_pass(store)
        assert sum("no line of retention_log" in one for one in found) == 8
        assert any("its rows are not what they were when retention removed the body" in one for one in found)
        [epoch] = store.committed("cage-1").epochs
        assert epoch.holes == ((3, 3),)
        assert epoch.thumbnail_holes == ((1, 8),)
        again = store.take(LIFE)
        assert again.stored == 1 + 8
    assert files(data) == 8


def test_a_copy_and_a_backup_know_what_retention_removed(data: Path, tmp_path: Path) -> None:
    with closing(Store.open(data)) as store:
        run(store, BODIES, Rule(what="thumbnails", kind="rejected", older_than_days=30))
    about = back_up(data, tmp_path / "backup")
    assert (about["pictures"], about["missing_pictures"]) == (4, 0)
    restore(tmp_path / "backup", tmp_path / "restored", None)
    assert main(["copy", str(data), str(tmp_path / "copy")]) == 0
    for other in (tmp_path / "restored", tmp_path / "copy"):
        assert query(other, "SELECT * FROM retention_log") == query(data, "SELECT * FROM retention_log")
        assert removed(other) == removed(data)
        assert files(other) == 4
        assert look(other) == []


def test_damaged_bodies_are_left_for_verify(data: Path) -> None:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        connection.execute("UPDATE records SET body = CAST(x'01' || substr(body, 3) AS BLOB) WHERE seq = 5")
        connection.execute("UPDATE animals SET estimate_days = 5 WHERE seq = 6")
        connection.execute("UPDATE records SET body = CAST(x'ff' AS TEXT) WHERE seq = 7")
        connection.execute("UPDATE records SET device = CAST(x'ff' AS TEXT) WHERE seq = 8")
        connection.commit()
    with closing(Store.open(data)) as store:
        assert run(store, BODIES) == 16
    assert removed(data)[0] == set(range(1, 21)) - {5, 6, 7, 8}


def test_a_file_that_is_another_s_by_now_is_not_removed(data: Path) -> None:
    with closing(Store.open(data)) as store:
        run(store, THUMBNAILS)
        other = data / "thumbnails" / "cage-1" / "other.jpg"
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(b"another picture")
        outside = data / "notes.txt"
        outside.write_bytes(b"x")
        with closing(sqlite3.connect(data / "station.db")) as connection:
            connection.execute("INSERT INTO retention_files VALUES ('thumbnails/cage-1/other.jpg', 'f00d')")
            connection.execute(
                "INSERT INTO retention_files VALUES ('notes.txt', "
                "'2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881')"
            )
            connection.commit()
        run(store, THUMBNAILS)
        assert other.exists()
        assert outside.exists()
    assert query(data, "SELECT * FROM retention_files") == []


def test_killed_at_any_line_it_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    """The child kills itself with SIGKILL at each line of the pass in turn; the next one completes it."""
    import shutil

    def work(folder: Path) -> None:
        with closing(Store.open(folder)) as store:
            run(store, BODIES, THUMBNAILS)

    before = kept(data)
    trial = tmp_path / "trial"
    shutil.copytree(data, trial)
    places = [place for place in lines_of(lambda: work(trial)) if place[0] == retention.__file__]
    assert len(places) > 80
    for place in places[::6]:
        shutil.rmtree(trial)
        shutil.copytree(data, trial)
        assert killed_at(place, lambda: work(trial))
        bodies, pictures = removed(trial)
        lines = dict(query(trial, "SELECT what, removed FROM retention_log")) if bodies or pictures else {}
        assert (lines.get("bodies", 0), lines.get("thumbnails", 0)) == (len(bodies), len(pictures))
        work(trial)
        assert kept(trial) == before
        assert removed(trial) == (set(range(1, 21)), set(PICTURES))
        assert files(trial) == 0
        assert query(trial, "SELECT sum(removed) FROM retention_log") == [(28,)]
        assert look(trial) == []


def killed_at(place: tuple[str, int], work: Any) -> bool:
    """Return whether a child that kills itself at the first line was killed."""
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
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def settings_file(data: Path, rules: str) -> Path:
    path = data.parent / "station.yaml"
    path.write_text(f"name: lab1\ndata: {data}\nretention: {rules}\n")
    return path


def test_a_dry_run_says_what_each_rule_would_remove_and_removes_nothing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        connection.execute("UPDATE records SET received_at = 1.7e9")
        connection.execute("UPDATE thumbnails SET received_at = 1.7e9")
        connection.commit()
    config = settings_file(
        data, "[{what: thumbnails, kind: rejected, older_than_days: 30}, {what: bodies, older_than_days: 30}]"
    )
    before = query(data, "SELECT * FROM records"), query(data, "SELECT * FROM thumbnails")
    with closing(Store.open(data)):  # beside a running station
        assert main(["retention", "run", "--config", str(config), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "thumbnails of rejected readings older than 30 days: 4, " in said
    assert "bodies older than 30 days: 20, " in said
    assert "which came from 2023-11-14 22:13Z" in said
    assert (query(data, "SELECT * FROM records"), query(data, "SELECT * FROM thumbnails")) == before
    assert files(data) == 8
    assert main(["retention", "run", "--config", str(config)]) == 0
    assert "4 pictures and bodies removed" in capsys.readouterr().out  # of the records the seals were broken here


@pytest.mark.parametrize(
    "rules",
    [
        "[{what: days, older_than_days: 30}]",
        "[{what: bodies}]",
        "[{what: bodies, older_than_days: 0}]",
        "{what: bodies}",
    ],
)
def test_a_rule_that_is_none_is_refused(data: Path, rules: str) -> None:
    with pytest.raises(OperatorError, match="retention"):
        load_settings(settings_file(data, rules), {})


def test_rules_for_a_log_on_postgresql_are_refused_rather_than_passed_over(data: Path) -> None:
    path = settings_file(data, "[{what: bodies, older_than_days: 30}]")
    path.write_text(path.read_text() + "database: postgresql://lab@localhost/lab\n")
    with pytest.raises(OperatorError, match="retention is not made for a log on PostgreSQL"):
        load_settings(path, {})


def test_the_running_station_makes_a_pass_a_day_a_part_a_second(data: Path) -> None:
    with closing(Store.open(data)) as store:
        idle = Retaining(store, [], "lab1")
        idle._next = 0.0
        idle.work()
        work = Retaining(store, [Rule(what="thumbnails", older_than_days=1)], "lab1")
        parts = 0
        while not store.last_retention_s([Rule(what="thumbnails", older_than_days=1)]):
            work._next = 0.0
            work.work()
            parts += 1
        assert parts >= 2
        work._next = 0.0
        work.work()
        assert work._next > time.monotonic() + 60
