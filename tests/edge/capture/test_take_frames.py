"""The recovery ladder: flush, reopen, restart, reboot; every rung counted."""

from collections.abc import Callable

import numpy as np
import pytest

from edge.camera.protocol import Shot
from edge.capture.freshness import Freshness
from edge.capture.take_frames import FAILED_SLOTS, RESTARTS, FrameTaker, RecoveryState, exit_code_after, worst_slot_s
from edge.config.load import parse_config
from edge.contract.base import Scalar
from edge.contract.reading import CameraState, Light
from edge.errors import CameraBusy, CameraTimeout, EndOfReplay, FrameRefused
from edge.vision.frame import Frame

Act = Callable[[], Frame]


class ScriptedCamera:
    """A camera whose captures are a list of acts; it notes what is done to it."""

    def __init__(self, *acts: type[Exception] | str, opens: tuple[type[Exception] | None, ...] = ()) -> None:
        self.acts, self.opens, self.log = list(acts), list(opens), [""]
        self.number = 0

    def open(self) -> None:
        self.log.append("open")
        error = self.opens.pop(0) if self.opens else None
        if error is not None:
            raise error("scripted")

    def capture(self, shot: Shot) -> Frame:
        act = self.acts.pop(0) if self.acts else "fresh"
        self.log.append("capture")
        if isinstance(act, type):
            raise act("scripted")
        if act != "identical":
            self.number += 1
        exposed_at_s = shot.triggered_at_s - 5 if act == "stale" else shot.triggered_at_s
        return frame(self.number, shot.triggered_at_s, exposed_at_s)

    def flush(self) -> None:
        self.log.append("flush")

    def close(self) -> None:
        self.log.append("close")

    def describe(self) -> dict[str, Scalar]:
        return {}


def frame(number: int, triggered_at_s: float = 0.0, exposed_at_s: float = 0.0, source: str | None = None) -> Frame:
    state = CameraState(backend="scripted", model="m", width=8, height=8, source=source)
    main = np.full((8, 8, 3), number % 256, np.uint8)
    return Frame(main, triggered_at_s, exposed_at_s, state, None)


def climb(camera: ScriptedCamera, count: int = 1) -> RecoveryState:
    recovery = RecoveryState()
    FrameTaker(camera, recovery, Freshness()).take_frames(lambda: Shot(10.0, Light.LIGHT), count)
    return recovery


def test_a_camera_that_works_is_left_alone() -> None:
    camera = ScriptedCamera()
    recovery = climb(camera, count=3)
    assert camera.log[1:] == ["open", "capture", "capture", "capture"]
    assert not any(recovery.counters.values())


@pytest.mark.parametrize("fault", [CameraTimeout, CameraBusy, "stale"])
def test_the_first_failure_flushes_and_the_second_reopens(fault: type[Exception] | str) -> None:
    camera = ScriptedCamera(fault, fault)
    recovery = climb(camera)
    assert camera.log[1:] == ["open", "capture", "flush", "capture", "close", "open", "capture"]
    assert (recovery.counters["flushes"], recovery.counters["reopens"], recovery.counters["failed_slots"]) == (1, 1, 0)


def test_the_third_failure_is_the_slots() -> None:
    camera = ScriptedCamera(CameraTimeout, CameraTimeout, CameraTimeout)
    recovery = RecoveryState()
    with pytest.raises(CameraTimeout):
        FrameTaker(camera, recovery, Freshness()).take_frames(lambda: Shot(0.0, Light.LIGHT), 1)
    assert (recovery.counters["failed_slots"], recovery.failed_in_a_row) == (1, 1)


def test_a_camera_that_does_not_open_is_tried_again() -> None:
    camera = ScriptedCamera(opens=(CameraBusy, CameraBusy, None))
    climb(camera)
    assert camera.log[1:] == ["open", "open", "open", "capture"]


def test_a_burst_is_taken_whole_or_anew() -> None:
    camera = ScriptedCamera("fresh", CameraTimeout)
    climb(camera, count=2)
    assert camera.log.count("capture") == 4


def test_the_end_of_a_replay_is_no_fault() -> None:
    recovery = RecoveryState()
    with pytest.raises(EndOfReplay):
        FrameTaker(ScriptedCamera(EndOfReplay), recovery, Freshness()).take_frames(lambda: Shot(0.0, Light.LIGHT), 1)
    assert recovery.failed_in_a_row == 0


def test_failed_slots_end_the_process_and_failed_processes_ask_for_a_reboot() -> None:
    recovery = RecoveryState()
    codes = []
    for _ in range(RESTARTS + 1):
        for _ in range(FAILED_SLOTS - 1):
            recovery.failed_in_a_row += 1
            assert exit_code_after(recovery) is None
        recovery.failed_in_a_row += 1
        codes.append(exit_code_after(recovery))
        recovery.failed_in_a_row = 0  # the next process begins
    assert codes == [4] * RESTARTS + [75]
    assert (recovery.counters["restarts"], recovery.counters["reboots"]) == (RESTARTS, 1)
    assert recovery.restarts_in_a_row == 0


def test_one_fresh_frame_climbs_down_all_the_way() -> None:
    recovery = RecoveryState(failed_in_a_row=1, restarts_in_a_row=2)
    FrameTaker(ScriptedCamera(), recovery, Freshness()).take_frames(lambda: Shot(0.0, Light.LIGHT), 1)
    assert (recovery.failed_in_a_row, recovery.restarts_in_a_row) == (0, 0)


def test_a_frame_older_than_its_trigger_is_refused() -> None:
    with pytest.raises(FrameRefused, match=r"0\.500 s before its trigger"):
        Freshness().checked(frame(1, triggered_at_s=2.0, exposed_at_s=1.5))


def test_an_identical_frame_is_refused_unless_it_is_another_stored_picture() -> None:
    live = Freshness()
    live.checked(frame(1))
    with pytest.raises(FrameRefused, match="identical"):
        live.checked(frame(1))
    live.checked(frame(2))
    stored = Freshness()
    stored.checked(frame(1, source="a.png"))
    stored.checked(frame(1, source="b.png"))


def test_the_worst_slot_follows_from_the_settings() -> None:
    text = "device_id: a\nstate_dir: /tmp/x\ncage: {id: a}\ncamera: {backend: picamera, picamera: {%s}}\n"
    short = parse_config(text % "capture_timeout_s: 1, settle_timeout_s: 1")
    long = parse_config(text % "capture_timeout_s: 30, settle_timeout_s: 1")
    assert worst_slot_s(long) - worst_slot_s(short) == pytest.approx(3 * 29)
