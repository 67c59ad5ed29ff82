"""Does the camera deliver a fresh frame with the locked controls?"""

from __future__ import annotations

from pathlib import Path

from edge.camera.choose import make_camera
from edge.camera.protocol import Shot
from edge.capture.freshness import Freshness
from edge.capture.status import read_status
from edge.config.tree import Config
from edge.contract.reading import Light
from edge.doctor.finding import Finding
from edge.errors import CageclockError, CameraBusy, EndOfReplay
from edge.timing.clock import Clock
from edge.timing.zeitgeber import light_at

NAME = "camera"


def check_camera(config: Config, clock: Clock) -> Finding:
    """Return whether one fresh frame came."""
    camera = make_camera(config, clock, clock.now())
    light = light_at(clock.now(), config.light_cycle) if clock.synced() else Light.UNKNOWN
    try:
        camera.open()
        frame = Freshness().checked(camera.capture(Shot(clock.monotonic_s(), light)))
    except CameraBusy as error:
        return _busy(config, error)
    except EndOfReplay:
        return Finding(NAME, False, "the replay has no picture", "put pictures into camera.replay.path")
    except CageclockError as error:
        return Finding(NAME, False, str(error), "correct the camera section of the settings, or the cable")
    finally:
        camera.close()
    state = frame.state
    what = f"{state.model}, {state.width}x{state.height}"
    if state.not_applied:
        return Finding(
            NAME, False, f"{what}, cannot lock {', '.join(state.not_applied)}", "remove these keys from camera.picamera"
        )
    if not state.settled:
        advice = "choose exposure and gain that the sensor has, or raise camera.picamera.settle_timeout_s"
        return Finding(NAME, False, f"{what}, exposure and gain did not become what was asked for", advice)
    scale = "no scale: no age will be given" if config.camera.px_per_mm is None else f"{config.camera.px_per_mm} px/mm"
    return Finding(NAME, True, f"{what}, a fresh frame, {scale}")


def _busy(config: Config, error: CameraBusy) -> Finding:
    """A camera that capture itself holds is well, as long as capture gets frames."""
    status = read_status(Path(config.state_dir))
    if status is not None and status.ended == "" and status.failed_in_a_row == 0 and _is_running(status.pid):
        seen = status.last_fresh_frame_at
        if seen is not None:
            return Finding(NAME, True, f"held by capture, last fresh frame {seen.isoformat(timespec='seconds')}")
    return Finding(NAME, False, str(error), "end the other program that has it (sudo fuser /dev/video*)")


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
