"""What the settings must fulfil together, beyond each key's own type and range."""

from __future__ import annotations

from pathlib import PurePosixPath

from edge.config.faultscript import parse_script
from edge.config.tree import Camera, Config, LightCycle, Mqtt, Schedule, ZeitgeberWindow
from edge.config.zone import zone_of
from edge.contract.topics import check_device, check_name
from edge.errors import ConfigError, MessageError


def check_together(config: Config) -> None:
    """Raise ConfigError for the first contradiction."""
    _check_names(config)
    if not PurePosixPath(config.state_dir).is_absolute():
        raise ConfigError("state_dir", "an absolute path such as /var/lib/cageclock", repr(config.state_dir))
    if config.cage.subject is not None and config.cage.animals != 1:
        raise ConfigError("cage.subject", "no name unless cage.animals is 1", f"{config.cage.animals} animals")
    nest = config.cage.nest_box
    if nest is not None and not (nest[0] < nest[2] and nest[1] < nest[3]):
        raise ConfigError("cage.nest_box", "[x0, y0, x1, y1] with x0 below x1 and y0 below y1", str(list(nest)))
    zone_of(config.light_cycle.zone)
    _check_intervals(config.schedule, config.light_cycle)
    for index, window in enumerate(config.schedule.windows):
        _check_window(index, window)
    _check_camera(config.camera)
    if config.thumbnail.width > config.camera.width:
        expected = f"at most camera.width, {config.camera.width}"
        raise ConfigError("thumbnail.width", expected, str(config.thumbnail.width))
    _check_mqtt(config.mqtt)


def _check_names(config: Config) -> None:
    """The broker knows a device by its certificate's name, and gives rights by it."""
    station = config.mqtt.station
    if station is not None:
        try:
            check_name(station)
        except MessageError as error:
            raise ConfigError(
                "mqtt.station", "a station's name, not that of a role (operator, ...)", repr(station)
            ) from error
    try:
        check_device(config.device_id, station)
    except MessageError as error:
        expected = (
            "a name of its own: not station, operator, dashboard, nor mqtt.station's or its loggers' (lab1, lab1-a)"
        )
        raise ConfigError("device_id", expected, repr(config.device_id)) from error


def _check_intervals(schedule: Schedule, cycle: LightCycle) -> None:
    """A phase shorter than its interval may have its slots in the other phase, and then it is never photographed."""
    if schedule.interval_light_s == schedule.interval_dark_s:
        return  # one grid for the whole day: no slot is ever dropped
    phases = {"light": cycle.light_hours, "dark": 24 - cycle.light_hours}
    for phase, hours in phases.items():
        interval_s = getattr(schedule, f"interval_{phase}_s")
        if interval_s > hours * 3600:
            expected = f"at most {hours * 3600:g}, the {phase} phase's {hours:g} hours (or both intervals equal)"
            raise ConfigError(f"schedule.interval_{phase}_s", expected, f"{interval_s:g}")


def _check_window(index: int, window: ZeitgeberWindow) -> None:
    where = f"schedule.windows[{index}]"
    if window.from_h == window.until_h:
        raise ConfigError(f"{where}.until_h", "another hour than from_h", str(window.until_h))
    if window.interval_s < 1:
        raise ConfigError(f"{where}.interval_s", "a number at least 1", str(window.interval_s))
    width_h = (window.until_h - window.from_h) % 24
    if window.interval_s > width_h * 3600:  # its slots might never fall into it, and hide one of the phase's
        expected = f"at most {width_h * 3600:g}, the window's {width_h:g} hours"
        raise ConfigError(f"{where}.interval_s", expected, f"{window.interval_s:g}")


def _check_camera(camera: Camera) -> None:
    if camera.small_width > camera.width:
        raise ConfigError("camera.small_width", f"at most camera.width, {camera.width}", str(camera.small_width))
    if camera.backend == "replay" and camera.replay is None:
        raise ConfigError("camera.replay", "a section with the path of the pictures (backend is replay)", "nothing")
    parse_script(camera.simulated.faults)


def _check_mqtt(mqtt: Mqtt) -> None:
    if mqtt.password_file is not None and mqtt.username is None:
        raise ConfigError("mqtt.username", "a name beside mqtt.password_file", "nothing")
    if mqtt.tls is not None and (mqtt.tls.certificate is None) != (mqtt.tls.key is None):
        missing = "certificate" if mqtt.tls.certificate is None else "key"
        raise ConfigError(f"mqtt.tls.{missing}", "certificate and key together", "nothing")
