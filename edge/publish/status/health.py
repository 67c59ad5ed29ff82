"""The retained health record: how device, capture and delivery are, with codes for machines and advice for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from edge.config.tree import Config
from edge.contract.status import Health
from edge.publish.status.capture_findings import find_in_captures
from edge.publish.status.capture_status import CaptureState
from edge.publish.status.machine import Machine
from edge.publish.status.summary import Glance

HOT_C = 80.0
LOW_MEMORY_BYTES = 50_000_000
LATE_FACTOR = 3.0
GRACE_S = 120.0
"""After publish has begun, others of this device and of the lab have so long to begin as well."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What delivery is about.

    connection_ends: see `edge.publish.reconnect.Reconnects.counts`.
    denied: a sentence on subscriptions that the broker refuses, "" where there are none.
    quarantined: how many records and thumbnails it does not take; refused: why, "" where there are none.
    """

    records: int
    unreleased: int
    bytes: int
    in_flight: int
    quarantined: int
    last_record_at: datetime | None
    reconnects: int
    connection_ends: dict[str, int] = field(default_factory=dict)
    denied: str = ""
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What publish sees of the programs around it.

    watched_s: for how long publish has run. capture_running: whether a process writes the outbox.
    capture_begun: whether one ever did. station_heard: whether the station of the settings was ever heard of in that
    time; station_online: whether it is there now. clock_synced: whether the wall clock was set in this boot.
    storage: what cannot be read or written at present, "" for nothing.
    """

    watched_s: float
    capture_running: bool
    capture_begun: bool
    station_heard: bool
    station_online: bool
    clock_synced: bool
    storage: str = ""


def make_health(
    config: Config,
    machine: Machine,
    capture: CaptureState,
    backlog: Backlog,
    around: Surroundings,
    glances: Sequence[Glance],
    now: datetime,
) -> Health:
    """Return the record of this moment. glances: the newest readings, oldest first."""
    age_s = None
    if capture.last_fresh_frame_at is not None:
        age_s = max(0.0, (now - capture.last_fresh_frame_at).total_seconds())
    problems = (
        _machine_problems(config, machine)
        | _program_problems(config, capture, around, age_s)
        | find_in_captures(config, glances)
        | _delivery_problems(config, backlog)
    )
    return Health(
        device_id=config.device_id,
        measured_at=now.astimezone(UTC),
        uptime_s=machine.uptime_s,
        problems=tuple(problems),
        advice=tuple(problems.values()),
        cpu_temperature_c=machine.cpu_temperature_c,
        throttled=machine.throttled,
        disk_free_bytes=machine.disk_free_bytes,
        disk_used_fraction=machine.disk_used_fraction,
        memory_available_bytes=machine.memory_available_bytes,
        publish_rss_bytes=machine.rss_bytes,
        outbox_records=backlog.records,
        outbox_unreleased=backlog.unreleased,
        outbox_bytes=backlog.bytes,
        in_flight=backlog.in_flight,
        quarantined=backlog.quarantined,
        last_record_at=backlog.last_record_at,
        last_fresh_frame_at=capture.last_fresh_frame_at,
        last_fresh_frame_age_s=age_s,
        recovery=capture.recovery,
        reconnects=backlog.reconnects,
        connection_ends=backlog.connection_ends,
        longest_interval_s=_longest_interval_s(config),
    )


def _machine_problems(config: Config, machine: Machine) -> dict[str, str]:
    """Return codes with advice on heat, power, disk and memory."""
    temperature, memory = machine.cpu_temperature_c or 0.0, machine.memory_available_bytes
    free, found = machine.disk_free_bytes, {}
    if temperature >= HOT_C or {"throttled", "soft_temperature_limit"} & set(machine.throttled):
        found["hot"] = f"the processor is at {temperature:.0f} C and slows down: more air, less sun"
    if "undervoltage" in machine.throttled:
        found["undervoltage"] = "the supply is too weak: use the official power supply and a short cable"
    if free < config.outbox.min_free_mb * 1_000_000:
        found["disk_low"] = f"{free // 1_000_000} MB are free on the card: free some, or lower outbox.max_mb"
    if memory is not None and memory < LOW_MEMORY_BYTES:
        found["memory_low"] = "little memory is left: what else runs on this machine?"
    return found


def _program_problems(
    config: Config, capture: CaptureState, around: Surroundings, age_s: float | None
) -> dict[str, str]:
    """Return codes with advice on capture, clock, settings and station."""
    station, found = config.mqtt.station, {}
    settled = around.watched_s >= GRACE_S
    if not around.capture_begun and settled:
        found["capture_never_started"] = (
            "capture has never run here, no picture was ever taken: `systemctl enable --now cageclock-capture`"
        )
    elif around.capture_begun and not around.capture_running and settled:
        last = f" It ended with: {capture.ended}." if capture.ended else ""
        found["capture_not_running"] = (
            f"capture does not run, no picture is taken.{last} `systemctl status cageclock-capture` says why"
        )
    if age_s is not None and age_s > LATE_FACTOR * _longest_interval_s(config):
        found["camera_late"] = "no fresh frame for three intervals: is the camera's cable in place? `cageclock doctor`"
    if capture.problem:
        found["capture_problem"] = f"capture reports a problem: {capture.problem}"
    if config.camera.px_per_mm is None:
        found["no_scale"] = (
            "camera.px_per_mm is not set, so that no age is ever given: measure it (firmware_config/README.md says "
            "how) and set it"
        )
    if not around.clock_synced and settled:
        found["clock_never_set"] = (
            "the clock was not set since the machine started: times are guesses and the light phase is unknown until a "
            "time server answers; `timedatectl` says more"
        )
    if around.storage:
        found["storage"] = f"files on this device cannot be read or written: {around.storage}"
    if station is not None and not around.station_online and settled:
        if around.station_heard:
            found["station_offline"] = f"the station {station} is not running or not connected; readings are kept"
        else:
            found["station_never_seen"] = (
                f"a station named {station} was never seen at this broker: is mqtt.station its name, does it run, and "
                f"may this device read cageclock/v1/station/{station}/availability? Readings are kept"
            )
    return found


def _delivery_problems(config: Config, backlog: Backlog) -> dict[str, str]:
    """Return codes with advice on what the broker or the station do not take."""
    found = {}
    if backlog.quarantined > 0:
        found["quarantined"] = (
            f"the broker does not take some messages; they are kept and tried again ({backlog.refused}). Look at its "
            "limits and its log"
        )
    if backlog.denied:
        found["subscription_denied"] = backlog.denied
    if backlog.unreleased > config.mqtt.in_flight:
        found["backlog"] = (
            f"{backlog.unreleased} readings wait for the station: is it running, does it reach this broker? May "
            "this device read committed/+ by the access list? (mosquitto's file grants a subscription that it never "
            "delivers to)"
        )
    return found


def _longest_interval_s(config: Config) -> float:
    return max(config.schedule.interval_light_s, config.schedule.interval_dark_s)
