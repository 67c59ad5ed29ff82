"""The retained health record: how device, capture and delivery are, with codes for machines and advice for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from edge.config.tree import Config
from edge.contract.status import Health
from edge.publish.status.capture_status import Captured
from edge.publish.status.machine import Machine

HOT_C = 80.0
LOW_MEMORY_BYTES = 50_000_000
LATE_FACTOR = 3.0
_ADVICE = {
    "hot": "the processor is above 80 C and slows down: more air, less sun",
    "undervoltage": "the supply is too weak: use the official power supply and a short cable",
    "disk_low": "little space is left: free some, or lower outbox.max_mb",
    "memory_low": "little memory is left: what else runs on this machine?",
    "camera_late": "no fresh frame for three intervals: is cageclock-capture running, is the camera's cable in place?",
    "capture_problem": "capture reports a problem: {problem}",
    "quarantined": "records stay on the device because the broker refuses them: see the event record_quarantined",
    "backlog": "readings wait for the station: is it running, does it reach this broker? May this device read "
    "committed/+ by the access list? (mosquitto's file grants a subscription that it never delivers to)",
    "subscription_denied": "{denied}",
}


@dataclass(frozen=True, slots=True)
class Backlog:
    """What delivery is about.

    ends: see `edge.publish.reconnect.Ends.counts`.
    denied: a sentence on subscriptions that the broker refuses, "" where there are none.
    """

    records: int
    unreleased: int
    bytes: int
    in_flight: int
    quarantined: int
    last_record_at: datetime | None
    reconnects: int
    ends: dict[str, int] = field(default_factory=dict)
    denied: str = ""


def make_health(config: Config, machine: Machine, captured: Captured, backlog: Backlog, now: datetime) -> Health:
    """Return the record of this moment."""
    age_s = None
    if captured.last_fresh_frame_at is not None:
        age_s = max(0.0, (now - captured.last_fresh_frame_at).total_seconds())
    problems = _problems(config, machine, captured, backlog, age_s)
    return Health(
        device_id=config.device_id,
        measured_at=now.astimezone(UTC),
        uptime_s=machine.uptime_s,
        problems=problems,
        advice=tuple(_ADVICE[code].format(problem=captured.problem, denied=backlog.denied) for code in problems),
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
        last_fresh_frame_at=captured.last_fresh_frame_at,
        last_fresh_frame_age_s=age_s,
        recovery=captured.recovery,
        reconnects=backlog.reconnects,
        connection_ends=backlog.ends,
    )


def _problems(
    config: Config, machine: Machine, captured: Captured, backlog: Backlog, age_s: float | None
) -> tuple[str, ...]:
    interval_s = max(config.schedule.interval_light_s, config.schedule.interval_dark_s)
    memory = machine.memory_available_bytes
    states = {
        "hot": (machine.cpu_temperature_c or 0.0) >= HOT_C,
        "undervoltage": "undervoltage" in machine.throttled,
        "disk_low": machine.disk_free_bytes < config.outbox.min_free_mb * 1_000_000,
        "memory_low": memory is not None and memory < LOW_MEMORY_BYTES,
        "camera_late": age_s is not None and age_s > LATE_FACTOR * interval_s,
        "capture_problem": captured.problem != "",
        "quarantined": backlog.quarantined > 0,
        "subscription_denied": backlog.denied != "",
        "backlog": backlog.unreleased > config.mqtt.in_flight,
    }
    return tuple(code for code, bad in states.items() if bad)
