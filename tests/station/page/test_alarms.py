"""Alarms: from the trouble to what people do with it; each step is in the alarm's history."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser

from station.page.alarms.alarm import AGAIN_S, Trouble, keep_alarms, load_cleared, load_open
from station.page.database import open_page_database, page_database
from station.page.tables import STEPS, VERSION
from tests.harness.waiting import wait_until
from tests.station.page.alarms_lab import (
    SILENT,
    add,
    admin_of,
    due,
    keep,
    what_happened,
)
from tests.station.page.lab import PageProcess, add_people
from tests.station.page.test_browser import PHONE, check, opened


def test_an_alarm_begins_is_known_comes_back_with_more_and_ends(page_data: Path) -> None:
    """All in one alarm, with each step in its history; a look that finds the same writes nothing."""
    lost = Trouble("cage-1", "lost", "3 records are lost", False)
    keep(page_data, 1000.0, lost)
    keep(page_data, 1010.0, Trouble("cage-1", "lost", "3 records are lost", True))
    keep(page_data, 1020.0, Trouble("cage-1", "lost", "5 records are lost", False))
    keep(page_data, 1030.0, Trouble("cage-1", "lost", "5 records are lost", False))
    keep(page_data, 1040.0)
    keep(page_data, 1050.0, lost)
    assert what_happened(page_data) == ["began", "acknowledged", "more", "cleared", "again"]
    keep(page_data, 1060.0)
    keep(page_data, 1060.0 + AGAIN_S, lost)
    with page_database(page_data) as connection:
        assert len(load_open(connection)) == len(load_cleared(connection)) == 1


def test_a_trouble_that_flaps_is_sent_once_an_hour(page_data: Path) -> None:
    channel = add(page_data)
    for minute in range(0, 50, 2):
        keep(page_data, 1000.0 + 60 * minute, SILENT)
        keep(page_data, 1060.0 + 60 * minute)
    keep(page_data, 4000.0, SILENT)
    with page_database(page_data) as connection:
        (count,) = connection.execute("SELECT count(*) FROM outgoing").fetchone()
    assert count == 1
    assert len(due(page_data, channel, 4000.0)) == 1


def test_what_a_person_decided_during_a_look_is_not_taken_back_by_it(page_data: Path) -> None:
    from station.page.alarms.decide import acknowledge_alarm

    keep(page_data, 1000.0, SILENT)
    with page_database(page_data) as connection:
        acknowledge_alarm(connection, "ada", load_open(connection)[0], "on my way")
        keep_alarms(connection, [SILENT], 1005.0, 1010.0)  # this look began before
        assert load_open(connection)[0].state == "acknowledged"


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


def test_somebody_acknowledges_comments_assigns_and_puts_off_an_alarm(
    small_page: PageProcess, browser: Browser, axe: str
) -> None:
    with opened(browser, small_page.url, "technician", viewport=PHONE) as tab:
        wait_until(lambda: tab.goto(f"{small_page.url}/alarms") and tab.locator(".alarm").count() == 1)
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
        tab.goto(f"{small_page.url}/alarms")
        assert tab.get_by_role("heading", name="Known (1)").is_visible()
        tab.goto(f"{small_page.url}/cage?device=cage-1")
        wait_until(lambda: tab.reload() and tab.locator("li.known").count() == 1)  # the cage's page knows it too


def test_a_form_of_an_alarm_with_wrong_values_changes_nothing(small_page: PageProcess) -> None:
    who = admin_of(small_page, "technician")
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
