"""The camera that the settings name."""

from __future__ import annotations

from datetime import datetime

from edge.camera.protocol import Camera
from edge.config.tree import Config
from edge.timing.clock import Clock


def make_camera(config: Config, clock: Clock, begins_at: datetime) -> Camera:
    """Return the camera, not yet opened. Only the chosen backend is imported.

    begins_at: when the simulated animals have `age_days_at_start`.
    """
    if config.camera.backend == "picamera":
        from edge.camera.picamera import PiCamera

        return PiCamera(config.camera, clock)
    if config.camera.backend == "replay":
        from edge.camera.replay import ReplayCamera

        return ReplayCamera(config.camera, clock)
    from edge.camera.faults import FaultyCamera
    from edge.camera.simulated import SimulatedCamera
    from edge.config.faultscript import parse_script

    simulated = SimulatedCamera(config, clock, begins_at)
    script = parse_script(config.camera.simulated.faults)
    return FaultyCamera(simulated, script) if script.ranges else simulated
