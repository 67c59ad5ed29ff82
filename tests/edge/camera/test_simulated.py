"""The simulated camera ages its animals by the clock and plays its script of faults."""

from datetime import UTC, datetime
from typing import Any

import pytest

from edge.camera.choose import make_camera
from edge.camera.protocol import Camera, Shot
from edge.camera.simulated import animals_of
from edge.config.load import parse_config
from edge.config.tree import Config
from edge.contract.reading import Light
from edge.errors import CameraBusy, CameraTimeout, ConfigError, OperatorError
from edge.timing.clock import SteppedClock
from edge.vision.frame import Frame

BEGIN = datetime(2024, 1, 1, 20, 0, tzinfo=UTC)


def config_of(faults: str = "{}", strain: str = "C57BL/6J") -> Config:
    return parse_config(
        "device_id: sim\nstate_dir: /tmp/x\ncage: {id: sim, subject: M1}\n"
        "camera: {backend: simulated, width: 320, height: 240, small_width: 160, px_per_mm: 1.333, "
        f"simulated: {{faults: {faults}, strain: {strain}}}}}\n"
    )


def camera_of(config: Config, clock: SteppedClock) -> Camera:
    camera = make_camera(config, clock, BEGIN)
    camera.open()
    return camera


def captures(faults: str, count: int) -> list[Any]:
    clock = SteppedClock(BEGIN)
    camera = camera_of(config_of(faults), clock)
    found: list[Any] = []
    for _ in range(count):
        clock.sleep_until(clock.monotonic_s() + 600, lambda: False)
        try:
            found.append(camera.capture(Shot(clock.monotonic_s(), Light.DARK)))
        except (CameraTimeout, CameraBusy) as error:
            found.append(type(error))
    return found


def test_animals_age_by_the_clock() -> None:
    """A restart keeps them: the date of birth follows from where the simulation began, not from the process."""
    (animal,) = animals_of(config_of(), BEGIN)
    assert animal.subject_id == "M1"
    assert (BEGIN.date() - animal.date_of_birth).days == 60


def test_an_old_picture_differs_from_a_young_one() -> None:
    clock = SteppedClock(BEGIN)
    camera = camera_of(config_of(), clock)
    young = camera.capture(Shot(0.0, Light.DARK))
    clock.sleep_until(700 * 86_400.0, lambda: False)
    old = camera.capture(Shot(clock.monotonic_s(), Light.DARK))
    assert (young.main != old.main).any()
    assert young.main.shape == old.main.shape == (240, 320, 3)
    assert old.exposed_at_s >= old.triggered_at_s


def test_the_script_counts_captures_lost_ones_too() -> None:
    clean = captures("{}", 5)
    faulty = captures("{2: timeout, 3: busy, 4: dark}", 5)
    assert faulty[1:3] == [CameraTimeout, CameraBusy]
    assert (faulty[0].main == clean[0].main).all()
    assert (faulty[4].main == clean[4].main).all()
    assert faulty[3].small().mean() < 0.2 * clean[3].small().mean()


@pytest.mark.parametrize(
    ("fault", "holds"),
    [
        ("overexposed", lambda bad, good: bad.small().mean() > 1.3 * good.small().mean()),
        ("condensation", lambda bad, good: bad.small().std() < good.small().std()),
        ("moved", lambda bad, good: (bad.small() != good.small()).mean() > 0.5),
        ("blur", lambda bad, good: bad.small().std() < good.small().std()),
        ("stale", lambda bad, good: bad.exposed_at_s < bad.triggered_at_s),
    ],
)
def test_a_scripted_fault_shows(fault: str, holds: Any) -> None:
    good: Frame = captures("{}", 1)[0]
    bad: Frame = captures(f"{{1: {fault}}}", 1)[0]
    assert holds(bad, good)


def test_an_identical_frame_is_the_last_one_again() -> None:
    first, second = captures("{2: identical}", 2)
    assert (first.main == second.main).all()


def test_what_cannot_be_simulated_is_named() -> None:
    with pytest.raises(ConfigError, match="gremlin"):
        config_of("{1: gremlin}")
    camera = make_camera(config_of(strain="Unicorn"), SteppedClock(BEGIN), BEGIN)
    with pytest.raises(OperatorError, match="Unicorn"):
        camera.open()
