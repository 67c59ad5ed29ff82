"""The pages of devices: health over time, models, the view's drift, requests, replacing one, rollouts, the disk."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser

from edge.contract import jsontext
from edge.contract.reading import Quality
from edge.errors import OperatorError
from station.fleet.keep.commands import load_commands
from station.fleet.keep.database import DATABASE, VERSION, fleet_database
from station.fleet.keep.groups import load_groups
from station.page.database import page_database
from station.page.devices.facts import load_models, load_view
from station.page.devices.fleet import find_fleet_alarms, load_reports
from station.page.devices.places import load_places
from station.page.devices.samples import Sample, Sampler, keep_samples, load_samples, read_sample, thin
from station.page.devices.storage import bytes_a_day, days_left
from station.page.read import load_table, log
from station.page.series import unpack
from station.registry.devices import load_decisions
from station.registry.subjects import import_subjects
from station.store.message import Arrival
from station.store.store import Store
from tests.harness.waiting import wait_until
from tests.station.page.fleet_lab import WHY, add_fleet
from tests.station.page.lab import NOW, Browserless, PageProcess, add_people, fill
from tests.station.page.test_browser import PHONE, opened
from tests.station.samples import arrival, event, reading

DAY_S = 86400.0


def health(temperature_c: float, *, recovered: int = 0, problems: tuple[str, ...] = ()) -> dict[str, object]:
    """What a device says, in the names of the contract."""
    return {
        "cpu_temperature_c": temperature_c,
        "disk_used_fraction": 0.41,
        "memory_available_bytes": 210_000_000,
        "outbox_unreleased": 3,
        "quarantined": 0,
        "uptime_s": 90000.0,
        "reconnects": 2,
        "recovery": {"flush": recovered},
        "problems": list(problems),
        "advice": [f"look at {code}" for code in problems],
        "measured_at": datetime.now(UTC).isoformat(),
    }


def say(data: Path, device: str, what: str, values: dict[str, object], at_s: float | None = None) -> None:
    with closing(Store.open(data)) as store:
        store.take([Arrival(device, what, jsontext.encode(values), at_s or time.time())])


def sample(at_s: float, temperature_c: float, device: str = "cage-1") -> Sample:
    found = read_sample(device, jsontext.encode(health(temperature_c)), at_s)
    assert found is not None
    return found


def drift(data: Path, days: int) -> None:
    """A second device whose camera is turned a little more each day, and which changes its model on the way."""
    messages = []
    for seq in range(1, days + 1):
        at = NOW - timedelta(days=days - seq)
        one = reading(seq, device="turned", cage="turned", at=at, model_sha=("d" if seq <= days // 2 else "e") * 64)
        quality = Quality(
            mean_grey=100.0,
            dark_fraction=0.0,
            saturated_fraction=0.0,
            sharpness=9.5,
            contrast=30.0,
            reference_shift_px=float(seq),
            flags=("camera_moved",) if seq > 6 else (),
        )
        messages.append(arrival(msgspec.structs.replace(one, quality=quality), seq, device="turned"))
    at = NOW - timedelta(days=1)
    messages.append(
        arrival(event(days + 1, "camera_moved", device="turned", text="by 7 px", at=at), days + 1, device="turned")
    )
    with closing(Store.open(data)) as store:
        store.take(messages)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageProcess]:
    data = tmp_path_factory.mktemp("devices") / "lab"
    fill(data, 3, days=3)
    drift(data, 10)
    add_people(data)
    add_fleet(data)
    with page_database(data) as connection:
        keep_samples(connection, [sample(time.time() - days * DAY_S, 50.0 + days) for days in (9, 5, 1)])
    say(data, "cage-1", "health", health(61.0, recovered=4, problems=("hot",)))
    say(data, "cage-1", "info", {"serial": "10000000aaaa", "machine": "Raspberry Pi 5", "version": "0.2.0"})
    with PageProcess(data) as found:
        yield found


def visitor(page: PageProcess, role: str) -> Browserless:
    found = Browserless(page.port)
    assert found.sign_in(role) == 303
    return found


def test_the_pages_process_keeps_what_devices_say_of_themselves_over_time(page: PageProcess) -> None:
    who = visitor(page, "technician")

    def kept() -> list[float | None]:
        with page_database(page.data) as connection:
            return [one.temperature_c for one in load_samples(connection, "cage-1")]

    wait_until(lambda: kept() == [59.0, 55.0, 51.0, 61.0])
    assert who.get("/device?name=cage-1&days=14") == 200
    for words in (
        "4 samples since",
        "at most 61 °C",
        "flush: 4",
        "Hot",
        "Look at hot",
        "Raspberry Pi 5",
        "10000000aaaa",
    ):
        assert words in who.text, words
    who.get("/data/health?device=cage-1&days=2")
    head, columns = unpack(who.content)
    assert columns["temperature_c"] == [51.0, 61.0]
    assert columns["disk_used"][-1] == pytest.approx(41.0)
    assert head["plots"][0]["label"] == "Processor, °C"


def test_a_device_that_says_less_or_something_else_costs_no_other(tmp_path: Path) -> None:
    assert read_sample("a", b"\xff", 1.0) is None
    assert read_sample("a", b"[1]", 1.0) is None
    found = read_sample("a", jsontext.encode({"cpu_temperature_c": "hot", "recovery": 3, "problems": ["x"]}), 5.0)
    assert found is not None
    assert (found.temperature_c, found.recovery, found.problems) == (None, {}, {"x": ""})


def test_a_sample_is_kept_once_in_ten_minutes_and_what_is_old_is_thinned_to_the_hottest(tmp_path: Path) -> None:
    data = tmp_path / "lab"
    fill(data, 1, days=1)
    for seconds, heat in ((0.0, 50.0), (30.0, 51.0), (700.0, 52.0)):
        say(data, "cage-1", "health", health(heat), NOW.timestamp() + seconds)
        with log(data) as connection:
            Sampler(data).look(connection)
    with page_database(data) as connection:
        assert [one.temperature_c for one in load_samples(connection, "cage-1")] == [50.0, 52.0]
        old = NOW.timestamp() - 40 * DAY_S
        begin = old - old % (6 * 3600)
        keep_samples(connection, [sample(begin + n * 1800, 40.0 + n % 5) for n in range(12)])
        thin(connection, NOW.timestamp() + 800)
        assert [one.temperature_c for one in load_samples(connection, "cage-1")] == [44.0, 50.0, 52.0]


def test_the_models_of_a_device_stand_with_the_time_since_when_they_run(page: PageProcess) -> None:
    with log(page.data) as connection:
        found = load_models(connection, "turned")
    assert [(one.sha256[0], round((NOW.timestamp() - one.since_s) / DAY_S)) for one in found] == [("e", 4), ("d", 9)]
    assert {(one.name, one.version) for one in found} == {("demo", "0.1")}


def test_a_view_that_drifts_is_named_with_its_first_and_its_last_distance(page: PageProcess) -> None:
    with log(page.data) as connection:
        views = load_view(connection, "turned")
    assert [one.shift_px for one in views] == [float(n) for n in range(1, 11)]
    assert [one.flagged for one in views] == [False] * 6 + [True] * 4
    who = visitor(page, "technician")
    who.get("/device?name=turned")
    assert "lay 1.0 px from the reference view" in who.text
    assert "Beyond 6 px it counts as moved" in who.text
    assert "by 7 px" in who.text


def test_another_board_at_the_same_place_is_seen_by_its_serial_number(tmp_path: Path) -> None:
    data = tmp_path / "lab"
    fill(data, 1, days=1)
    for days, serial in ((3, "a"), (2, "a"), (1, "b")):
        say(data, "cage-1", "info", {"serial": serial, "machine": "Pi"}, NOW.timestamp() - days * DAY_S)
        with log(data) as connection:
            Sampler(data).look(connection)
    with page_database(data) as connection:
        rows = connection.execute("SELECT serial, since_s FROM boards ORDER BY since_s").fetchall()
    assert [tuple(row) for row in rows] == [("a", NOW.timestamp() - 3 * DAY_S), ("b", NOW.timestamp() - DAY_S)]


def test_what_it_still_holds_is_asked_for_by_days_of_its_room(page: PageProcess) -> None:
    who, path = visitor(page, "technician"), "/device?name=cage-3"
    form = {"device": "cage-3", "request": "replay", "back": "device"}
    assert who.send(path, "/device/request", form | {"since": "2026-01-05", "until": "2026-01-06"}) == 303
    assert who.answer.getheader("location") == "/device?name=cage-3"
    assert who.send(path, "/device/request", form) == 303
    assert who.send(path, "/device/request", form | {"since": "2026-01-07", "until": "2026-01-05"}) == 400
    assert who.send(path, "/device/request", form | {"since": "tomorrow"}) == 400
    with fleet_database(page.data) as connection:
        found = [msgspec.json.decode(one.payload) for one in load_commands(connection, device="cage-3")]
    assert [(one.get("since"), one.get("until"), one.get("all")) for one in found] == [
        ("2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z", None),
        (None, None, True),
    ]


def test_a_device_gets_a_name_a_room_and_a_rack_and_is_found_by_them(page: PageProcess) -> None:
    who = visitor(page, "researcher")
    form = {"device": "cage-3", "label": "by the <door>", "room": "B12", "rack": "3, top"}
    assert who.send("/device?name=cage-3", "/device/place", form) == 303
    assert who.get("/devices?q=b12") == 200
    assert "by the &lt;door&gt;" in who.text
    assert "cage-1" not in who.text
    with fleet_database(page.data) as connection:
        assert load_groups(connection, "room") == {"cage-3": "B12"}
    assert who.send("/device?name=cage-3", "/device/place", form | {"label": "x" * 61}) == 400


def test_a_new_device_takes_the_place_of_a_broken_one(tmp_path: Path) -> None:
    data = tmp_path / "lab"
    fill(data, 2, days=2)
    add_people(data)
    (data / "named.tsv").write_text("subject\tdate_of_birth\tcage\tdevice\nX1\t2026-01-01\t(clear)\tcage-1\n")
    assert import_subjects(data / "named.tsv", data).refused == ()
    with PageProcess(data) as page:
        who = visitor(page, "researcher")
        wait_until(lambda: who.get("/device?name=cage-1") == 200)
        who.send(
            "/device?name=cage-1", "/device/place", {"device": "cage-1", "label": "door", "room": "B", "rack": "1"}
        )
        assert who.send("/device?name=cage-1", "/device/replace", {"device": "cage-1", "by": "cage-1"}) == 400
        assert who.send("/device?name=cage-1", "/device/replace", {"device": "cage-1", "by": "cage-2"}) == 303
        who.get("/device?name=cage-2")
        assert "Animals that moved with it: X1." in who.text
        moved = next(one for one in load_table(data)[0] if one.subject == "X1")
        assert (moved.device, [stay.device for stay in moved.stays]) == ("cage-2", ["cage-1"])
        with page_database(data) as connection:
            places = load_places(connection)
        assert (places["cage-2"].label, places["cage-2"].rack, places["cage-1"].replaced_by) == ("door", "1", "cage-2")
        who.get("/device?name=cage-1")
        assert "Its place was taken by" in who.text
        with log(data) as connection:
            assert "replaced by cage-2" in load_decisions(connection).retired["cage-1"].reason


def test_rollouts_are_shown_with_rings_states_and_reasons_in_words(page: PageProcess) -> None:
    who = visitor(page, "technician")
    assert who.get("/rollouts") == 200
    for words in ("ageing", "release 7", "Running", "ring 2 of 2", "1 good", "the statement expires"):
        assert words in who.text, words
    assert who.get("/rollout?number=1") == 200
    for words in (WHY, "good since an hour", "failed", "not connected", "Made by anna"):
        assert words in who.text, words
    for number in ("2", "x", "9" * 30):
        assert who.get(f"/rollout?number={number}") == 404


def test_the_fleets_alarms_stand_among_the_pages_own(page: PageProcess) -> None:
    who = visitor(page, "technician")
    wait_until(lambda: who.get("/alarms") == 200 and WHY in who.text)
    assert "All devices: Trust statement expires" in who.text
    assert "cage-2: Model not taken" in who.text


def test_a_fleets_database_of_the_version_before_is_read_and_one_of_a_later_version_is_not(tmp_path: Path) -> None:
    """The page may be upgraded and started before the fleet process has brought its file up to date."""
    add_fleet(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.execute("DROP TABLE trust_held")
        connection.execute("PRAGMA user_version=1")
    assert {alarm.device for alarm in find_fleet_alarms(tmp_path)} == {"cage-2", ""}
    assert load_reports(tmp_path) == {}
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(OperatorError, match=f"expected version {VERSION} or less, got {VERSION + 1}"):
        find_fleet_alarms(tmp_path)


def test_the_forecast_of_the_disk_needs_two_days_and_counts_what_was_freed() -> None:
    assert bytes_a_day([(0.0, 100.0), (DAY_S, 90.0)]) is None
    rows = [(0.0, 100.0), (DAY_S, 80.0), (4 * DAY_S, 60.0)]
    assert bytes_a_day(rows) == 10.0
    assert days_left(rows, 60.0) == 6.0
    assert days_left([(0.0, 60.0), (4 * DAY_S, 60.0)], 60.0) is None


def test_the_disk_of_the_station_is_shown_with_what_retention_removed(page: PageProcess) -> None:
    who = visitor(page, "technician")
    assert who.get("/storage") == 200
    for words in ("GB are free", "known after two days", "Nothing was removed yet"):
        assert words in who.text, words


def test_a_technician_finds_the_hot_device_and_asks_it_for_a_picture(page: PageProcess, browser: Browser) -> None:
    with opened(browser, page.url, "technician", viewport=PHONE) as tab:
        tab.get_by_role("navigation").get_by_role("link", name="Devices").click()
        tab.get_by_role("row").filter(has_text="Hot").get_by_role("link").click()
        tab.wait_for_url("**/device?**")
        wait_until(lambda: tab.locator(".series").first.get_attribute("data-drawn") == "5")
        tab.get_by_role("button", name="Take a picture now").click()
        tab.get_by_text("Picture: waits to be sent").wait_for()
        tab.get_by_text("Queued; what becomes of it").wait_for()
