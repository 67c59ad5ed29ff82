"""What the settings must fulfil together, beyond each key's own type and range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePosixPath

from edge.config.faultscript import parse_script
from edge.config.tree import Bundle, Camera, Config, LightCycle, Mqtt, PicameraSettings, Schedule, ZeitgeberWindow
from edge.config.zone import zone_of
from edge.contract.address import wrong_host, wrong_topic_prefix
from edge.contract.topics import check_device, check_name
from edge.errors import ConfigError, MessageError

_LEAST_VIEW_MM, _MOST_VIEW_MM = 40.0, 4000.0
"""A mouse's body is 70-100 mm long, and no cage of mice is four metres wide."""


def check_together(config: Config) -> None:
    """Raise ConfigError for the first contradiction."""
    for error in contradictions(config):
        raise error


def contradictions(config: Config) -> list[ConfigError]:
    """Return every contradiction, each where it was noticed first."""
    checks: list[Callable[[], None]] = [
        lambda: _check_names(config),
        lambda: _check_station_name(config),
        lambda: _check_cage(config),
        lambda: _check_zone(config),
        lambda: _check_intervals(config.schedule, config.light_cycle),
        *(partial(_check_window, index, window) for index, window in enumerate(config.schedule.windows)),
        lambda: _check_overlap(config.schedule.windows),
        lambda: _check_camera(config.camera),
        lambda: _check_scale(config.camera),
        *(partial(_check_exposure, config.camera.picamera, light) for light in ("light", "dark")),
        lambda: _check_thumbnail(config),
        lambda: _check_login(config.mqtt),
        lambda: _check_certificate(config.mqtt),
        lambda: _check_address(config.mqtt),
        lambda: _check_prefix(config.mqtt),
        lambda: _check_channel(config.bundle),
    ]
    if not PurePosixPath(config.state_dir).is_absolute():
        found = [ConfigError("state_dir", "an absolute path such as /var/lib/cageclock", repr(config.state_dir))]
    else:
        found = []
    for check in checks:
        try:
            check()
        except ConfigError as error:
            found.append(error)
    return found


def _check_cage(config: Config) -> None:
    if config.cage.subject is not None and config.cage.animals != 1:
        raise ConfigError("cage.subject", "no name unless cage.animals is 1", f"{config.cage.animals} animals")
    nest = config.cage.nest_box
    if nest is not None and not (nest[0] < nest[2] and nest[1] < nest[3]):
        raise ConfigError("cage.nest_box", "[x0, y0, x1, y1] with x0 below x1 and y0 below y1", str(list(nest)))


def _check_channel(bundle: Bundle) -> None:
    if bundle.trust is not None and bundle.channel is None:
        raise ConfigError("bundle.channel", "the channel of bundle.trust that this device keeps to", "none")


def _check_zone(config: Config) -> None:
    zone_of(config.light_cycle.zone)


def _check_thumbnail(config: Config) -> None:
    if config.thumbnail.width > config.camera.width:
        expected = f"at most camera.width, {config.camera.width}"
        raise ConfigError("thumbnail.width", expected, str(config.thumbnail.width))


def _check_station_name(config: Config) -> None:
    station = config.mqtt.station
    if station is not None:
        try:
            check_name(station)
        except MessageError as error:
            raise ConfigError(
                "mqtt.station", "a station's name, not that of a role (operator, ...)", repr(station)
            ) from error


def _check_names(config: Config) -> None:
    """The broker knows a device by its certificate's name, and gives rights by it."""
    station = config.mqtt.station
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


def _check_overlap(windows: Sequence[ZeitgeberWindow]) -> None:
    """Two windows that share an hour would each count the other's usable readings as its own."""
    pieces = []
    for index, window in enumerate(windows):
        spans = [(window.from_h, window.until_h)]
        if window.from_h > window.until_h:  # over lights-on
            spans = [(window.from_h, 24.0), (0.0, window.until_h)]
        pieces += [(begin, end, index) for begin, end in spans if begin < end]
    for begin, end, index in pieces:
        for other_begin, other_end, other in pieces:
            if other < index and begin < other_end and other_begin < end:
                where = windows[other]
                raise ConfigError(
                    f"schedule.windows[{index}].from_h",
                    f"a window that does not overlap windows[{other}] ({where.from_h:g}-{where.until_h:g} h)",
                    f"{windows[index].from_h:g}-{windows[index].until_h:g} h",
                )


def _check_scale(camera: Camera) -> None:
    if camera.px_per_mm is None:
        return
    view_mm = camera.width / camera.px_per_mm
    if not _LEAST_VIEW_MM <= view_mm <= _MOST_VIEW_MM:
        least, most = camera.width / _MOST_VIEW_MM, camera.width / _LEAST_VIEW_MM
        raise ConfigError(
            "camera.px_per_mm",
            f"{least:.3g} to {most:.3g} pixels per millimetre, with a picture {camera.width} pixels wide",
            f"{camera.px_per_mm:g}, by which the view is {view_mm:.3g} mm wide (millimetres per pixel instead?)",
        )


def _check_exposure(picamera: PicameraSettings, light: str) -> None:
    """A frame that is exposed longer than capture waits never comes: every slot would be a camera fault."""
    exposure_us = getattr(picamera, light).exposure_us
    if exposure_us is None:
        return
    for name in ("capture_timeout_s", "settle_timeout_s"):
        limit_s = getattr(picamera, name)
        if exposure_us / 1e6 >= limit_s:
            raise ConfigError(
                f"camera.picamera.{light}.exposure_us",
                f"less than camera.picamera.{name}, {limit_s:g} s",
                f"{exposure_us} ({exposure_us / 1e6:g} s)",
            )


def _check_address(mqtt: Mqtt) -> None:
    expected = wrong_host(mqtt.host)
    if expected is not None:
        raise ConfigError("mqtt.host", expected, repr(mqtt.host))


def _check_prefix(mqtt: Mqtt) -> None:
    expected = wrong_topic_prefix(mqtt.home_assistant_prefix)
    if expected is not None:
        raise ConfigError("mqtt.home_assistant_prefix", expected, repr(mqtt.home_assistant_prefix))


def _check_login(mqtt: Mqtt) -> None:
    if mqtt.password_file is not None and mqtt.username is None:
        raise ConfigError("mqtt.username", "a name beside mqtt.password_file", "nothing")


def _check_certificate(mqtt: Mqtt) -> None:
    if mqtt.tls is not None and (mqtt.tls.certificate is None) != (mqtt.tls.key is None):
        missing = "certificate" if mqtt.tls.certificate is None else "key"
        raise ConfigError(f"mqtt.tls.{missing}", "certificate and key together", "nothing")
