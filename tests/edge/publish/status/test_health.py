"""Health names what a technician must know: a camera that sees nothing is never well."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.config.tree import Cage, Camera, Config, Mqtt
from edge.contract import jsontext
from edge.contract.reading import Outcome, Reason
from edge.contract.status import Health
from edge.publish.status.capture_findings import find_in_captures
from edge.publish.status.capture_status import CaptureState
from edge.publish.status.health import Backlog, Surroundings, make_health
from edge.publish.status.machine import Machine
from edge.publish.status.summary import Glance, Span
from tests.edge.capture import running
from tests.edge.publish import lab
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until

NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)
CONFIG = Config(
    device_id="cage07",
    state_dir="/nowhere",
    cage=Cage(id="c7"),
    camera=Camera(backend="simulated", px_per_mm=4.0),
    mqtt=Mqtt(station="lab1"),
)
WELL = Surroundings(
    watched_s=1e4, capture_running=True, capture_begun=True, station_heard=True, station_online=True, clock_synced=True
)
MACHINE = Machine(10.0, 50.0, (), 10**10, 0.1, 10**9, 10**7)
BACKLOG = Backlog(0, 0, 0, 0, 0, None, 0)
ACCEPTED = (("m1", Span(100.0, 90.0, 120.0, 0.9)),)


def seen(number: int, outcome: Outcome, light: str = "dark", *reasons: Reason, accepted: bool = False) -> Glance:
    """Return the reading of a quarter of an hour."""
    at = NOON + timedelta(minutes=15 * number)
    refused = (reasons,) if reasons else ()
    return Glance(at, light, ACCEPTED if accepted else (), "none", None, outcome, refused)


def good(number: int, light: str = "dark") -> Glance:
    """Return a reading with an accepted age."""
    return seen(number, Outcome.OK, light, accepted=True)


def health(
    config: Config = CONFIG,
    around: Surroundings = WELL,
    glances: list[Glance] | None = None,
    machine: Machine = MACHINE,
    capture: CaptureState | None = None,
) -> dict[str, str]:
    """Return the codes with their advice."""
    made = make_health(config, machine, capture or CaptureState(), BACKLOG, around, glances or [], NOON)
    assert len(made.problems) == len(made.advice)
    jsontext.decode(jsontext.encode(made), Health)
    return dict(zip(made.problems, made.advice, strict=True))


def test_a_device_on_which_all_is_well_has_no_problem() -> None:
    assert health(glances=[good(number) for number in range(40)]) == {}


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome.DARK, "captures_dark"),
        (Outcome.OVEREXPOSED, "captures_overexposed"),
        (Outcome.BLURRED, "captures_blurred"),
        (Outcome.OBSTRUCTED, "captures_obstructed"),
        (Outcome.STALE_FRAME, "captures_stale"),
        (Outcome.CAMERA_FAULT, "camera_faults"),
        (Outcome.MODEL_FAULT, "model_faults"),
    ],
)
def test_captures_that_fail_alike_are_a_problem_with_counts_even_with_two_good_ones_between(
    outcome: Outcome, code: str
) -> None:
    glances = [good(number) if number in (30, 38) else seen(number, outcome) for number in range(41)]
    assert "10 of the last 12 captures in the dark phase" in find_in_captures(CONFIG, glances)[code]
    assert code not in find_in_captures(CONFIG, glances[:3]), "three captures prove nothing"
    assert code not in find_in_captures(CONFIG, [*glances, *(good(number) for number in range(41, 46))])


def test_a_lamp_that_fails_in_one_phase_only_is_a_problem_by_day_and_by_night() -> None:
    night = [seen(number, Outcome.DARK) for number in range(48)]
    day = [good(number, "light") for number in range(48, 96)]
    for glances in (night, [*night, *day]):
        assert "in the dark phase" in find_in_captures(CONFIG, glances)["captures_dark"]
    assert find_in_captures(CONFIG, [*night, *(good(number, "light") for number in range(48, 400))]) == {}


def test_captures_without_an_accepted_age_say_how_many_and_why() -> None:
    uncertain = [seen(number, Outcome.OK, "dark", Reason.TOO_UNCERTAIN) for number in range(20)]
    glances = [*uncertain, *(seen(number, Outcome.IN_NEST) for number in range(20, 24))]
    said = find_in_captures(CONFIG, glances)["no_accepted_age"]
    assert "none of the last 24 captures" in said
    assert "20 too_uncertain" in said
    assert "4 in_nest" in said
    assert "no_accepted_age" not in find_in_captures(CONFIG, [good(0), *glances[1:]])
    empty = Config(device_id="a", state_dir="/x", cage=Cage(id="c", animals=0), camera=CONFIG.camera)
    assert find_in_captures(empty, [seen(number, Outcome.NO_MOUSE) for number in range(200)]) == {}


@pytest.mark.parametrize("reason", [Reason.STRAIN_NOT_COVERED, Reason.LIGHT_NOT_COVERED])
def test_a_strain_or_light_that_the_model_does_not_know_is_named_at_once(reason: Reason) -> None:
    glances = [good(0, "light"), seen(1, Outcome.OK, "dark", reason)]
    assert list(find_in_captures(CONFIG, glances)) == [reason.value]
    assert find_in_captures(CONFIG, [*glances, good(2)]) == {}


def test_a_day_without_any_animal_is_a_problem_and_an_hour_is_none() -> None:
    glances = [seen(number, Outcome.NO_MOUSE) for number in range(98)]
    assert "no_animal" in find_in_captures(CONFIG, glances)
    assert "no_animal" not in find_in_captures(CONFIG, glances[:90])


@pytest.mark.parametrize(
    ("around", "code"),
    [
        (replace(WELL, capture_begun=False, capture_running=False), "capture_never_started"),
        (replace(WELL, capture_running=False), "capture_not_running"),
        (replace(WELL, clock_synced=False), "clock_never_set"),
        (replace(WELL, station_heard=False, station_online=False), "station_never_seen"),
        (replace(WELL, station_online=False), "station_offline"),
    ],
)
def test_what_is_missing_around_publish_is_named_once_it_had_time_to_come(around: Surroundings, code: str) -> None:
    assert list(health(around=around)) == [code]
    assert health(around=replace(around, watched_s=5.0)) == {}


def test_scale_storage_heat_and_captures_own_words_are_named() -> None:
    no_scale = Config(device_id="a", state_dir="/x", cage=Cage(id="c"), camera=Camera(backend="simulated"))
    assert "no age is ever given" in health(no_scale)["no_scale"]
    assert "disk I/O" in health(around=replace(WELL, storage="disk I/O error"))["storage"]
    assert "85 C" in health(machine=replace(MACHINE, cpu_temperature_c=85.0))["hot"]
    assert "hot" in health(machine=replace(MACHINE, throttled=("soft_temperature_limit",)))
    assert "disk_low" in health(machine=replace(MACHINE, disk_free_bytes=5))
    assert "no cable" in health(capture=CaptureState(problem="no cable"))["capture_problem"]


def test_a_real_device_whose_captures_are_dark_says_so(tmp_path: Path) -> None:
    """The whole way: capture's readings in the outbox, publish's look at them, the retained message."""
    with Mosquitto(tmp_path / "broker") as broker:
        publish = lab.Publish(tmp_path, broker.port, station=None)
        settings = running.write_settings(tmp_path, camera="simulated: {faults: {1-13: dark}}")
        code, errors = running.run(settings, "--captures", "14", "--stepped-from", "2026-05-20T20:00:00+00:00")
        assert code == 0, errors
        logger = lab.Logger(broker.port)
        publish.config.write_text(settings.read_text() + f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n")
        with publish:
            body = wait_until(lambda: logger.of("health"))[0]
        logger.close()
    said = jsontext.decode(body, Health)
    assert "captures_dark" in said.problems, said
    assert "were dark" in said.advice[said.problems.index("captures_dark")]
