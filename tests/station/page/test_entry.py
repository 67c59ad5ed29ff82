"""Data entry by forms: what is right is kept with who, when, before and after; what is wrong is explained."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from station.fleet.keep.commands import load_commands, mark
from station.fleet.keep.database import fleet_database
from station.page.changes import load_changes
from station.page.database import page_database
from station.page.notes import load_notes, load_weighings
from station.page.read import load_table
from station.registry.subject import Subject
from tests.station.page.lab import NOW, Browserless, PageProcess, add_people, fill

TODAY = NOW.date().isoformat()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageProcess]:
    data = tmp_path_factory.mktemp("entry") / "lab"
    fill(data, 3, days=12)
    add_people(data)
    with PageProcess(data) as found:
        yield found


@pytest.fixture(scope="module")
def researcher(page: PageProcess) -> Browserless:
    found = Browserless(page.port)
    assert found.sign_in("researcher") == 303
    return found


def animal(page: PageProcess, name: str) -> Subject | None:
    return next((one for one in load_table(page.data)[0] if one.subject == name), None)


def changes(page: PageProcess, about: str) -> list[tuple[str, str, dict[str, object], dict[str, object], str]]:
    with page_database(page.data) as connection:
        found = load_changes(connection, about)
    return [(one.who, one.what, dict(one.before), dict(one.after), one.state) for one in found]


def enrol(who: Browserless, table: str) -> int:
    return who.send("/animals/enrol", "/animals/enrol", {"table": table})


def test_rows_of_a_spreadsheet_become_animals(page: PageProcess, researcher: Browserless) -> None:
    table = "Subject\tSex\tDate of birth\tCage\nN1\tf\t2026-03-01\tcage-9\nN2\tm\t2026-03-02\tcage-9\n"
    assert enrol(researcher, table) == 303
    found = animal(page, "N1")
    assert found is not None
    assert (found.sex, found.date_of_birth, found.cage) == ("female", "2026-03-01", "cage-9")
    assert changes(page, "N1") == [("researcher", "enrolled", {}, {"added": "N1"}, "done")]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "empty"),
        ("name only", "column"),
        ("subject\n", "column names only"),
        ("subject,colour\nX1,blue\n", "unknown colour"),
        ("subject,sex\nX1,both\n", "expected female, male, unknown"),
        ("subject,date_of_birth\nX1,2099-01-01\n", "after today"),
        ("subject,date_of_birth\nX1,2026-02-30\n", "YYYY-MM-DD"),
        ("subject,date_of_birth,date_of_death\nX1,2026-03-01,2026-02-01\n", "lies before"),
        ("subject\nX1\nX1\n", "stands there twice"),
        ("subject,sex\nX1\n", "expected 2 cells"),
        ("subject\nX1\x1b[2J\n", "control"),
    ],
)
def test_a_wrong_table_is_explained_before_and_after_it_is_sent(
    table: str, words: str, page: PageProcess, researcher: Browserless
) -> None:
    researcher.get("/animals/enrol")
    hidden = researcher.hidden()
    if table:
        assert researcher.post("/animals/check", hidden | {"table": table}) == 200
        assert words in researcher.text
    before = load_table(page.data)
    assert enrol(researcher, table) == 422
    assert words in researcher.text
    assert "your table" in researcher.text
    assert "/tmp" not in researcher.text
    assert load_table(page.data) == before


def test_one_wrong_row_is_not_enrolled_half(page: PageProcess, researcher: Browserless) -> None:
    assert enrol(researcher, "subject,sex\nH1,female\nH2,both\n") == 422
    assert animal(page, "H1") is None


def test_the_arm_of_an_animal_is_in_no_page_and_in_no_list_of_changes(
    page: PageProcess, researcher: Browserless
) -> None:
    assert enrol(researcher, "subject,cage,arm\nA1,cage-8,rapamycin\n") == 303
    assert enrol(researcher, "subject,arm\nA1,vehicle\n") == 303
    lead = Browserless(page.port)
    lead.sign_in("lead")
    for path in ("/animals", "/animal?name=A1", "/changes", "/changes?about=A1"):
        assert lead.get(path) == 200
        assert "rapamycin" not in lead.text
        assert "vehicle" not in lead.text


def test_a_weight_is_kept_once_however_often_the_form_is_sent(page: PageProcess, researcher: Browserless) -> None:
    """A phone sends again when the answer was lost on the way."""
    researcher.get("/animal?name=M1")
    values = researcher.hidden() | {"name": "M1", "grams": "24,5", "day": TODAY}
    answers = [researcher.post("/animal/weigh", values) for _ in range(3)]
    assert answers == [303] * 3
    assert [(one.grams, one.who) for one in load_weighings(page.data, "M1")] == [(24.5, "researcher")]


@pytest.mark.parametrize("grams", ["", "heavy", "-3", "0", "2450", "24,500,1", "nan", "inf", "24.5 kg", "1e9", "<b>"])
def test_what_is_no_weight_of_a_mouse_is_refused(grams: str, page: PageProcess, researcher: Browserless) -> None:
    before = load_weighings(page.data, "M2")
    status = researcher.send("/animal?name=M2", "/animal/weigh", {"name": "M2", "grams": grams, "day": TODAY})
    assert status == 400
    assert "expected grams between 1 and 120" in researcher.text
    assert load_weighings(page.data, "M2") == before


@pytest.mark.parametrize("day", ["", "2099-01-01", "01/02/2026", "2026-02-30", "1999-01-01"])
@pytest.mark.parametrize("form", ["weigh", "move", "end", "note"])
def test_a_day_that_cannot_be_is_refused_in_every_form(form: str, day: str, researcher: Browserless) -> None:
    values = {
        "name": "M2",
        "day": day,
        "grams": "25",
        "cage": "cage-7",
        "reason": "other",
        "kind": "animal",
        "text": "x",
    }
    path = "/note" if form == "note" else f"/animal/{form}"
    assert researcher.send("/animal?name=M2", path, values) == 400
    assert "day" in researcher.text


def test_a_move_is_kept_with_where_it_came_from(page: PageProcess, researcher: Browserless) -> None:
    values = {"name": "M2", "cage": "cage-7", "day": TODAY}
    assert researcher.send("/animal?name=M2", "/animal/move", values) == 303
    found = animal(page, "M2")
    assert found is not None
    assert (found.cage, found.stays[0].cage, found.stays[0].until) == ("cage-7", "cage-2", TODAY)
    who, what, before, after, state = changes(page, "M2")[0]
    assert (who, what, before["cage"], after["cage"], state) == ("researcher", "moved", "cage-2", "cage-7", "done")
    assert researcher.send("/animal?name=M2", "/animal/move", values) == 400
    assert "lives there already" in researcher.text
    assert changes(page, "M2")[0][4] == "failed"


def test_a_death_has_a_day_and_a_reason(page: PageProcess, researcher: Browserless) -> None:
    values = {"name": "M3", "day": TODAY, "reason": "", "text": "in the nest"}
    assert researcher.send("/animal?name=M3", "/animal/end", values) == 400
    assert researcher.send("/animal?name=M3", "/animal/end", values | {"reason": "found_dead"}) == 303
    found = animal(page, "M3")
    assert found is not None
    assert found.date_of_death == TODAY
    assert load_notes(page.data, "animal", "M3")[0].text == "Found dead. in the nest"
    assert changes(page, "M3")[-1][3]["reason"] == "found_dead" or changes(page, "M3")[1][3]["reason"] == "found_dead"


def test_an_edit_goes_by_the_rules_of_the_table(page: PageProcess, researcher: Browserless) -> None:
    assert researcher.send("/animal?name=M1", "/animal/edit", {"name": "M1", "sex": "both"}) == 400
    assert "expected female, male, unknown" in researcher.text
    assert "form.csv" not in researcher.text
    assert researcher.send("/animal?name=M1", "/animal/edit", {"name": "M1", "strain": "", "sex": "male"}) == 303
    found = animal(page, "M1")
    assert found is not None
    assert (found.strain, found.sex) == (None, "male")
    assert changes(page, "M1")[0][1:4] == (
        "edited",
        {"strain": "C57BL/6J", "sex": "female"},
        {"strain": None, "sex": "male"},
    )


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001, "bell\x07"])
def test_a_note_that_says_nothing_or_too_much_is_refused(text: str, page: PageProcess, researcher: Browserless) -> None:
    values = {"kind": "animal", "name": "M1", "day": TODAY, "text": text}
    assert researcher.send("/animal?name=M1", "/note", values) == 400
    assert load_notes(page.data, "animal", "M1") == []


def test_a_silent_cage_is_acknowledged_and_retired(page: PageProcess, researcher: Browserless) -> None:
    assert researcher.send("/cage?device=cage-1", "/device", {"device": "cage-1", "decision": "retire"}) == 303
    assert researcher.send("/cage?device=cage-1", "/device", {"device": "cage-1", "decision": "reinstate"}) == 303
    assert researcher.send("/cage?device=cage-1", "/device", {"device": "cage-1", "decision": "explode"}) == 400
    assert researcher.send("/cage?device=cage-1", "/device", {"device": "nothing", "decision": "retire"}) == 400
    assert [one[1] for one in changes(page, "cage-1")] == ["reinstate", "retire"]


@pytest.mark.parametrize(
    ("zone", "status"), [("Europe/Zurich", 303), ("+01:00", 303), ("Mars/Olympus", 400), ("", 400)]
)
def test_the_time_zone_of_the_rooms_is_one(zone: str, status: int, page: PageProcess) -> None:
    lead = Browserless(page.port)
    lead.sign_in("lead")
    assert lead.send("/start", "/start/zone", {"zone": zone}) == status


def test_a_picture_is_asked_for_by_a_row_that_the_fleet_process_sends(page: PageProcess) -> None:
    """The page only queues; what became of it stands on the cage's page; a fourth at once is refused."""
    who = Browserless(page.port)
    assert who.sign_in("technician") == 303
    cage, asked = "/cage?device=cage-2", {"device": "cage-2", "request": "capture"}
    assert who.send(cage, "/device/request", asked | {"request": "reboot"}) == 400
    assert who.send(cage, "/device/request", asked | {"device": "nowhere"}) == 400
    for _ in range(3):
        assert who.send(cage, "/device/request", asked) == 303
    assert who.send(cage, "/device/request", asked) == 400
    with fleet_database(page.data) as connection:
        found = load_commands(connection, device="cage-2")
        assert [(one.name, one.who, one.state) for one in found] == [("capture", "technician", "queued")] * 3
        mark(connection, 1.0, found[0].id, "refused", "the disk is full")
    who.get(cage)
    assert "start cageclock-fleet" in who.text
    assert "Picture: refused" in who.text
    assert "the disk is full" in who.text
    assert [one[1] for one in changes(page, "cage-2")] == ["asked for capture"] * 3
