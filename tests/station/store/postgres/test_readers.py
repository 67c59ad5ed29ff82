"""What reads the log reads either database: status, curves, the page, the lab's own table of animals."""

import json
import socket
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from station import cli
from station.curves.days import load_day_curves
from station.curves.read import load_curves
from station.page import read
from station.registry.housing import move_subject
from station.registry.reviews import Verdict, load_out, review
from station.registry.subjects import import_subjects
from station.registry.zones import set_zone
from station.status import load_status
from station.store import schema
from tests.harness.postgres import Postgres
from tests.harness.relay import Relay, end
from tests.station import samples
from tests.station.store.postgres.lab import Lab
from tests.station.store.postgres.test_both_databases import messages_of_a_life

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANIMALS = "subject,strain,cage,date_of_birth\nM1,C57BL/6J,cage-1,2025-06-01\nM2,C57BL/6J,käfig,2025-06-01\n"


@pytest.fixture
def labs(url: str, tmp_path: Path) -> tuple[Lab, Lab]:
    """The same log, table of animals and zones in either database."""
    both = Lab(tmp_path / "one", None), Lab(tmp_path / "two", url)
    table = tmp_path / "animals.csv"
    table.write_text(ANIMALS)
    for lab in both:
        with lab.store() as store:
            for batch in messages_of_a_life(3):
                store.take(batch)
        import_subjects(table, lab.data)
        set_zone(lab.data, "+02:00", None)
        move_subject(lab.data, "M2", "cage-9", None, "2026-01-06")
        with lab.store() as store:
            while store.settle_days():
                pass
    return both


def test_status_curves_and_days_are_the_same(labs: tuple[Lab, Lab]) -> None:
    one, two = labs
    assert one.content() == two.content()
    with closing(schema.open_for_reading(one.data)) as first, closing(schema.open_for_reading(two.data)) as second:
        assert load_status(first, NOW) == load_status(second, NOW)
        assert load_day_curves(first, "week") == load_day_curves(second, "week")
        for rejected in (False, True):
            curves = load_curves(first, "day", include_rejected=rejected)
            assert curves == load_curves(second, "day", include_rejected=rejected)
            assert curves


def test_a_reading_that_was_reviewed_out_leaves_the_curves_of_both(labs: tuple[Lab, Lab]) -> None:
    found = []
    for lab in labs:
        with closing(schema.open_for_reading(lab.data)) as connection:
            before = load_day_curves(connection, "day")
            key = connection.execute(
                "SELECT device, epoch, seq FROM animals WHERE accepted = 1 AND subject = 'M1' "
                "AND (device, epoch, seq) IN (SELECT device, epoch, seq FROM timed_readings WHERE "
                "time_basis = 'synchronised') ORDER BY 1, 2, 3 LIMIT 1"
            ).fetchone()
        assert review(lab.data, "anna", [(key[0], key[1], key[2])], Verdict(usable=False, reason="blurred")) == 1
        with closing(schema.open_for_reading(lab.data)) as connection:
            after, each = load_day_curves(connection, "day"), load_curves(connection, "day")
            (reviewed,) = load_out(connection, 10)
        assert (reviewed.who, reviewed.verdict.reason) == ("anna", "blurred")
        assert sum(curve.accepted for curve in after) == sum(curve.accepted for curve in before) - 1
        assert sum(curve.accepted for curve in each) == sum(curve.accepted for curve in after)
        found.append(after)
    assert found[0] == found[1]


def test_the_page_reads_the_same(labs: tuple[Lab, Lab]) -> None:
    answers = []
    for lab in labs:
        with read.log(lab.data) as connection:
            devices = read.find_devices(connection)
            newest = [read.find_newest(connection, device) for device in devices]
            animals = read.devices_of_animal(connection, "M1")
            table = read.table_digest(connection)
        curves = read.load_some_curves(lab.data, ["cage-1"]), read.load_some_curves(lab.data, ["cage-1"], 1.7e9)
        readings = read.load_readings(lab.data, ["cage-1", "it's"], "M1", True, 1.7e9, 1.8e9)
        answers.append((devices, newest, animals, table, curves, readings))
    assert answers[0] == answers[1]
    assert answers[0][5]


def test_the_commands_work_on_the_folder_and_export_says_why_it_does_not(
    labs: tuple[Lab, Lab], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(labs[1].data)
    for command, code in (
        (["status"], 1),
        (["show"], 0),
        (["subjects", "list"], 0),
        (["subjects", "zone"], 0),
        (["verify"], 0),
        (["reread"], 0),
        (["days", "rebuild"], 0),
        (["devices", "retire", "cage-2", "--reason", "old"], 0),
        (["devices", "reinstate", "cage-2"], 0),
        (["backup", "--out", str(tmp_path / "backup")], 0),
    ):
        assert cli.main([*command, "--data", data]) == code, command
    assert labs[0].content()["days"] == labs[1].content()["days"]
    capsys.readouterr()
    assert cli.main(["export", "--data", data, "--out", str(tmp_path / "csv")]) == 2
    assert "copy" in capsys.readouterr().err
    assert not (tmp_path / "csv").exists()
    assert json.loads((tmp_path / "backup" / "backup.json").read_text())["database"] == "postgresql"


class _EndsAtTheFirstQuestion(Relay):
    """Ends the connection where a reader asks for the devices."""

    def pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        while data := source.recv(65536):
            if upward and b"FROM device_state" in data:
                end(sink)
                end(source)
                return
            sink.sendall(data)


def test_a_server_that_ends_in_the_middle_of_a_command_is_named_and_no_file_is_blamed(
    server: Postgres, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Lab(tmp_path / "lab", url).store() as store:
        store.take([samples.arrival(samples.reading(1), 1)])
    with _EndsAtTheFirstQuestion(server.port) as relay:
        cut = Lab(tmp_path / "cut", url.replace(str(server.port), str(relay.port)))
        assert cli.main(["status", "--data", str(cut.data)]) == 4
    said = capsys.readouterr().err
    assert "the database server failed" in said
    assert "station.db" not in said


def test_a_change_of_animals_reaches_the_running_logger(labs: tuple[Lab, Lab], tmp_path: Path) -> None:
    """What the logger keeps of animals and zones in memory is read again when another program has changed it."""
    table = tmp_path / "more.csv"
    table.write_text("subject,cage\nM7,cage-7\n")
    named = []
    for lab in labs:
        with lab.store() as store:
            one = samples.reading(1, device="new", cage="cage-7", animals=(samples.animal(90, subject=None),))
            store.take([samples.arrival(one, 1, device="new")])
            import_subjects(table, lab.data)
            two = samples.reading(2, device="new", cage="cage-7", animals=(samples.animal(90, subject=None),))
            store.take([samples.arrival(two, 2, device="new")])
            while store.settle_days():
                pass
        named.append(lab.query("SELECT DISTINCT name FROM days WHERE device = 'new' AND kind = 'animal'"))
    assert named[0] == named[1] == [("M7",)]
