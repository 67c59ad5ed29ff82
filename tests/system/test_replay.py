"""What is asked for again comes from every epoch that is held, and from no other; a second station catches up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edge.config import tree
from edge.outbox import Outbox
from edge.timing.clock import SteppedClock
from station.cli import main as station_main
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.system.cage import DEVICE, ROOT, Cage
from tests.system.desk import Desk

pytestmark = pytest.mark.broker
STARTS, CAPTURES = 3, 4


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def cage(tmp_path: Path, broker: Mosquitto) -> Cage:
    """Return a cage whose outbox holds an epoch for each of three starts."""
    found = Cage(tmp_path, broker.port)
    for _ in range(STARTS):
        assert found.capture(CAPTURES)[0] == 0
    assert len(found.epochs()) == STARTS
    return found


def replay(desk: Desk, request: str, **what: Any) -> list[dict[str, Any]]:
    """Ask for records again and return all answers, the last one final."""
    desk.say(f"{ROOT}/command/replay", json.dumps({"id": request} | what).encode())
    wait_until(lambda: desk.results(request, "done") or desk.results(request, "refused"))
    return desk.results(request)


def test_all_that_is_held_is_replayed_whatever_start_it_is_of(cage: Cage, broker: Mosquitto) -> None:
    with cage.station(), cage.publish():
        cage.arrives()
        wait_until(lambda: cage.released() == cage.epochs())
        before = cage.logged()
        with Desk(broker.port) as desk:
            accepted, done = replay(desk, "everything", all=True)
            count = len(before)
            assert (accepted["status"], accepted["detail"]) == ("accepted", {"records": count})
            assert done["detail"] == {"records": count, "acknowledged": count}
            wanted = {(epoch, seq) for epoch, seq, _ in cage.appended()}
            wait_until(lambda: wanted <= set(desk.replayed()))
            assert len({epoch for epoch, _ in desk.replayed()}) == STARTS
            assert set(desk.replayed()) == wanted
        assert cage.logged() == before, "what the station had is stored once"


def test_a_range_of_time_is_replayed_across_starts_and_nothing_beside_it(cage: Cage, broker: Mosquitto) -> None:
    made = cage.made_at()
    times = sorted(set(made.values()))
    since, until = times[len(times) // 4], times[3 * len(times) // 4]
    forms = {
        "between": {"since": since, "until": until},
        "from": {"since": since},
        "up-to": {"until": until},
        "elsewhere": {"since": since.astimezone(timezone(timedelta(hours=-5))), "until": until},
    }
    with cage.station(), cage.publish():
        cage.arrives()
        wait_until(lambda: cage.released() == cage.epochs())
        for name, bounds in forms.items():
            wanted = {key for key, at in made.items() if bounds.get("since", at) <= at <= bounds.get("until", at)}
            assert 0 < len(wanted) < len(made)
            assert len({epoch for epoch, _ in wanted}) > 1
            with Desk(broker.port) as desk:
                asked = {bound: at.isoformat() for bound, at in bounds.items()}
                done = replay(desk, name, **asked)[-1]
                assert done["detail"] == {"records": len(wanted), "acknowledged": len(wanted)}
                wait_until(lambda desk=desk, wanted=wanted: wanted <= set(desk.replayed()))
                assert set(desk.replayed()) == wanted


def test_what_could_be_meant_two_ways_or_is_not_held_is_refused(cage: Cage, broker: Mosquitto) -> None:
    first = min(cage.made_at().values())
    early, earlier = ((first - timedelta(days=days)).isoformat() for days in (1, 2))
    (epoch, last), *_ = sorted(cage.epochs())
    numbers = {"epoch": epoch, "first_seq": 1, "last_seq": last}
    requests = (
        ("both", {"all": True, "since": early}, "expected"),
        ("mixed", numbers | {"until": early}, "expected"),
        ("half", {"epoch": epoch}, "expected"),
        ("no-offset", {"since": "2026-01-05T12:00:00"}, "offset from UTC"),
        ("backwards", {"since": early, "until": earlier}, "since before until"),
        ("long-ago", {"since": earlier, "until": early}, "nothing of what was asked for is held"),
    )
    with cage.station(), cage.publish():
        cage.arrives()
        wait_until(lambda: cage.released() == cage.epochs())
        with Desk(broker.port) as desk:
            for name, what, words in requests:
                (refused,) = replay(desk, name, **what)
                assert refused["status"] == "refused", name
                assert words in refused["text"], name
            assert desk.replayed() == []


@pytest.mark.parametrize("by_time", [False, True], ids=["all", "a range of time"])
def test_a_station_that_was_never_there_gets_all_starts_by_one_replay(
    cage: Cage, broker: Mosquitto, tmp_path: Path, by_time: bool
) -> None:
    late = tmp_path / "late"
    made = cage.made_at()
    bounds = {"since": min(made.values()).isoformat(), "until": max(made.values()).isoformat()}
    with cage.station(), cage.publish():
        cage.arrives()
        wait_until(lambda: cage.released() == cage.epochs())
        with cage.another_station("lab2", late) as second, Desk(broker.port) as desk:
            second.wait_for("connected to")
            assert cage.logged(late) == set()
            done = replay(desk, "for-lab2", station="lab2", **(bounds if by_time else {"all": True}))[-1]
            assert done["detail"] == {"records": len(made), "stored": len(made)}
            assert cage.logged(late) == cage.appended()


def expire(cage: Cage) -> None:
    """Let go of all that is released, as the ring does a year later."""
    later = SteppedClock(datetime.now(UTC) + timedelta(days=365))
    settings = tree.Outbox(min_free_mb=0, reserve_mb=0)
    outbox = Outbox.open(cage.state, settings, device_id=DEVICE, serial="of the test", clock=later)
    held = None
    while held != (held := len(cage.appended())):
        outbox.maintain()
    outbox.close()


def test_a_second_station_away_over_three_starts_and_an_expiry_names_what_it_lacks(
    broker: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rarely = {"health_interval_s": 3600.0}  # what is named by then is named because a start has happened
    cage, data = Cage(tmp_path, broker.port, mqtt=rarely), tmp_path / "second"
    numbers: list[tuple[str, int]] = []

    def start() -> None:
        before = cage.epochs()
        assert cage.capture(CAPTURES)[0] == 0
        numbers.extend(cage.epochs() - before)

    def named(desk: Desk) -> set[str]:
        return {of["epoch"] for of in json.loads(desk.heard(f"{ROOT}/info")[-1])["epochs"]}

    second = cage.another_station("lab2", data)
    with cage.station() as first, cage.publish() as publish:
        first.wait_for("connected to")
        with second:
            second.wait_for("connected to")
            start()
            cage.arrives()
            wait_until(lambda: cage.appended() <= cage.logged(data))
        for _ in range(3):
            start()
        cage.arrives()
        wait_until(lambda: cage.released() == cage.epochs())
        with Desk(broker.port) as desk:
            wait_until(lambda: desk.heard(f"{ROOT}/info") and numbers[-1][0] in named(desk))
        assert publish.stop() == 0
        expire(cage)
        _, (away, last_of_away), (third, last_of_third), (fourth, last_of_fourth) = numbers
        assert cage.epochs() == {(fourth, last_of_fourth)}, "of the starts before nothing is held any more"
        gone = {(away, 1, last_of_away), (third, 1, last_of_third)}
        with second:
            # Before publish: its new `info` takes the place of the retained one, which names the starts between.
            wait_until(lambda: second.log().count("connected to") == 2)
            publish.start()
            start()
            new = {row for row in cage.appended() if row[0] == numbers[-1][0]}
            wait_until(lambda: new <= cage.logged(data))
            wait_until(lambda: cage.losses(data) == gone)
            with Desk(broker.port) as desk:
                assert replay(desk, "what-is-left", all=True, station="lab2")[-1]["status"] == "done"
            assert cage.appended() <= cage.logged(data)
            assert cage.losses(data) == gone | {(fourth, 1, last_of_fourth - 1)}
        assert cage.losses(cage.data) == set(), "the station that was there lacks nothing"
    assert station_main(["status", "--data", str(data)]) == 1
    assert str(last_of_away + last_of_third + last_of_fourth - 1) in capsys.readouterr().out
