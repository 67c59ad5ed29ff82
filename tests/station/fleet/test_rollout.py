"""The pure state machine of a rollout: rings, thresholds, going back by itself, units together, latecomers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest

from edge.errors import OperatorError
from station.fleet.rollout.assign import assign, ring_of_late
from station.fleet.rollout.judge import compare, equivalence, t_95
from station.fleet.rollout.plan import Ring, Shadow, Thresholds, Window, read_duration, read_rings, read_window
from station.fleet.rollout.state import Comparison, Phase, Stage, Status
from tests.station.fleet.simulated import NEW, OLD, Fake, begun, plan, play, random_lab, wrong_ends

TWO = (Ring(devices=1), Ring(share=1.0))


def fakes(count: int, **changes) -> list[Fake]:
    return [Fake(f"d{number:02}", **changes) for number in range(count)]


def test_rings_are_numbers_of_devices_first_and_shares_after_them() -> None:
    assert [str(ring) for ring in read_rings("1, 5%, 25%, 100%")] == ["1", "5%", "25%", "100%"]
    for wrong in ("", "1,5%,25%", "5%,1,100%", "5%,5%,100%", "0,100%", "1,101%", "1;100%", "-1,100%", "2,1,100%"):
        with pytest.raises(OperatorError, match="--rings: expected"):
            read_rings(wrong)


def test_times_and_hours_are_read_or_refused() -> None:
    assert (read_duration("24h", "--shadow"), read_duration("90min", "--soak")) == (86400.0, 5400.0)
    night = read_window("21:00-05:30")
    assert night.holds(3600.0 * 23, UTC)
    assert night.holds(3600.0 * 5, UTC)
    assert not night.holds(3600.0 * 6, UTC)
    assert str(night) == "21:00-05:30"
    for wrong in ("9-17", "09:00-09:00", "24:00-25:00"):
        with pytest.raises(OperatorError, match="--window"):
            read_window(wrong)
    with pytest.raises(OperatorError, match="--shadow"):
        read_duration("1 day", "--shadow")


def test_every_device_has_one_ring_and_a_number_is_never_exceeded() -> None:
    units = {f"d{number}": [f"d{number}"] for number in range(90)} | {"study": [f"s{number}" for number in range(10)]}
    found = assign(NEW, read_rings("1,5%,25%,100%"), units)
    assert len(found) == 100
    sizes = [sum(1 for ring in found.values() if ring == number) for number in range(4)]
    assert sizes[0] == 1
    assert len({found[device] for device in units["study"]}) == 1
    assert found["s0"] > 0  # ten devices do not fit into a ring of one
    assert assign(NEW, read_rings("1,5%,25%,100%"), dict(reversed(units.items()))) == found


def test_a_device_that_comes_late_has_a_ring_of_a_share_and_always_the_same() -> None:
    rings = read_rings("1,50%,100%")
    found = {f"d{number}": ring_of_late(NEW, f"d{number}", rings) for number in range(400)}
    assert set(found.values()) == {1, 2}
    assert 120 < sum(1 for ring in found.values() if ring == 1) < 280
    assert found == {name: ring_of_late(NEW, name, rings) for name in found}


def share_of(arm: str, names: list[str], arms: dict[str, frozenset[str]]) -> float:
    return sum(arms[name] == {arm} for name in names) / len(names)


@pytest.mark.parametrize("digest", ["b" * 64, "d" * 64, "1" * 64])
def test_the_rings_hold_the_arms_of_a_study_in_equal_shares(digest: str) -> None:
    """Forty cages, every fourth one treated: chance alone gives the first 10% none, or two."""
    arms = {f"d{number}": frozenset({"control" if number % 4 else "treated"}) for number in range(40)}
    units = {name: [name] for name in arms}
    found = assign(digest, read_rings("1,10%,50%,100%"), units, arms)
    upto = [[name for name, ring in found.items() if ring <= last] for last in range(4)]
    assert [len(names) for names in upto] == [1, 4, 20, 40]
    assert share_of("treated", upto[1], arms) == 0.25
    assert share_of("treated", upto[2], arms) == 0.25


def test_cages_that_switch_together_count_with_all_of_their_arms() -> None:
    units = {"study AGE1": ["a", "b"], **{f"d{number}": [f"d{number}"] for number in range(18)}}
    arms = {"study AGE1": frozenset({"control", "treated"})}
    arms |= {f"d{number}": frozenset({"control" if number % 2 else "treated"}) for number in range(18)}
    found = assign("b" * 64, read_rings("50%,100%"), units, arms)
    assert found["a"] == found["b"]
    first = [name for name, ring in found.items() if ring == 0 and name.startswith("d")]
    assert abs(share_of("treated", first, arms) - 0.5) <= 0.5 / len(first)


def test_the_next_ring_opens_when_the_devices_are_good_not_when_they_are_installed() -> None:
    lab = begun(fakes(20))
    lab.look()
    first = [name for name, one in lab.rollout.members.items() if one.phase is Phase.ASKED]
    assert len(first) == 1
    canary = lab.fakes[first[0]]
    canary.state, canary.good = "pending", False
    canary.work = lambda: None  # its trial takes a while
    for _ in range(5):
        lab.look()
    assert canary.running == NEW
    assert lab.phases() == {"asked": 1, "waiting": 19}
    assert "waits for" in lab.rollout.reason
    canary.good, canary.state = True, "good"
    lab.settle()
    assert (lab.rollout.status, lab.phases()) == (Status.DONE, {"good": 20})


def test_a_canary_that_goes_back_by_itself_stops_it_and_nobody_else_is_asked() -> None:
    lab = begun(fakes(20, fate="rolled_back"))
    lab.settle()
    assert lab.rollout.status is Status.REVERTED
    assert sum(bool(fake.asked) for fake in lab.fakes.values()) == 1
    assert "went back by itself: its own words" in lab.rollout.reason
    assert {fake.running for fake in lab.fakes.values()} == {OLD}


def test_devices_that_abstain_more_than_before_are_taken_back_and_named() -> None:
    lab = begun(fakes(20, fate="worse"))
    lab.settle()
    assert lab.rollout.status is Status.REVERTED
    assert "abstains in 90% of 100 captures, before in 5% of 100" in lab.rollout.reason
    assert wrong_ends(lab) == []


def test_some_errors_within_the_threshold_do_not_stop_it() -> None:
    lab = begun(fakes(40), plan(rings=TWO))
    canary = next(name for name, one in lab.rollout.members.items() if one.ring == 0)
    bad = [name for name in lab.fakes if name != canary][:3]
    for name in bad:
        lab.fakes[name].fate = "refused"
    lab.settle()
    assert (lab.rollout.status, lab.phases()) == (Status.DONE, {"good": 37, "failed": 3})
    assert wrong_ends(lab) == []


def test_one_error_more_than_the_threshold_takes_all_back() -> None:
    lab = begun(fakes(40), plan(rings=TWO))
    canary = next(name for name, one in lab.rollout.members.items() if one.ring == 0)
    for name in [name for name in lab.fakes if name != canary][:4]:
        lab.fakes[name].fate = "rolled_back"
    lab.settle()
    assert lab.rollout.status is Status.REVERTED
    assert {fake.running for fake in lab.fakes.values()} == {OLD}
    assert "ring 2: 4 of 39 devices failed, at most 10% may" in lab.rollout.reason


def test_no_more_devices_switch_at_once_than_the_limit() -> None:
    lab = begun(fakes(30), plan(rings=(Ring(share=1.0),), limit=4))
    most = 0
    for fake in lab.fakes.values():
        fake.work = lambda: None
    for _ in range(60):
        lab.look()
        switching = [fake for fake in lab.fakes.values() if fake.state == "pending"]
        most = max(most, len(switching))
        for fake in switching[:1]:
            fake.good, fake.state = True, "good"
    assert most == 4
    assert lab.phases() == {"good": 30}


def test_nobody_is_asked_outside_the_hours() -> None:
    lab = begun(fakes(3), plan(window=Window(begin=540, end=1020)))
    lab.now_s = 3600.0 * 20
    for _ in range(5):
        lab.look()
    assert lab.phases() == {"waiting": 3}
    assert any("waits for its hours, 09:00-17:00" in one.reason for one in lab.rollout.members.values())
    lab.now_s = 86400.0 + 3600.0 * 9
    lab.settle()
    assert lab.rollout.status is Status.DONE


def test_cages_of_one_study_switch_together_and_go_back_together() -> None:
    study = [Fake(f"s{number}", unit="study AGE1") for number in range(6)]
    lab = begun([*study, *fakes(30)], plan(thresholds=Thresholds(soak_s=0.0, errors=0.4, success=0.5)))
    study[4].online = False
    for _ in range(30):
        lab.look()
    assert {one.asked != [] for one in study} == {False}, "half a study was asked"
    study[4].online, study[2].fate = True, "rolled_back"
    lab.settle()
    assert {one.running for one in study} == {OLD}
    assert "goes back with s2 of study AGE1" in lab.member("s1").reason
    assert {lab.fakes[f"d{number:02}"].running for number in range(30)} == {NEW}


def test_a_device_that_was_away_for_weeks_gets_it_when_it_comes_back() -> None:
    lab = begun(fakes(20))
    canary = next(name for name, one in lab.rollout.members.items() if one.ring == 0)
    away = next(name for name in lab.fakes if name != canary and lab.member(name).ring == 3)
    lab.fakes[away].online = False
    lab.settle()
    assert (lab.rollout.status, lab.member(away).phase) == (Status.DONE, Phase.WAITING)
    lab.fakes["new"] = Fake("new")
    lab.now_s += 21 * 86400.0
    lab.fakes[away].online = True
    lab.settle()
    assert (lab.fakes[away].running, lab.fakes["new"].running) == (NEW, NEW)
    assert lab.fakes[away].asked == [("install", NEW)]


def test_a_device_that_comes_back_with_what_was_taken_back_is_asked_back_too() -> None:
    lab = begun(fakes(10), plan(rings=(Ring(share=1.0),)))
    lab.look()
    gone = lab.fakes["d03"]
    gone.work = lambda: None
    lab.look()
    gone.online = False
    lab.abort()
    for _ in range(20):
        lab.look()
    assert lab.rollout.status is Status.REVERTING
    gone.online = True
    lab.settle()
    assert (gone.running, lab.rollout.status) == (OLD, Status.REVERTED)


def test_a_device_that_switched_while_it_was_away_is_asked_back_when_it_says_so() -> None:
    lab = begun(fakes(10), plan(rings=(Ring(share=1.0),)))
    lab.look()
    gone = lab.fakes["d03"]
    gone.online = False  # it has heard, and said nothing yet
    lab.abort()
    lab.settle()
    assert (lab.rollout.status, gone.running) == (Status.REVERTED, NEW)
    gone.online = True
    lab.look()
    assert lab.rollout.status is Status.REVERTING
    lab.settle()
    assert (lab.rollout.status, gone.running) == (Status.REVERTED, OLD)


def test_a_ring_of_which_too_many_are_away_does_not_open_the_next() -> None:
    lab = begun(fakes(20), plan(rings=(Ring(share=0.5), Ring(share=1.0))))
    first = [name for name, one in lab.rollout.members.items() if one.ring == 0]
    for name in first[:3]:
        lab.fakes[name].online = False
    lab.settle()
    assert (lab.rollout.status, lab.phases()) == (Status.RUNNING, {"good": 7, "waiting": 13})
    assert f"7 of 10 devices are good, it takes 80%; not connected: {first[0]}" in lab.rollout.reason
    lab.fakes[first[0]].online = True
    lab.settle()
    assert lab.rollout.status is Status.DONE


def test_a_device_that_refused_the_bundle_before_is_not_asked_and_no_error() -> None:
    lab = begun(fakes(4), plan(rings=(Ring(share=1.0),)))
    old = lab.fakes["d02"]
    old.refused.add(NEW)
    old.state, old.about = "refused", NEW
    lab.settle()
    assert (lab.rollout.status, lab.member("d02").phase, old.asked) == (Status.DONE, Phase.SKIPPED, [])


def test_one_that_is_connected_and_does_nothing_for_a_day_is_an_error_and_named() -> None:
    lab = begun(fakes(5), plan(rings=(Ring(devices=1), Ring(share=1.0))))
    canary = next(name for name, one in lab.rollout.members.items() if one.ring == 0)
    lab.fakes[canary].fate = "slow"
    for _ in range(10):
        lab.look()
    assert lab.rollout.status is Status.RUNNING
    lab.now_s += 86400.0
    lab.look()
    assert lab.rollout.status is Status.REVERTING
    assert "connected for 24 h and has not taken up what it was asked; it says: its own words" in lab.rollout.reason


def test_a_device_that_reboots_in_between_is_not_frozen() -> None:
    lab = begun(fakes(1), plan(rings=(Ring(share=1.0),)))
    lab.fakes["d00"].fate = "slow"
    lab.look()
    lab.now_s += 86400.0 - 600.0
    lab.fakes["d00"].since_s = lab.now_s
    lab.now_s += 1200.0
    lab.look()
    assert lab.rollout.status is Status.RUNNING


def test_paused_it_asks_nobody_and_still_takes_itself_back() -> None:
    lab = begun(fakes(10))
    lab.look()
    lab.rollout = replace(lab.rollout, status=Status.PAUSED)
    for _ in range(10):
        lab.look()
    assert lab.phases() == {"good": 1, "waiting": 9}
    (canary,) = [fake for fake in lab.fakes.values() if fake.asked]
    canary.running, canary.state = OLD, "rolled_back"
    lab.settle()
    assert lab.rollout.status is Status.REVERTED


def test_nothing_switches_before_the_shadow_run_has_shown_equivalence() -> None:
    shadow = Shadow(seconds=3600.0, margin_days=20.0, animals=5)
    lab = begun(fakes(10), plan(shadow=shadow))
    wide = Comparison(6, 5.0, -30.0, 40.0)
    for _ in range(70):
        lab.look(wide)
    assert (lab.rollout.stage, lab.phases()) == (Stage.SHADOW, {"shadow": 10})
    assert {fake.running for fake in lab.fakes.values()} == {OLD}
    assert "-30.0 to +40.0 days over 6 animals, does not lie within" in lab.rollout.reason
    good = Comparison(8, 2.0, -4.0, 8.0)
    for _ in range(20):
        lab.look(good)
    assert lab.rollout.stage is Stage.SHADOW, "it is judged after each whole length, not as soon as it fits"
    assert "judged again after 2 h" in lab.rollout.reason
    for _ in range(60):
        lab.look(good)
    lab.settle(comparison=good)
    assert (lab.rollout.status, lab.phases()) == (Status.DONE, {"good": 10})


def test_a_shadow_run_that_shows_a_difference_ends_without_a_switch_and_an_undecided_one_asks_a_person() -> None:
    shadow = Shadow(seconds=3600.0, margin_days=20.0, animals=5)
    lab = begun(fakes(4), plan(shadow=shadow))
    for _ in range(70):
        lab.look(Comparison(9, 40.0, 30.0, 50.0))
    assert lab.rollout.status is Status.REVERTED
    assert {fake.running for fake in lab.fakes.values()} == {OLD}
    lab = begun(fakes(4), plan(shadow=shadow))
    for _ in range(300):
        lab.look(Comparison(3, 0.0, -1.0, 1.0))
    assert lab.rollout.status is Status.PAUSED
    assert "3 of the 5 animals that it takes" in lab.rollout.reason


def test_the_interval_is_students_with_the_animals_as_units() -> None:
    """Reference: R's t.test(c(1, 2, 4, 8, -3, 5), conf.level = 0.9) gives -0.3187 to 5.9854; qt(0.95, 30) is 1.6973."""
    found = compare([1.0, 2.0, 4.0, 8.0, -3.0, 5.0])
    assert found.mean_days == pytest.approx(17 / 6)
    half = 2.015 * 3.7638 / 6**0.5
    assert (found.low_days, found.high_days) == pytest.approx((17 / 6 - half, 17 / 6 + half), abs=0.01)
    assert t_95(30) == pytest.approx(1.6973, abs=2e-3)
    assert t_95(16) == pytest.approx(1.7459, abs=2e-3)


def test_a_difference_that_is_not_significant_is_no_equivalence() -> None:
    shadow = Shadow(seconds=1.0, margin_days=10.0, animals=3)
    assert equivalence(compare([-60.0, 50.0, 15.0, -8.0]), shadow)[0] == "unknown"
    assert equivalence(compare([2.0, 1.0, 3.0, 2.5]), shadow)[0] == "equivalent"
    assert equivalence(compare([22.0, 21.0, 23.0, 22.5]), shadow)[0] == "different"
    assert equivalence(compare([1.0]), shadow)[0] == "unknown"
    assert equivalence(None, shadow)[0] == "unknown"


@pytest.mark.parametrize("seed", range(12))
def test_every_device_ends_where_the_rollout_says(seed: int) -> None:
    """Chance turns devices off and on, adds some, pauses and aborts; at rest no device is anywhere else."""
    lab = random_lab(seed, 40)
    play(lab, seed, 40)
    assert wrong_ends(lab) == []
