"""How alarms leave the page: what is sent when and to whom; against real servers for mail and webhooks."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.contract import jsontext
from station.page.alarms.alarm import Trouble
from station.page.alarms.channels import add_channel, load_channels
from station.page.alarms.send import hidden
from station.page.alarms.sender import BACK_OFF_S, compose, find_due, keep_outcome
from station.page.database import page_database
from station.store.message import Arrival
from station.store.store import Store
from tests.harness.waiting import wait_until
from tests.station.page.alarms_lab import (
    SECRET,
    SILENT,
    Mailbox,
    add,
    admin_of,
    due,
    keep,
    webhook,
)
from tests.station.page.lab import NOW, Browserless, PageProcess, add_people, fill, free_port


def test_one_message_holds_all_that_came_while_the_first_waited(page_data: Path) -> None:
    channel = add(page_data, group="5")
    keep(page_data, 1000.0, SILENT)
    keep(page_data, 1100.0, SILENT, Trouble("cage-2", "offline", "not connected", False))
    assert due(page_data, channel, 1299.0) == []
    assert len(due(page_data, channel, 1300.0)) == 2
    with page_database(page_data) as connection:
        title, body = compose(find_due(connection, channel, 1300.0, NOW), "https://mice.example.org")
    assert title == "CageClock: 2 alarms"
    assert "cage-1: Silent. no reading for 4 d\nhttps://mice.example.org/alarm?id=1" in body


def test_quiet_hours_hold_alarms_back_also_over_midnight(page_data: Path) -> None:
    night = add(page_data, quiet_from="22:00", quiet_until="06:30")
    keep(page_data, 1000.0, SILENT)
    quiet = {hour: due(page_data, night, 2000.0, NOW.replace(hour=hour, minute=29)) == [] for hour in range(24)}
    assert [hour for hour, held in quiet.items() if held] == [0, 1, 2, 3, 4, 5, 6, 22, 23]
    assert not night.is_quiet(NOW.replace(hour=6, minute=30))


def test_who_wants_only_what_is_urgent_hears_nothing_else(page_data: Path) -> None:
    channel = add(page_data, urgent="yes")
    keep(
        page_data,
        1000.0,
        Trouble("cage-1", "lost", "3 lost", False),
        Trouble("cage-2", "animal_not_seen", "none", None),
    )
    with page_database(page_data) as connection:
        assert [row["kind"] for row in find_due(connection, channel, 2000.0, NOW)] == ["animal_not_seen"]


def test_what_could_not_be_sent_is_tried_ever_more_seldom_and_given_up_after_a_day(
    page_data: Path,
) -> None:
    channel = add(page_data)
    now_s = datetime.now(UTC).timestamp()
    keep(page_data, now_s - 3600, SILENT)
    waits = []
    with page_database(page_data) as connection:
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
    change: dict[str, str], words: str, page_data: Path
) -> None:
    from edge.errors import OperatorError

    values = {"name": "a", "address": f"json://h/{SECRET}", "quiet_from": "", "quiet_until": "", "group": "1"} | change
    with page_database(page_data) as connection, pytest.raises(OperatorError, match=words) as said:
        add_channel(connection, "admin", "JSON", values, urgent_only=False)
    assert SECRET not in str(said.value)


def new_channel(admin: Browserless, name: str, address: str, **more: str) -> int:
    values = {"name": name, "address": address, "quiet_from": "", "quiet_until": "", "group": "0"} | more
    return admin.send("/alarms/channels", "/alarms/channels", values)


def test_a_webhook_and_a_mail_server_get_a_test_and_the_page_never_shows_their_secrets(small_page: PageProcess) -> None:
    admin, box = admin_of(small_page), Mailbox()
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
                assert f"The test went out by {name}" in admin.text or "still on its way" in admin.text, (
                    small_page.log()
                )
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
    assert SECRET not in small_page.log()


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
