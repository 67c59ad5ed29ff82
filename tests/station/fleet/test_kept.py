"""What the station keeps and decides from it: shadow runs, figures of readings, studies, pins, leases, alarms."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from edge.contract import jsontext
from edge.contract.reading import Animal, Light, Outcome, Reading, Shadow, ShadowAnimal
from edge.contract.reported import Reported, Running, TrustHeld
from edge.errors import OperatorError
from station.fleet import actions
from station.fleet.figures import load_figures
from station.fleet.keep.alarms import load_alarms, set_alarms
from station.fleet.keep.database import fleet_database
from station.fleet.keep.devices import Heard, hear_availability, hear_health, hear_report, load_heard
from station.fleet.keep.groups import Pin, Study, approve_study, load_pins, pin, set_group, set_study
from station.fleet.keep.history import load_history
from station.fleet.keep.lease import Lease, LeaseLost
from station.fleet.keep.rollouts import load_rollout
from station.fleet.looking import FROZEN_S, find_alarms
from station.fleet.observe import Known, load_known, look
from station.fleet.rollout.plan import Shadow as Shadow_
from station.fleet.rollout.state import Member, Phase, Rollout, Status
from station.fleet.settings import load_fleet_settings
from station.fleet.shadow import load_shadow, overlap
from station.fleet.wishes import wishes
from station.store.schema import open_for_reading, open_for_writing
from station.store.store import Store
from station.transaction import transaction
from tests.station import samples
from tests.station.fleet.lab import OLD, Keys
from tests.station.fleet.simulated import NEW, plan

NOW = 1_800_000_000.0


@pytest.fixture
def fleet(tmp_path: Path):
    with fleet_database(tmp_path) as connection:
        yield connection


def report(device: str, state: str = "none", digest: str | None = None, running: str | None = OLD, **more) -> Reported:
    which = Running(digest=running, name="lab", model_version="1", channel="study", release=1, state="good")
    values = {"reason": "", "advice": "", "rollout": None, "channel": "study"} | more
    return Reported(
        device_id=device,
        state=state,
        digest=digest,
        since=datetime.now(UTC),
        running=which if running else None,
        **values,
    )


def hear(fleet, device: str, *, online: bool = True, **changes) -> None:
    said = report(device, **changes)
    hear_availability(fleet, device, online, NOW)
    hear_report(fleet, device, jsontext.encode(said), said, NOW)


def with_shadow(
    seq: int, device: str, old: tuple[Animal, ...], new: list[tuple[tuple, float | None]], light
) -> Reading:
    """A reading whose candidate found animals in these boxes and says these ages, None where it abstains."""
    animals = tuple(
        ShadowAnimal(
            box=box, subject=None, accepted=age is not None, reject_reasons=(), age_days=age, estimate_days=age,
            sd_days=20.0, interval_low_days=None, interval_high_days=None, domain_score=0.6,
        )
        for box, age in new
    )  # fmt: skip
    shadow = Shadow(
        name="new", model_version="2", release=2, sha256=NEW, outcome=Outcome.OK, animals=animals, took_ms=150.0
    )
    made = samples.reading(seq, device=device, cage=device, animals=old, light=light)
    return msgspec.structs.replace(made, shadow=shadow)


def store(data: Path, readings: list[Reading]) -> None:
    kept = Store.open(data)
    for seq, one in enumerate(readings, 1):
        kept.take([samples.arrival(one, seq, device=one.device_id)])
    kept.close()


def test_a_shadow_run_is_compared_by_animal_not_by_reading(tmp_path: Path) -> None:
    """An animal with forty readings weighs as much as one with two; groups stand apart, abstentions are counted."""
    box = (10, 10, 60, 40)
    readings = [
        with_shadow(seq, "cage-1", (samples.animal(100.0, subject="M1"),), [(box, 130.0)], Light.DARK)
        for seq in range(1, 41)
    ]
    for number in (2, 3, 4):
        animal = (samples.animal(200.0, subject=f"M{number}"),)
        readings.append(with_shadow(50 + number, f"cage-{number}", animal, [(box, 200.0 + number)], Light.LIGHT))
    readings.append(with_shadow(60, "cage-2", (samples.animal(200.0, subject="M2"),), [(box, None)], Light.LIGHT))
    store(tmp_path, readings)
    members = {f"cage-{number}": Member(f"cage-{number}", f"cage-{number}", 0, Phase.SHADOW) for number in (1, 2, 3, 4)}
    rollout = Rollout(1, plan(), Status.RUNNING, members=members, stage_since_s=0.0)
    with closing(open_for_reading(tmp_path)) as log:
        found = load_shadow(log, rollout)
    assert found["all"]["animals"] == 4
    assert found["all"]["mean_days"] == pytest.approx((30 + 2 + 3 + 4) / 4)
    assert found["groups"]["light: dark"]["animals"] == 1
    assert found["groups"]["light: light"]["mean_days"] == pytest.approx(3.0)
    assert found["groups"]["camera: cage-1"]["mean_days"] == pytest.approx(30.0)
    assert (found["pairs"], found["accepted"]["both"], found["accepted"]["old_only"]) == (44, 43, 1)
    assert found["domain_score"] == {"before": 0.4, "candidate": 0.6}
    assert found["model_ms"]["candidate"] == 150.0


def test_animals_without_a_name_are_paired_by_their_place_and_count_as_their_cage(tmp_path: Path) -> None:
    left, right = (10.0, 10.0, 60.0, 40.0), (100.0, 10.0, 150.0, 40.0)
    old = (
        msgspec.structs.replace(samples.animal(100.0, subject=None), box=left),
        msgspec.structs.replace(samples.animal(300.0, subject=None), box=right),
    )
    new = [((102.0, 10.0, 152.0, 40.0), 310.0), ((11.0, 10.0, 61.0, 40.0), 106.0), ((400.0, 0.0, 450.0, 9.0), 999.0)]
    store(tmp_path, [with_shadow(1, "cage-1", old, new, Light.DARK)])
    members = {"cage-1": Member("cage-1", "cage-1", 0, Phase.SHADOW)}
    rollout = Rollout(1, plan(), Status.RUNNING, members=members, stage_since_s=0.0)
    with closing(open_for_reading(tmp_path)) as log:
        found = load_shadow(log, rollout)
    assert (found["pairs"], found["all"]["animals"], found["all"]["mean_days"]) == (2, 1, pytest.approx(8.0))
    assert overlap(left, right) == 0.0
    assert overlap(left, left) == 1.0


def test_figures_before_and_under_the_bundle_come_from_the_log(tmp_path: Path) -> None:
    readings = [samples.reading(seq, accepted=seq > 3, model_sha=OLD) for seq in range(1, 11)]
    readings += [samples.reading(seq, accepted=False, model_sha=NEW) for seq in range(11, 16)]
    readings.append(
        samples.reading(16, animals=(), model_sha=NEW, outcome=Outcome.NO_MOUSE)
    )  # no animal: no abstention
    store(tmp_path, readings)
    members = {"cage-1": Member("cage-1", "cage-1", 0, Phase.ASKED, asked_s=NOW)}
    with closing(open_for_reading(tmp_path)) as log:
        before, after = load_figures(log, Rollout(1, plan(), members=members), NOW)["cage-1"]
        assert load_figures(log, Rollout(1, plan(), members={}), NOW) == {}
    assert (before.readings, before.abstained, before.domain_score) == (10, 3, 0.4)
    assert (after.readings, after.abstained, after.domain_score) == (5, 5, 3.0)


def test_a_locked_study_is_passed_over_until_its_lead_approves(fleet) -> None:
    for device in ("cage01", "cage02", "cage03"):
        hear(fleet, device)
    with transaction(fleet):
        set_study(fleet, NOW, "lena", Study("AGE1", "lena", True))
        set_group(fleet, NOW, "lena", "study", "AGE1", ["cage01", "cage02"])
    found = look(fleet, plan(), 1, Known(), {}, NOW)
    assert found["cage01"].excluded == "study AGE1 is locked; its lead lena has not approved this rollout"
    assert (found["cage01"].unit, found["cage03"].unit, found["cage03"].excluded) == ("study AGE1", "cage03", "")
    with pytest.raises(OperatorError, match="its lead lena approves, not anna"), transaction(fleet):
        approve_study(fleet, NOW, "anna", 1, "AGE1")
    with pytest.raises(OperatorError, match="its lead lena alone changes that"), transaction(fleet):
        set_study(fleet, NOW, "anna", Study("AGE1", "anna", False))
    with transaction(fleet):
        approve_study(fleet, NOW, "lena", 1, "AGE1")
    assert look(fleet, plan(), 1, Known(), {}, NOW)["cage01"].excluded == ""
    assert look(fleet, plan(), 2, Known(), {}, NOW)["cage01"].excluded != "", "an approval is for one rollout"
    assert [one.what for one in load_history(fleet, rollout=1)] == ["approve"]


def test_who_takes_no_part_is_named_with_the_reason(fleet) -> None:
    for device in ("pinned", "other", "retired", "refused", "strain", "fine"):
        hear(fleet, device, **({"channel": "dev"} if device == "other" else {}))
    hear(fleet, "refused", state="refused", digest=NEW, reason="canary", advice="canary: it crashed")
    with transaction(fleet):
        pin(fleet, NOW, Pin("pinned", "", "in an experiment", "anna"))
    strain = {name: frozenset({"C57BL/6J"}) for name in ("pinned", "other", "retired", "refused", "fine")}
    known = Known(retired={"retired": "broken"}, strain=strain)
    found = look(fleet, plan(only=("strain=C57BL/6J",)), 1, known, {}, NOW)
    assert {name: one.excluded for name, one in found.items()} == {
        "pinned": "pinned to what it runs by anna: in an experiment",
        "other": "its settings bind it to channel dev",
        "retired": "retired: broken",
        "refused": "it refused this bundle: canary: it crashed",
        "strain": "not among strain=C57BL/6J",
        "fine": "",
    }


def test_strain_and_camera_of_a_device_come_from_the_table_of_animals_and_its_info(tmp_path: Path) -> None:
    store(tmp_path, [samples.reading(1, device="cage-1", cage="c7"), samples.reading(2, device="cage-2", cage="c8")])
    with closing(open_for_writing(tmp_path)) as log:
        log.execute("INSERT INTO subjects (subject, strain, cage, arm) VALUES ('M1', 'C57BL/6J', 'c7', 'treated')")
        log.execute("INSERT INTO subjects (subject, strain, device) VALUES ('M2', 'DBA/2J', 'cage-2')")
        for device, body in (("cage-1", b'{"camera":{"model":"imx708"}}'), ("cage-2", b"\xff")):
            log.execute("INSERT INTO device_state VALUES (?, 'info', ?, 0)", (device, body))
    with closing(open_for_reading(tmp_path)) as log:
        known = load_known(log)
    assert known.strain == {"cage-1": {"C57BL/6J"}, "cage-2": {"DBA/2J"}}
    assert known.camera == {"cage-1": "imx708"}
    assert known.arm == {"cage-1": {"treated"}, "cage-2": frozenset()}
    assert "treated" not in repr(known), "whoever reads a log stays blind"


def test_what_lies_in_the_server_or_the_settings_is_no_refusal_for_good(fleet) -> None:
    hear(fleet, "cage01", state="refused", digest=NEW, reason="host_not_allowed")
    hear(fleet, "cage02", state="rolled_back", digest=NEW)  # it was asked to
    found = look(fleet, plan(), 1, Known(), {}, NOW)
    assert {one.excluded for one in found.values()} == {""}


def test_a_pin_to_a_bundle_goes_before_the_rollout(fleet, tmp_path: Path) -> None:
    keys = Keys()
    made = {}
    for release in (2, 3):
        file = tmp_path / f"{release}.bundle"
        digest = keys.bundle(file, release)
        bundle, _ = actions.check_bundle(fleet, file, "study")
        hear(fleet, "cage01")
        hear(fleet, "cage02")
        made[release] = actions.create(
            fleet, tmp_path, file, bundle, None, plan(sha256=digest, release=release), Known(), "anna", NOW
        )
    with transaction(fleet):
        pin(fleet, NOW, Pin("cage01", made[2].plan.sha256, "", "anna"))
    asked = {name: replace(one, phase=Phase.ASKED) for name, one in made[3].members.items()}
    running = replace(made[3], status=Status.RUNNING, members=asked)
    found = {
        name: jsontext.parse(one) for name, one in wishes(fleet, [running], load_pins(fleet), ["http://lab/b/"]).items()
    }
    assert found["cage01"]["digest"] == made[2].plan.sha256
    assert found["cage02"]["digest"] == made[3].plan.sha256
    assert found["cage02"]["urls"] == [f"http://lab/b/{made[3].plan.sha256}.bundle"]


def test_a_shadow_run_that_goes_on_is_ordered_for_so_long(fleet, tmp_path: Path) -> None:
    """The device stops by itself after the hours of its wish: three times the length, and as much again by `resume`."""
    file = tmp_path / "2.bundle"
    digest = Keys().bundle(file, 2)
    bundle, _ = actions.check_bundle(fleet, file, "study")
    hear(fleet, "cage01")
    shadow = Shadow_(seconds=86400.0, margin_days=10.0)
    words = (fleet, tmp_path, file, bundle, None, plan(sha256=digest, shadow=shadow), Known(), "anna", NOW)
    made = actions.create(*words)
    actions.start(fleet, made.number, "anna", NOW)

    def hours() -> float:
        rollout = load_rollout(fleet, made.number)
        asked = replace(rollout, members={"cage01": replace(rollout.members["cage01"], phase=Phase.SHADOW)})
        return jsontext.parse(wishes(fleet, [asked], {}, ["http://lab/b"])["cage01"])["shadow_hours"]

    assert hours() == 72.0
    actions.pause(fleet, made.number, "anna", NOW, "a look")
    actions.resume(fleet, made.number, "anna", NOW)
    assert hours() == 144.0


def test_a_problem_counts_once_it_has_lasted_and_only_where_a_model_can_cause_it(fleet) -> None:
    hear(fleet, "cage01")
    hear_health(fleet, "cage01", {"hot": "slow", "undervoltage": "weak"}, NOW)
    assert look(fleet, plan(), 1, Known(), {}, NOW + 60)["cage01"].problems == {}
    hear_health(fleet, "cage01", {"hot": "slower"}, NOW + 300)
    assert look(fleet, plan(), 1, Known(), {}, NOW + 700)["cage01"].problems == {"hot": "slower"}
    hear_health(fleet, "cage01", {}, NOW + 800)
    hear_health(fleet, "cage01", {"hot": "again"}, NOW + 900)
    assert look(fleet, plan(), 1, Known(), {}, NOW + 1000)["cage01"].problems == {}


def test_a_candidate_that_failed_in_the_shadow_is_refused_and_may_be_tried_again(fleet) -> None:
    hear(fleet, "cage01", state="shadow", digest=NEW, reason="shadow_fault", advice="3 times in a row: no answer")
    found = look(fleet, plan(), 1, Known(), {}, NOW)["cage01"]
    assert (found.state, found.about, found.excluded) == ("refused", NEW, "")


def test_the_lease_is_one_process_and_whoever_lost_it_writes_nothing(fleet) -> None:
    one, two = Lease.new(30.0), Lease.new(30.0)
    assert one.take(fleet, NOW) == ""
    assert "process" in two.take(fleet, NOW + 29)
    assert two.take(fleet, NOW + 31) == ""
    with pytest.raises(LeaseLost), transaction(fleet):
        one.check(fleet)
    two.give_back(fleet)
    assert one.take(fleet, NOW + 31) == ""
    assert two.take(fleet, NOW - 86400) == "", "a lease of tomorrow was taken while the clock was wrong"


def test_a_device_that_is_kept_from_new_statements_is_an_alarm_within_a_day(fleet) -> None:
    keys = Keys()
    keys.state()
    from edge.contract.bundle.trust import begin

    statement = begin(keys.state()).newest
    expires = statement.expires_at
    held = TrustHeld(version=1, lab="our lab", expires_at=expires, expired=False)
    frozen = msgspec.structs.replace(held, version=2, frozen="no fresh word since Monday")
    heard = {
        "behind": Heard("behind", True, NOW, report("behind", trust=held), {}),
        "away": Heard("away", False, NOW, report("away", trust=held), {}),
        "frozen": Heard("frozen", True, NOW, report("frozen", trust=frozen), {}),
        "safe": Heard("safe", True, NOW, report("safe", state="safe_mode", running=None), {}),
    }
    now_s = NOW + 3600.0
    assert set(find_alarms(heard, [], statement, NOW, now_s)) >= {("frozen", "frozen"), ("safe", "safe_mode")}
    assert ("behind", "trust_behind") not in find_alarms(heard, [], statement, NOW, now_s)
    assert FROZEN_S < 86400.0
    later = find_alarms(heard, [], statement, NOW, NOW + FROZEN_S)
    assert ("behind", "trust_behind") in later
    assert ("away", "trust_behind") not in later
    soon = (expires - timedelta(days=3)).timestamp()
    assert ("", "trust_expires") in find_alarms({}, [], statement, NOW, soon)
    with transaction(fleet):
        set_alarms(fleet, NOW, later)
        set_alarms(fleet, NOW + 1, later)
        set_alarms(fleet, NOW + 2, {})
    assert load_alarms(fleet) == []
    assert len(load_alarms(fleet, cleared=True)) == len(later)
    assert [one.what for one in load_history(fleet)].count("alarm") == len(later)


def test_a_draft_of_a_study_that_fits_into_no_first_ring_is_refused_with_advice(fleet) -> None:
    for device in ("cage01", "cage02"):
        hear(fleet, device)
    with transaction(fleet):
        set_group(fleet, NOW, "anna", "study", "AGE1", ["cage01", "cage02"])
    with pytest.raises(OperatorError, match="no device fits into ring 1 of 1: all belong to studies"):
        actions.dry_run(fleet, plan(), Known(), NOW)


def test_settings_that_no_device_could_use_are_refused(tmp_path: Path) -> None:
    for text, expected in (
        ("data: /x\nurls: [mice/bundles]\n", "urls: expected addresses such as"),
        ("data: /x\nfiles: {port: 8643}\n", "urls: expected the address by which"),
        ("data: /x\nhost: mqtt://broker\n", "host: expected"),
        ("data: /x\nlook_s: 0\n", "look_s"),
        ("data: /x\nrings: 1\n", "rings"),
    ):
        path = tmp_path / "fleet.yaml"
        path.write_text(text)
        with pytest.raises(OperatorError, match=expected):
            load_fleet_settings(path, {})


def test_what_one_device_says_wrongly_costs_itself(fleet) -> None:
    hear(fleet, "cage01")
    fleet.execute(
        "UPDATE devices SET reported = ? WHERE device = 'cage01'", (b'{"schema":"cageclock/model-reported/9"}',)
    )
    hear(fleet, "cage02")
    assert load_heard(fleet)["cage01"].reported is None
    assert look(fleet, plan(), 1, Known(), {}, time.time())["cage02"].reported
