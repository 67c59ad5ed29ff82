"""What people read of rollouts and trust: what comes next, a device's story, the time until the fleet is safe."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.contract.reported import TrustHeld
from station.fleet import actions, texts
from station.fleet.keep.database import DATABASE, VERSION, fleet_database, open_fleet
from station.fleet.keep.lease import Lease
from station.fleet.keep.trust import load_delays, publish_trust
from station.fleet.looking import Looking
from station.fleet.observe import Known
from station.transaction import transaction
from tests.station.fleet.lab import OLD, Keys, as_json, station
from tests.station.fleet.simulated import plan
from tests.station.fleet.test_kept import NOW, hear


@pytest.fixture
def fleet(tmp_path: Path):
    with fleet_database(tmp_path) as connection:
        yield connection


def rolled_out(fleet: sqlite3.Connection, data: Path, release: int, at_s: float) -> tuple[int, str]:
    """Make and start a rollout to all devices, look once, and return its number and the bundle's digest."""
    file = data / f"{release}.bundle"
    digest = Keys().bundle(file, release)
    bundle, _ = actions.check_bundle(fleet, file, "study")
    made = actions.create(
        fleet, data, file, bundle, None, plan(sha256=digest, release=release), Known(), "anna", at_s
    ).number
    actions.start(fleet, made, "anna", at_s)
    look_once(fleet, data, at_s)
    return made, digest


def look_once(fleet: sqlite3.Connection, data: Path, at_s: float) -> None:
    lease = Lease.new(600.0)
    assert lease.take(fleet, at_s) == ""
    Looking(data, lease).look(fleet, at_s)
    lease.give_back(fleet)


def test_the_story_of_a_devices_last_installs_is_told_newest_first(fleet, tmp_path: Path) -> None:
    hear(fleet, "cage01")
    first, one = rolled_out(fleet, tmp_path, 2, NOW)
    hear(fleet, "cage01", state="good", digest=one, running=one)
    look_once(fleet, tmp_path, NOW + 60)
    second, two = rolled_out(fleet, tmp_path, 3, NOW + 3600)
    reason = "golden input 0: 4% of the output differs"
    hear(fleet, "cage01", state="refused", digest=two, reason="canary", advice=reason, running=one)
    look_once(fleet, tmp_path, NOW + 3700)
    found = as_json(tmp_path, "rollout", "device", "cage01", code=1)
    assert [(part["rollout"], part["phase"]) for part in found["installs"]] == [(second, "failed"), (first, "good")]
    assert [part["before"] for part in found["installs"]] == [one, OLD]
    text = station(tmp_path, "rollout", "device", "cage01", "--last", 1, code=1)
    assert text.splitlines()[0] == "cage01, connected, runs lab release 1 (good)"
    assert f"refused it: {reason}" in text
    assert f"rollout {first}:" not in text
    assert "expected one that was heard" in station(tmp_path, "rollout", "device", "nobody", code=2)


def test_each_status_says_what_can_be_done_next(fleet, tmp_path: Path) -> None:
    hear(fleet, "cage01")
    number, _ = rolled_out(fleet, tmp_path, 2, NOW)
    shown = station(tmp_path, "rollout", "show", number)
    assert f"rollout pause {number}` or `cageclock-station rollout abort {number}` stop it" in shown
    assert "no fleet process works now, and nothing goes on" in shown
    assert Lease.new(600.0).take(fleet, NOW + 10**9) == ""  # of a clock that is ahead: it holds until then, and works
    said = station(tmp_path, "rollout", "pause", number, "--reason", "a look")
    assert "no fleet process" not in said
    assert f"rollout resume {number}`" in station(tmp_path, "rollout", "show", number, code=1)
    station(tmp_path, "rollout", "abort", number)
    assert "no model" not in station(tmp_path, "rollout", "show", number, code=1)
    for status in ("draft", "running", "paused", "done", "reverting", "reverted", "superseded"):
        assert texts.next_step(7, status, 0)
    assert texts.next_step(7, "draft", 2).startswith("next: 2 other persons type")


def test_a_dry_run_compares_with_a_file_that_the_station_does_not_keep(fleet, tmp_path: Path) -> None:
    keys = Keys()
    old = keys.bundle(tmp_path / "old.bundle", 1)
    keys.bundle(tmp_path / "new.bundle", 2)
    hear(fleet, "cage01", running=old)
    words = ("rollout", "create", tmp_path / "new.bundle", "--channel", "study", "--dry-run")
    without = station(tmp_path, *words)
    assert f"devices run {old[:12]}, of which the station keeps no file: `--beside OLD.bundle`" in without
    assert "no shadow run" in without
    beside = station(tmp_path, *words, "--beside", tmp_path / "old.bundle")
    assert "release: 1 -> 2 (+1)" in beside
    assert "keeps no file" not in beside


def test_the_time_until_the_fleet_is_safe_is_estimated_from_what_was_measured(fleet, tmp_path: Path) -> None:
    keys = Keys()
    with transaction(fleet):
        publish_trust(fleet, NOW - 30.0, "anna", keys.state())
    held = TrustHeld(version=1, lab="our lab", expires_at="2030-01-01T00:00:00Z", expired=False)
    hear(fleet, "cage01", trust=held)
    hear(fleet, "cage02")
    hear(fleet, "cage03", online=False)
    assert load_delays(fleet, 1) == {"cage01": 30.0}
    said = station(tmp_path, "trust", "show", code=1)
    assert "they held it 30 s after it was published (median), the slowest after 30 s" in said
    assert "1 device connected: expected to hold it within 60 s" in said
    assert "1 device not connected: as before until it comes back" in said
    assert "no fleet process works now" in said
    hear(fleet, "cage02", trust=held)
    hear(fleet, "cage03", trust=held)
    assert "the fleet is safe: every device holds it" in station(tmp_path, "trust", "show")
    assert set(as_json(tmp_path, "trust", "show")["held_after_s"]) == {"cage01", "cage02", "cage03"}


def test_a_file_of_the_version_before_goes_on(tmp_path: Path) -> None:
    with closing(open_fleet(tmp_path)) as connection:
        hear(connection, "cage01")
        connection.execute("DROP TABLE trust_held")
        connection.execute("PRAGMA user_version=1")
    with closing(open_fleet(tmp_path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
        assert connection.execute("SELECT count(*) FROM trust_held").fetchone()[0] == 0
        assert connection.execute("SELECT device FROM devices").fetchone()[0] == "cage01"
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    assert "use the program that made it" in station(tmp_path, "rollout", "list", code=2)
