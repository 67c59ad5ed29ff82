"""A log is copied from either database to the other, also while it is written, and both hold the same at the end."""

import re
import threading
from pathlib import Path

import pytest

from edge.errors import OperatorError
from station import cli
from station.store.copy_log import copy_log
from station.store.place import LogPlace, read_place
from tests.harness.postgres import Postgres
from tests.station import samples
from tests.station.samples import arrival
from tests.station.store.postgres.lab import Lab, promise
from tests.station.store.postgres.test_both_databases import messages_of_a_life


def fill(lab: Lab, seed: int = 5) -> None:
    with lab.store() as store:
        for batch in messages_of_a_life(seed):
            store.take(batch)
        while store.settle_days():
            pass


@pytest.fixture
def labs(request: pytest.FixtureRequest, server: Postgres, url: str, tmp_path: Path) -> tuple[Lab, Lab]:
    """A lab on SQLite and one on PostgreSQL."""
    return Lab(tmp_path / "file", None), Lab(tmp_path / "server", url)


@pytest.mark.parametrize("there", [True, False], ids=["to the server", "back"])
def test_a_copy_holds_every_row_and_picture_and_the_same_promises(labs: tuple[Lab, Lab], there: bool) -> None:
    source, target = labs if there else labs[::-1]
    fill(source)
    assert cli.main(["copy", str(source.data), str(target.data)]) == 0
    assert target.content() == source.content()
    for path, _ in source.query("SELECT path, sha256 FROM thumbnails"):
        assert (target.data / path).read_bytes() == (source.data / path).read_bytes()
    with source.store() as one, target.store() as two:
        assert one.station_db != two.station_db
        for device in one.devices():
            assert one.committed(device).epochs == two.committed(device).epochs
        batch = messages_of_a_life(5)[0]
        assert two.take(batch).stored == 0


def test_a_copy_prints_the_records_of_each_device(labs: tuple[Lab, Lab], capsys: pytest.CaptureFixture[str]) -> None:
    with labs[0].store() as store:
        store.take([arrival(samples.event(seq), seq) for seq in range(1, 8)])
    cli.main(["copy", str(labs[0].data), str(labs[1].data)])
    assert re.search(r"^cage-1: 7 records, the same in both \(sha256 [0-9a-f]{16}\)$", capsys.readouterr().out, re.M)


def test_an_interrupted_copy_goes_on_and_a_live_source_is_taken_as_it_is_at_the_end(labs: tuple[Lab, Lab]) -> None:
    source, target = labs
    fill(source)

    class Interrupted(Exception):
        pass

    def interrupt(table: str, written: int) -> None:
        if table == "animals":
            raise Interrupted

    places = LogPlace(source.data), LogPlace(target.data)
    with places[0].reading() as one, places[1].writing() as two:
        with pytest.raises(Interrupted):
            copy_log(one, two, interrupt)
    assert target.query("SELECT count(*) FROM records") != [(0,)]
    assert target.content() != source.content()
    with source.store() as store:
        late = [arrival(samples.reading(seq, device="late"), seq, device="late") for seq in range(1, 40)]
        over = threading.Event()

        def add(_table: str, _written: int) -> None:
            if late:
                store.take([late.pop()])
            over.set()

        with places[0].reading() as one, places[1].writing() as two:
            done = copy_log(one, two, add)
        assert over.is_set()
    stored = source.query("SELECT count(*) FROM records WHERE device = 'late'")[0][0]
    assert done.devices["late"][0] <= stored
    with places[0].reading() as one, places[1].writing() as two:
        assert copy_log(one, two).devices["late"][0] == stored
    assert target.content() == source.content()


def test_a_target_into_which_a_station_has_logged_is_refused(labs: tuple[Lab, Lab]) -> None:
    source, target = labs
    fill(source)
    assert cli.main(["copy", str(source.data), str(target.data)]) == 0
    with target.store() as store:
        store.take([arrival(samples.event(1, device="new"), 1, device="new")])
    before = target.content()
    assert cli.main(["copy", str(source.data), str(target.data)]) == 2
    assert target.content() == before


def test_a_target_that_a_station_writes_is_refused(labs: tuple[Lab, Lab]) -> None:
    fill(labs[0])
    for source, target in (labs, labs[::-1]):
        with target.store():
            assert cli.main(["copy", str(source.data), str(target.data)]) in (2, 4)


def test_a_url_is_a_place_too_and_a_password_in_it_is_refused(labs: tuple[Lab, Lab]) -> None:
    fill(labs[0])
    command = ["copy", str(labs[0].data), str(labs[1].url)]
    assert cli.main(command) == 2  # the server is not durable
    assert cli.main([*command, "--database-durability", "relaxed"]) == 0
    assert labs[1].content() == labs[0].content()
    with pytest.raises(OperatorError, match="without a password"):
        read_place("postgresql://lab:secret@localhost/lab")


def test_a_backup_is_restored_as_another_log_and_the_devices_fill_the_hole(
    lab: Lab, server: Postgres, tmp_path: Path
) -> None:
    jpeg = samples.picture(1)
    messages = [arrival(samples.reading(seq, thumbnail=jpeg if seq == 1 else None), seq) for seq in range(1, 30)]
    with lab.store() as store:
        store.take([*messages[:20], samples.picture_arrival(jpeg)])
        identity = store.station_db
        assert cli.main(["backup", "--data", str(lab.data), "--out", str(tmp_path / "backup")]) == 0
        store.take(messages[20:])
    saved = lab.content()
    options = ["--database", server.new_database(), "--database-durability", "relaxed"] if lab.url else []
    back = Lab(tmp_path / "back", None)
    assert cli.main(["restore", str(tmp_path / "backup"), "--data", str(back.data), *options]) == 0
    with back.store() as store:
        assert store.station_db != identity
        assert promise(store).through == 20
        found = store.take(messages)  # what a device still holds, all of it: it hears of another log
        assert (found.stored, found.known) == (9, 20)
        while store.settle_days():
            pass
    restored = back.content()
    assert {name: restored[name] for name in ("records", "readings", "animals", "totals")} == {
        name: saved[name] for name in ("records", "readings", "animals", "totals")
    }
    [(path,)] = back.query("SELECT path FROM thumbnails")
    assert (back.data / path).read_bytes() == jpeg


def test_a_backup_that_is_not_complete_is_refused(lab: Lab, tmp_path: Path) -> None:
    with lab.store():
        pass
    assert cli.main(["backup", "--data", str(lab.data), "--out", str(tmp_path / "backup")]) == 0
    (tmp_path / "backup" / "backup.json").unlink()
    assert cli.main(["restore", str(tmp_path / "backup"), "--data", str(tmp_path / "back")]) == 2
    assert not (tmp_path / "back" / "station.db").exists()
