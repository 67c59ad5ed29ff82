"""Tasks: added, done once, due again, and done by a weighing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser

from tests.station.page.alarms_lab import admin_of
from tests.station.page.lab import PageProcess
from tests.station.page.test_browser import DESK, check, opened


def test_a_task_is_added_done_and_due_again_and_a_weighing_does_it(
    small_page: PageProcess, browser: Browser, axe: str
) -> None:
    with opened(browser, small_page.url, "technician", viewport=DESK, color_scheme="dark") as tab:
        tab.goto(f"{small_page.url}/tasks")
        assert tab.get_by_text("Nothing to do").is_visible()
        tab.get_by_label("Animal or cage").select_option("animal M2")
        tab.get_by_label("Again").select_option("7")
        tab.get_by_role("button", name="Add a task").click()
        tab.get_by_text("The task is kept").wait_for()
        assert tab.locator("nav .count").last.inner_text().startswith("1")
        assert check(tab, axe) == []
        tab.goto(f"{small_page.url}/animal?name=M2")
        tab.get_by_text("Weigh", exact=True).click()
        tab.get_by_label("Weight in grams").fill("24,5")
        tab.locator("form[action='/animal/weigh'] button").click()
        tab.get_by_text("the task to weigh it is done").wait_for()
        tab.goto(f"{small_page.url}/tasks")
        assert "every 7 d" in tab.locator(".alarm.later").inner_text()
        tab.get_by_role("button", name="Not needed").click()
        tab.get_by_text("Nothing to do").wait_for()
        assert tab.get_by_role("row").filter(has_text="not needed").count() == 1
        assert check(tab, axe) == []


def test_a_task_is_done_once_and_about_what_exists(small_page: PageProcess) -> None:
    who = admin_of(small_page, "technician")
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
