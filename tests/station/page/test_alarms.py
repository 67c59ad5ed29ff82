"""Alarms: from the trouble to the message, and what people do with them; against real servers for mail and webhooks."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
from aiosmtpd.controller import Controller
from hypothesis import example, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser

from edge.contract import jsontext
from edge.contract.reading import Light, Outcome
from station.page.alarms.alarm import AGAIN_S, Trouble, keep_alarms, load_cleared, load_history, load_open
from station.page.alarms.channels import Channel, add_channel, load_channels
from station.page.alarms.send import hidden
from station.page.alarms.sender import BACK_OFF_S, compose, find_due, keep_outcome
from station.page.alarms.unseen import find_unseen
from station.page.database import open_page_database, page_database
from station.page.tables import STEPS, VERSION
from station.page.wall import Card, make_card
from station.registry.attribution import Owners
from station.registry.subject import Subject
from station.store.message import Arrival
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.harness.waiting import wait_until
from tests.station.page.lab import NOW, Browserless, PageProcess, add_people, fill, free_port
from tests.station.page.test_browser import DESK, PHONE, check, opened
from tests.station.samples import arrival, reading

SECRET = "s3cr3tTopicOfOurLab"
SILENT = Trouble("cage-1", "silent", "no reading for 4 d", False)


class Webhook:
    """A server that keeps what is posted to it, and answers as it is told to."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.got, self.may_answer = status, list[str](), threading.Event()
        self.may_answer.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.got.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.may_answer.wait(60)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://127.0.0.1:{self._server.server_port}/{SECRET}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def webhook(status: int = 200) -> Iterator[Webhook]:
    with closing(Webhook(status)) as found:
        yield found


class Mailbox:
    """What aiosmtpd hands every mail to."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    async def handle_DATA(self, _: object, __: object, envelope: object) -> str:  # noqa: N802 - the library's name
        self.got.append(getattr(envelope, "content"))  # noqa: B009 - it has no types
        return "250 taken"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with page_database(tmp_path):
        return tmp_path


def keep(data: Path, now_s: float, *found: Trouble) -> None:
    with page_database(data) as connection:
        keep_alarms(connection, found, now_s, now_s)


def add(data: Path, address: str = "json://127.0.0.1", group: str = "0", **more: str) -> Channel:
    values = {"name": more.get("name", "hook"), "address": address, "group": group}
    values |= {key: more.get(key, "") for key in ("quiet_from", "quiet_until")}
    with page_database(data) as connection:
        number = add_channel(connection, "admin", "JSON", values, urgent_only=more.get("urgent") == "yes")
        return next(one for one in load_channels(connection) if one.id == number)


def due(data: Path, channel: Channel, now_s: float, at: datetime = NOW) -> list[int]:
    with page_database(data) as connection:
        return [row["alarm"] for row in find_due(connection, channel, now_s, at)]


def what_happened(data: Path) -> list[str]:
    with page_database(data) as connection:
        (alarm,) = [*load_open(connection), *load_cleared(connection)]
        return [entry.what for entry in load_history(connection, alarm.id)]


def test_an_alarm_begins_is_known_comes_back_with_more_and_ends(data: Path) -> None:
    """All in one alarm, with each step in its history; a look that finds the same writes nothing."""
    lost = Trouble("cage-1", "lost", "3 records are lost", False)
    keep(data, 1000.0, lost)
    keep(data, 1010.0, Trouble("cage-1", "lost", "3 records are lost", True))
    keep(data, 1020.0, Trouble("cage-1", "lost", "5 records are lost", False))
    keep(data, 1030.0, Trouble("cage-1", "lost", "5 records are lost", False))
    keep(data, 1040.0)
    keep(data, 1050.0, lost)
    assert what_happened(data) == ["began", "acknowledged", "more", "cleared", "again"]
    keep(data, 1060.0)
    keep(data, 1060.0 + AGAIN_S, lost)
    with page_database(data) as connection:
        assert len(load_open(connection)) == len(load_cleared(connection)) == 1


def test_a_trouble_that_flaps_is_sent_once_an_hour(data: Path) -> None:
    channel = add(data)
    for minute in range(0, 50, 2):
        keep(data, 1000.0 + 60 * minute, SILENT)
        keep(data, 1060.0 + 60 * minute)
    keep(data, 4000.0, SILENT)
    with page_database(data) as connection:
        (count,) = connection.execute("SELECT count(*) FROM outgoing").fetchone()
    assert count == 1
    assert len(due(data, channel, 4000.0)) == 1


def test_what_a_person_decided_during_a_look_is_not_taken_back_by_it(data: Path) -> None:
    from station.page.alarms.decide import acknowledge_alarm

    keep(data, 1000.0, SILENT)
    with page_database(data) as connection:
        acknowledge_alarm(connection, "ada", load_open(connection)[0], "on my way")
        keep_alarms(connection, [SILENT], 1005.0, 1010.0)  # this look began before
        assert load_open(connection)[0].state == "acknowledged"


def test_one_message_holds_all_that_came_while_the_first_waited(data: Path) -> None:
    channel = add(data, group="5")
    keep(data, 1000.0, SILENT)
    keep(data, 1100.0, SILENT, Trouble("cage-2", "offline", "not connected", False))
    assert due(data, channel, 1299.0) == []
    assert len(due(data, channel, 1300.0)) == 2
    with page_database(data) as connection:
        title, body = compose(find_due(connection, channel, 1300.0, NOW), "https://mice.example.org")
    assert title == "CageClock: 2 alarms"
    assert "cage-1: Silent. no reading for 4 d\nhttps://mice.example.org/alarm?id=1" in body


def test_quiet_hours_hold_alarms_back_also_over_midnight(data: Path) -> None:
    night = add(data, quiet_from="22:00", quiet_until="06:30")
    keep(data, 1000.0, SILENT)
    quiet = {hour: due(data, night, 2000.0, NOW.replace(hour=hour, minute=29)) == [] for hour in range(24)}
    assert [hour for hour, held in quiet.items() if held] == [0, 1, 2, 3, 4, 5, 6, 22, 23]
    assert not night.is_quiet(NOW.replace(hour=6, minute=30))


def test_who_wants_only_what_is_urgent_hears_nothing_else(data: Path) -> None:
    channel = add(data, urgent="yes")
    keep(data, 1000.0, Trouble("cage-1", "lost", "3 lost", False), Trouble("cage-2", "animal_not_seen", "none", None))
    with page_database(data) as connection:
        assert [row["kind"] for row in find_due(connection, channel, 2000.0, NOW)] == ["animal_not_seen"]


def test_what_could_not_be_sent_is_tried_ever_more_seldom_and_given_up_after_a_day(
    data: Path,
) -> None:
    channel = add(data)
    now_s = datetime.now(UTC).timestamp()
    keep(data, now_s - 3600, SILENT)
    waits = []
    with page_database(data) as connection:
        for _ in range(5):
            keep_outcome(connection, channel, [1], False, "refused")
            (due_s,) = connection.execute("SELECT due_s FROM outgoing").fetchone()
            waits.append(round(due_s - datetime.now(UTC).timestamp(), -1))
        assert waits == [*BACK_OFF_S, BACK_OFF_S[-1]]
        assert load_channels(connection)[0].said == "refused"
        connection.execute("UPDATE outgoing SET queued_s = queued_s - 86400")
        keep_outcome(connection, channel, [1], False, "refused")
        assert load_channels(connection)[0].waiting == 0


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=127), min_size=6, max_size=30))
@example("method")
@example("connection")
def test_no_secret_of_an_address_comes_back_in_a_failure(secret: str) -> None:
    address = f"mailtos://user:{secret}@smtp.example.org/?to=lab@example.org"
    assert secret.casefold() not in hidden(f"535 {secret}: {secret.upper()} was refused", address).casefold()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "name: expected"),
        ({"address": "no address"}, "address: expected"),
        ({"quiet_from": "22:00"}, "expected two times"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "two different times"),
        ({"quiet_from": "25:00", "quiet_until": "06:00"}, "expected two times"),
        ({"group": "7"}, "grouping: expected"),
    ],
)
def test_a_channel_that_cannot_be_one_is_refused_without_its_address(
    change: dict[str, str], words: str, data: Path
) -> None:
    from edge.errors import OperatorError

    values = {"name": "a", "address": f"json://h/{SECRET}", "quiet_from": "", "quiet_until": "", "group": "1"} | change
    with page_database(data) as connection, pytest.raises(OperatorError, match=words) as said:
        add_channel(connection, "admin", "JSON", values, urgent_only=False)
    assert SECRET not in str(said.value)


def test_a_database_of_the_version_before_alarms_goes_on(tmp_path: Path) -> None:
    later = re.findall(r"CREATE TABLE (\w+)", "".join(STEPS[version] for version in range(1, VERSION)))
    with closing(open_page_database(tmp_path)) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        for table in later:
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version=1")
    add_people(tmp_path)
    with page_database(tmp_path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
        assert load_open(connection) == []


def cage(tmp_path: Path, outcomes: list[Outcome], every_h: float = 1.0, found: int = 0) -> tuple[Card, Owners]:
    """A cage of which so many readings came up to now, with M1 living there by the table for long."""
    with closing(Store.open(tmp_path)) as store:
        for seq, outcome in enumerate(outcomes, 1):
            at = NOW - timedelta(hours=every_h * (len(outcomes) - seq))
            one = reading(seq, at=at, outcome=outcome, animals=(), light=Light.LIGHT)
            store.take([arrival(one, seq)])
        state = Arrival("cage-1", "health", jsontext.encode({"problems": [], "advice": []}), NOW.timestamp())
        store.take([state])
    from station.page.read import find_newest, log

    with log(tmp_path) as connection:
        newest = find_newest(connection, "cage-1")
    owners = Owners([Subject(subject="M1", cage="cage-1", date_of_birth="2026-01-01")], _zones())
    return make_card(newest, None, ["M1"], [], UTC), owners


def _zones():  # type: ignore[no-untyped-def]
    from station.registry.zones import Zones

    return Zones()


@pytest.mark.parametrize(
    ("outcomes", "every_h", "alarm"),
    [
        ([Outcome.NO_MOUSE] * 14, 1.0, True),
        ([Outcome.NO_MOUSE] * 7 + [Outcome.DARK] * 7, 1.0, True),
        ([*[Outcome.NO_MOUSE] * 10, Outcome.IN_NEST, *[Outcome.NO_MOUSE] * 3], 1.0, False),
        ([Outcome.NO_MOUSE] * 6, 1.0, False),  # looked for too short a time
        ([Outcome.NO_MOUSE] * 3, 5.0, False),  # too few pictures
    ],
)
def test_a_cage_in_which_no_animal_was_found_for_long_is_an_alarm(
    outcomes: list[Outcome], every_h: float, alarm: bool, tmp_path: Path
) -> None:
    card, owners = cage(tmp_path, outcomes, every_h)
    with closing(open_for_reading(tmp_path)) as connection:
        found = find_unseen(connection, [card], owners, 12.0, NOW.timestamp() + 60)
    assert list(found) == (["cage-1"] if alarm else [])
    if alarm:
        assert "M1 lives here by the table: look into the cage" in found["cage-1"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageProcess]:
    data = tmp_path_factory.mktemp("alarms") / "lab"
    fill(data, 4, days=3, silent=1)
    add_people(data)
    with PageProcess(data) as found:
        yield found


def admin_of(page: PageProcess, role: str = "admin") -> Browserless:
    found = Browserless(page.port)
    assert found.sign_in(role) == 303
    return found


def new_channel(admin: Browserless, name: str, address: str, **more: str) -> int:
    values = {"name": name, "address": address, "quiet_from": "", "quiet_until": "", "group": "0"} | more
    return admin.send("/alarms/channels", "/alarms/channels", values)


def test_a_webhook_and_a_mail_server_get_a_test_and_the_page_never_shows_their_secrets(page: PageProcess) -> None:
    admin, box = admin_of(page), Mailbox()
    port = free_port()
    mail = Controller(box, hostname="127.0.0.1", port=port)
    mail.start()
    try:
        with webhook() as hook:
            assert new_channel(admin, "the hook", hook.address) == 303
            to = f"mailto://127.0.0.1:{port}/?from=cageclock@example.org&to=animalhouse@example.org&mode=insecure"
            assert new_channel(admin, "the mail", to) == 303
            for name in ("the hook", "the mail"):
                admin.get("/alarms/channels")
                number = number_of(admin.text, name)
                values = {"id": number, "decision": "test"}
                assert admin.send("/alarms/channels", "/alarms/channel", values) == 303
                admin.get("/alarms/channels")
                assert f"The test went out by {name}" in admin.text or "still on its way" in admin.text, page.log()
                wait_until(lambda given=name: has_sent(admin, given))  # type: ignore[misc]
            assert json.loads(hook.got[-1])["title"] == "CageClock: test"
            assert message_from_bytes(box.got[-1])["Subject"] == "CageClock: test"
            for path in ("/alarms/channels", "/alarms", "/changes"):
                assert admin.get(path) == 200
                assert SECRET not in admin.text
                assert "animalhouse@example.org" not in admin.text
            for name in ("the hook", "the mail"):
                admin.get("/alarms/channels")
                values = {"id": number_of(admin.text, name), "decision": "remove"}
                assert admin.send("/alarms/channels", "/alarms/channel", values) == 303
    finally:
        mail.stop()
    assert SECRET not in page.log()


def has_sent(who: Browserless, name: str) -> bool:
    assert who.get("/alarms/channels") == 200
    return "Last sent" in who.text[who.text.index(f"<h2>{name} ") :].partition("<h2>Add")[0].partition("</li>")[0]


def number_of(text: str, name: str) -> str:
    part = text[text.index(f"<h2>{name} ") :]
    found = re.search(r'name="id" value="(\d+)"', part)
    assert found is not None
    return found[1]


def test_an_alarm_is_sent_by_itself_and_a_server_that_hangs_or_fails_holds_up_nobody(tmp_path: Path) -> None:
    """The failing one is named on the page of alarms, with why, while the other one gets its alarm."""
    data = tmp_path / "lab"
    fill(data, 3, days=2)
    add_people(data)
    with webhook() as good, webhook(500) as bad, webhook() as stuck, PageProcess(data) as page:
        admin = admin_of(page)
        stuck.may_answer.clear()
        for name, hook in (("good", good), ("bad", bad), ("stuck", stuck)):
            assert new_channel(admin, name, hook.address) == 303
        health = {"problems": ["disk_full"], "advice": ["the card is full"], "longest_interval_s": 43200.0}
        with closing(Store.open(data)) as store:
            store.take([Arrival("cage-2", "health", jsontext.encode(health), NOW.timestamp())])
        wait_until(lambda: good.got and bad.got and stuck.got)
        assert "cage-2: Disk full. the card is full" in json.loads(good.got[0])["message"]

        def failing() -> bool:
            return admin.get("/alarms") == 200 and "Sending by bad fails since" in admin.text

        wait_until(failing)  # and so the page answers while `stuck` hangs
        assert "error=500" in admin.text
        assert "Disk full" in admin.text
        assert page.stop() == 0
        assert len(good.got) == 1


def test_somebody_acknowledges_comments_assigns_and_puts_off_an_alarm(
    page: PageProcess, browser: Browser, axe: str
) -> None:
    with opened(browser, page.url, "technician", viewport=PHONE) as tab:
        wait_until(lambda: tab.goto(f"{page.url}/alarms") and tab.locator(".alarm").count() == 1)
        assert check(tab, axe) == []
        tab.get_by_role("link", name="cage-1: Silent").click()
        tab.get_by_text("Put off", exact=True).first.click()
        tab.locator("select[name=hours]").select_option("4")
        tab.get_by_role("button", name="Put off").click()
        tab.get_by_text("put off until").wait_for()
        tab.get_by_text("Give to somebody").click()
        tab.locator("select[name=to]").select_option("researcher")
        tab.get_by_role("button", name="Save").first.click()
        tab.get_by_text("given to researcher").wait_for()
        tab.get_by_text("Comment", exact=True).first.click()
        tab.get_by_label("What you found or did").fill("cable was loose <b>")
        tab.locator("form[data-draft^='comment'] button").click()
        tab.get_by_text("cable was loose <b>").wait_for()
        tab.get_by_role("button", name="I know about this").click()
        tab.get_by_text("Acknowledged.").wait_for()
        tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert check(tab, axe) == []
        assert tab.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        words = tab.locator("main").inner_text()
        for said in ("Known technician", "Given to technician", "Put off for technician", "Began"):
            assert said in words
        tab.goto(f"{page.url}/alarms")
        assert tab.get_by_role("heading", name="Known (1)").is_visible()
        tab.goto(f"{page.url}/cage?device=cage-1")
        wait_until(lambda: tab.reload() and tab.locator("li.known").count() == 1)  # the cage's page knows it too


def test_a_task_is_added_done_and_due_again_and_a_weighing_does_it(
    page: PageProcess, browser: Browser, axe: str
) -> None:
    with opened(browser, page.url, "technician", viewport=DESK, color_scheme="dark") as tab:
        tab.goto(f"{page.url}/tasks")
        assert tab.get_by_text("Nothing to do").is_visible()
        tab.get_by_label("Animal or cage").select_option("animal M2")
        tab.get_by_label("Again").select_option("7")
        tab.get_by_role("button", name="Add a task").click()
        tab.get_by_text("The task is kept").wait_for()
        assert tab.locator("nav .count").last.inner_text().startswith("1")
        assert check(tab, axe) == []
        tab.goto(f"{page.url}/animal?name=M2")
        tab.get_by_text("Weigh", exact=True).click()
        tab.get_by_label("Weight in grams").fill("24,5")
        tab.locator("form[action='/animal/weigh'] button").click()
        tab.get_by_text("the task to weigh it is done").wait_for()
        tab.goto(f"{page.url}/tasks")
        assert "every 7 d" in tab.locator(".alarm.later").inner_text()
        tab.get_by_role("button", name="Not needed").click()
        tab.get_by_text("Nothing to do").wait_for()
        assert tab.get_by_role("row").filter(has_text="not needed").count() == 1
        assert check(tab, axe) == []


def test_a_task_is_done_once_and_about_what_exists(page: PageProcess) -> None:
    who = admin_of(page, "technician")
    task = {"kind": "other", "title": "fill water", "about": "cage cage-3", "due": "2026-01-01", "every": "0"}
    assert who.send("/tasks", "/tasks", task | {"about": "cage nowhere"}) == 400
    assert who.send("/tasks", "/tasks", task | {"title": ""}) == 400
    assert who.send("/tasks", "/tasks", task | {"due": "tomorrow"}) == 400
    due_day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    assert who.send("/tasks", "/tasks", task | {"due": due_day}) == 303
    who.get("/tasks")
    number = re.findall(r'name="id" value="(\d+)"', who.text)[0]
    assert "Late" in who.text
    assert who.send("/tasks", "/task", {"id": number, "decision": "done"}) == 303
    assert who.send("/tasks", "/task", {"id": number, "decision": "done"}) == 400
    assert "technician did this already" in who.text


def test_a_form_of_an_alarm_with_wrong_values_changes_nothing(page: PageProcess) -> None:
    who = admin_of(page, "technician")
    for values in (
        {"id": "999", "decision": "comment", "said": "x"},
        {"id": "1 OR 1", "decision": "comment", "said": "x"},
        {"id": "1", "decision": "delete"},
        {"id": "1", "decision": "snooze", "hours": "9999"},
        {"id": "1", "decision": "assign", "to": "nobody of that name"},
        {"id": "1", "decision": "comment", "said": " "},
    ):
        assert who.send("/tasks", "/alarm", values) == 400, values
    assert who.get(f"/alarm?{urlencode({'id': '99999999999999999999'})}") == 404
