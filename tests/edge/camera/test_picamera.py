"""The Pi's camera against a stand-in that refuses what the real API does not have."""

import os
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.camera.picamera import PiCamera
from edge.camera.protocol import Shot
from edge.camera.tuning import VARIABLE, find_tuning_file
from edge.capture.freshness import Freshness
from edge.capture.take_frames import FrameTaker, RecoveryState
from edge.config.tree import Camera, Controls, PicameraSettings
from edge.contract.reading import Light
from edge.errors import CameraBusy, CameraError, CameraMissing, CameraTimeout, FrameRefused, OperatorError
from edge.timing.clock import SystemClock
from tests.edge.camera import strict_picamera2 as strict

CLOCK = SystemClock()
LOCKED = Controls(exposure_us=8000, analogue_gain=2.0, colour_gains=(1.8, 1.4), lens_position=3.0)
DARK = Controls(exposure_us=30_000, analogue_gain=6.0)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = strict.Script()
    strict.install(made, monkeypatch.setitem)
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    monkeypatch.delitem(sys.modules, "libcamera", raising=False)
    return made


def settings(**changes: Any) -> Camera:
    pi = {"light": LOCKED, "dark": DARK, "settle_timeout_s": 1.0, "capture_timeout_s": 0.3} | changes
    return Camera(
        backend="picamera", width=128, height=96, small_width=64, px_per_mm=5.0, picamera=PicameraSettings(**pi)
    )


def opened(camera: Camera) -> PiCamera:
    made = PiCamera(camera, CLOCK)
    made.open()
    return made


def shot(light: Light = Light.LIGHT) -> Shot:
    return Shot(CLOCK.monotonic_s(), light)


def test_a_frame_is_fresh_and_says_what_it_really_had(script: Any) -> None:
    camera = opened(settings())
    aimed = shot()
    frame = camera.capture(aimed)
    assert frame.exposed_at_s >= aimed.triggered_at_s
    assert frame.main.shape == (96, 128, 3)
    assert frame.small().shape == (48, 64)
    assert (frame.state.exposure_us, frame.state.analogue_gain, frame.state.colour_gains) == (8000, 2.0, (1.8, 1.4))
    assert (frame.state.model, frame.state.settled, frame.state.not_applied) == ("imx708_noir", True, ())
    assert (frame.state.lux, frame.state.focus_measure, frame.px_per_mm) == (12.5, 400, 5.0)


def test_the_picture_outlives_its_buffer(script: Any) -> None:
    frame = opened(settings()).capture(shot())
    assert script.held == 0
    assert frame.main.min() >= 60
    assert script.given is not None
    assert np.shares_memory(frame.main, script.given), (
        "picamera2 has copied it; a second copy is 36 MB at 12 megapixels"
    )


def test_it_waits_until_the_metadata_shows_exposure_and_gain(script: Any) -> None:
    script.settle_frames = 7
    frame = opened(settings()).capture(shot())
    assert frame.state.settled
    assert frame.state.exposure_us == 8000
    assert script.requests >= 8


def test_the_dark_phase_has_its_own_controls_set_once(script: Any) -> None:
    camera = opened(settings())
    camera.capture(shot(Light.LIGHT))
    dark = camera.capture(shot(Light.DARK))
    camera.capture(shot(Light.DARK))
    camera.capture(shot(Light.UNKNOWN))
    assert (dark.state.exposure_us, dark.state.analogue_gain) == (30_000, 6.0)
    assert script.calls.count("set_controls") == 3


def test_controls_that_never_show_are_flagged_not_hidden(script: Any) -> None:
    script.never_settles = True
    frame = opened(settings(settle_timeout_s=0.05)).capture(shot())
    assert not frame.state.settled
    assert frame.state.exposure_us == 20_000


def test_a_control_that_the_camera_lacks_is_left_out_and_named(script: Any) -> None:
    for name in ("AfMode", "LensPosition", "ColourGains"):
        del script.controls[name]
    frame = opened(settings()).capture(shot())
    assert frame.state.not_applied == ("AfMode", "ColourGains", "LensPosition")
    assert frame.state.exposure_us == 8000


def test_a_camera_without_any_control_still_photographs(script: Any) -> None:
    script.controls.clear()
    frame = opened(settings()).capture(shot())
    assert "ExposureTime" in frame.state.not_applied


@pytest.mark.parametrize(("fault", "error"), [("timeout", CameraTimeout), ("cancelled", CameraTimeout)])
def test_a_frame_that_does_not_come_ends_the_wait(script: Any, fault: str, error: type[Exception]) -> None:
    camera = opened(settings())
    camera.capture(shot())
    script.faults = {script.requests + 1: fault}
    with pytest.raises(error, match="no frame within"):
        camera.capture(shot())
    assert script.held == 0


def test_queued_older_frames_are_passed_over(script: Any) -> None:
    camera = opened(settings())
    camera.capture(shot())
    script.faults = {script.requests + 1: "stale", script.requests + 2: "stale"}
    aimed = shot()
    assert camera.capture(aimed).exposed_at_s >= aimed.triggered_at_s


def test_only_older_frames_are_refused_within_the_limit(script: Any) -> None:
    camera = opened(settings(capture_timeout_s=0.05))
    camera.capture(shot())
    script.faults = dict.fromkeys(range(1, 100_000), "stale")
    with pytest.raises(FrameRefused, match="before its trigger"):
        camera.capture(shot())
    assert script.held == 0


def test_a_frame_without_a_timestamp_is_no_measurement(script: Any) -> None:
    camera = opened(settings())
    camera.capture(shot())
    script.faults = {script.requests + 1: "no_timestamp"}
    with pytest.raises(CameraError, match="SensorTimestamp"):
        camera.capture(shot())


def test_an_identical_frame_is_refused_and_the_next_taken(script: Any) -> None:
    camera = opened(settings())
    recovery, freshness = RecoveryState(), Freshness()
    ladder = FrameTaker(camera, recovery, freshness)
    ladder.take_frames(shot, 1)
    camera.capture(shot())  # controls are locked: one request a capture from here on
    freshness.checked(camera.capture(shot()))
    script.faults = {script.requests + 1: "identical"}
    ladder.take_frames(shot, 1)
    assert recovery.counters["flushes"] == 1


def test_a_busy_camera_is_named(script: Any) -> None:
    script.busy = True
    with pytest.raises(CameraBusy, match="another process"):
        opened(settings())


def test_a_missing_camera_says_where_to_look(script: Any) -> None:
    with pytest.raises(CameraMissing, match="dtoverlay"):
        opened(settings(number=1))
    script.models = []
    with pytest.raises(CameraMissing, match="0 found"):
        opened(settings())


def test_a_machine_without_picamera2_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraMissing, match="apt-get install"):
        opened(settings())


def test_a_size_that_the_camera_changes_is_refused(script: Any) -> None:
    script.size_given = (130, 96)
    with pytest.raises(CameraError, match=r"expected a size that the camera takes"):
        opened(settings())


def test_the_ladder_recovers_from_a_stuck_camera(script: Any) -> None:
    camera = PiCamera(settings(), CLOCK)
    recovery = RecoveryState()
    ladder = FrameTaker(camera, recovery, Freshness())
    ladder.take_frames(shot, 1)
    # The capture, the wait for the controls after the flush, and the capture behind it.
    script.faults = dict.fromkeys(range(script.requests + 1, script.requests + 4), "timeout")
    script.stop_fails = True
    ladder.take_frames(shot, 2)
    assert recovery.counters["flushes"] == 1
    assert recovery.counters["reopens"] == 1
    assert script.calls.count("flush") == 1
    assert script.opened == 2
    assert recovery.failed_in_a_row == 0


def test_the_tuning_file_is_named_before_the_cameras_are_counted(script: Any, tmp_path: Path) -> None:
    """The real constructor removes the variable unless it is given the file; libcamera reads it at enumeration."""
    tuning = tmp_path / "imx708_noir.json"
    tuning.write_text("{}")
    camera = opened(settings(tuning_file=str(tuning)))
    assert script.tuning_seen == [str(tuning)]
    assert os.environ[VARIABLE] == str(tuning)
    assert camera.capture(shot()).state.tuning_file == str(tuning)
    assert camera.describe()["tuning_file"] == str(tuning)
    camera.open()
    assert script.tuning_seen == [str(tuning)] * 2


def test_a_tuning_file_that_comes_too_late_is_refused(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = tmp_path / "imx708_noir.json"
    tuning.write_text("{}")
    monkeypatch.setitem(sys.modules, "libcamera", types.ModuleType("libcamera"))
    with pytest.raises(CameraError, match="start a new process"):
        opened(settings(tuning_file=str(tuning)))


@pytest.mark.parametrize(
    ("compatible", "folder"), [(b"raspberrypi,4-model-b\0brcm,bcm2711", "vc4"), (b"x\0brcm,bcm2712", "pisp")]
)
def test_each_pi_generation_has_its_own_tuning_folder(tmp_path: Path, compatible: bytes, folder: str) -> None:
    (tmp_path / "compatible").write_bytes(compatible)
    for name in ("vc4", "pisp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "imx219_noir.json").write_text("{}")
    found = find_tuning_file("imx219_noir.json", compatible=tmp_path / "compatible", roots=(tmp_path,))
    assert found.parent.name == folder
    with pytest.raises(OperatorError, match="check the name"):
        find_tuning_file("imx219_nior.json", compatible=tmp_path / "compatible", roots=(tmp_path,))


def test_the_stand_in_refuses_what_the_real_api_does_not_have(script: Any) -> None:
    """A stand-in that accepts anything keeps tests green while the device fails."""
    device = sys.modules["picamera2"].Picamera2()
    with pytest.raises(AttributeError):
        device.exposure = 3
    with pytest.raises(AttributeError):
        _ = device.capture_frame
    with pytest.raises(TypeError):
        device.capture_request(timeout=3)
    with pytest.raises(RuntimeError, match="not advertised"):
        device.set_controls({"Shutter": 3})
