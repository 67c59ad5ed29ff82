"""Reviews of readings: what a person takes out leaves curves and days, joins the hard examples, and comes back."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from edge.errors import OperatorError
from station.page.database import page_database
from station.page.read import log
from station.page.series import unpack
from station.registry.reviews import Verdict, count_reviews, load_reviews, review
from tests.harness.waiting import wait_until
from tests.station.page.lab import EPOCH, Browserless, PageProcess, add_people, fill
from tests.station.page.test_browser import PHONE, opened

CURVE = urlencode({"kind": "animal", "name": "M1"})
WINDOW = f"{CURVE}&from=0&until=9e9"
KEEP = {"right_animal": "yes", "right_place": "yes", "usable": "yes", "reason": ""}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageProcess]:
    data = tmp_path_factory.mktemp("review") / "lab"
    fill(data, 2, days=6, a_day=2)
    add_people(data)
    with PageProcess(data) as found:
        yield found


def visitor(page: PageProcess, role: str = "technician") -> Browserless:
    found = Browserless(page.port)
    assert found.sign_in(role) == 303
    return found


def key(seq: int, cage: int = 1) -> str:
    return f"{seq}:{EPOCH.format(cage)}:cage-{cage}"


def address(seq: int, cage: int = 1) -> str:
    return "/reading?" + urlencode({"device": f"cage-{cage}", "epoch": EPOCH.format(cage), "seq": seq})


def accepted(who: Browserless) -> int:
    """How many accepted readings the curve by day counts; the last known curve is sent while a new one is made."""
    assert who.get(f"/data/days?{CURVE}") == 200
    return int(unpack(who.content)[0]["accepted"])


def rows(who: Browserless, path: str) -> list[dict[str, str]]:
    assert who.get(path) == 200
    return list(csv.DictReader(who.text.splitlines()))


def test_what_is_reviewed_out_leaves_curve_and_readings_and_comes_back_with_everything_kept(page: PageProcess) -> None:
    who = visitor(page)
    before = accepted(who)
    out = KEEP | {"key": key(3), "usable": "no", "reason": "=tail only"}
    assert who.send(address(3), "/review", out) == 303
    wait_until(lambda: accepted(who) == before - 1)
    reading = next(row for row in rows(who, f"/data/readings.csv?{WINDOW}") if row["seq"] == "3")
    assert (reading["accepted"], reading["reject_reasons"]) == ("no", "reviewed_out")
    (hard,) = rows(who, "/data/hard-examples.csv")
    assert (hard["seq"], hard["usable"], hard["right_animal"], hard["who"]) == ("3", "no", "yes", "technician")
    assert hard["reason"] == "'=tail only"
    assert hard["device_accepted"] == "yes"
    who.get(address(3))
    assert "reviewed out by a person" in who.text
    assert who.send(address(3), "/review", KEEP | {"key": key(3)}) == 303
    wait_until(lambda: accepted(who) == before)
    assert rows(who, "/data/hard-examples.csv") == []
    with log(page.data) as connection:
        found = load_reviews(connection, ("cage-1", EPOCH.format(1), 3))
    assert [(one.who, one.verdict.out) for one in found] == [("technician", False), ("technician", True)]
    with page_database(page.data) as connection:
        kept = connection.execute("SELECT who, what, state FROM changes WHERE what = 'reviewed'").fetchall()
    assert [tuple(row) for row in kept] == [("technician", "reviewed", "done")] * 2


def test_a_refused_estimate_that_is_reviewed_out_keeps_the_devices_own_reason(page: PageProcess) -> None:
    who = visitor(page)
    assert who.send(address(5, 2), "/review", KEEP | {"key": key(5, 2), "right_place": "no"}) == 303
    (hard,) = rows(who, "/data/hard-examples.csv")
    assert (hard["device_accepted"], hard["device_reject_reasons"]) == ("no", "out_of_domain")
    who.get(address(5, 2))
    assert "unlike what the model was trained on" in who.text
    assert who.send(address(5, 2), "/review", KEEP | {"key": key(5, 2)}) == 303


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": "no key"}, "expected SEQ:EPOCH:DEVICE"),
        ({"key": f"999:{EPOCH.format(1)}:cage-1"}, "is in the log"),
        ({"key": f"{'9' * 30}:{EPOCH.format(1)}:cage-1"}, "expected SEQ:EPOCH:DEVICE"),
        ({"key": key(2), "usable": "perhaps"}, "expected yes or no"),
        ({"key": key(2), "usable": "no", "reason": "x" * 501}, "up to 500 letters"),
        ({}, "at least one reading"),
    ],
)
def test_a_wrong_form_is_refused_with_what_was_expected(change: dict[str, str], words: str, page: PageProcess) -> None:
    who = visitor(page)
    assert who.send(address(2), "/review", KEEP | change) == 400
    assert words in who.text


def test_one_wrong_reading_of_several_keeps_nothing_and_a_review_twice_is_one(tmp_path: Path) -> None:
    fill(tmp_path, 1, days=2)
    keys = [("cage-1", EPOCH.format(1), seq) for seq in (1, 2)]
    with pytest.raises(OperatorError, match="is in the log"):
        review(tmp_path, "a", [*keys, ("cage-1", "x", 1)], Verdict(usable=False))
    with log(tmp_path) as connection:
        assert count_reviews(connection) == 0
    assert [review(tmp_path, "a", keys, Verdict(usable=False)) for _ in range(2)] == [2, 0]


def test_a_technician_reviews_chosen_readings_of_a_list_on_a_phone(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "technician", viewport=PHONE) as tab:
        tab.goto(f"{page.url}/readings?{WINDOW}")
        for box in tab.get_by_role("checkbox").all()[:2]:
            box.check()
        tab.get_by_text("Review the chosen readings").click()
        tab.get_by_label("Right animal").select_option("no")
        tab.get_by_role("button", name="Keep the review").click()
        tab.get_by_text("2 readings have left curves and days").wait_for()
        assert tab.url.startswith(f"{page.url}/readings?")
        assert tab.get_by_text("reviewed out by a person").count() == 2
        tab.get_by_role("rowheader").first.get_by_role("link").click()
        tab.get_by_role("button", name="Take the review back").click()
        tab.get_by_text("1 readings stay, or are back").wait_for()
