"""What a device says of itself, retained: info, health, summaries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from edge.contract.base import Count, Epoch, Fraction, Scalar, Sequence, Struct
from edge.contract.delivery import MAX_ASKED
from edge.contract.reading import Model

INFO_SCHEMA: Final = "cageclock/info/1"
HEALTH_SCHEMA: Final = "cageclock/health/1"
SUMMARY_SCHEMA: Final = "cageclock/summary/1"


class OpenEpoch(Struct, frozen=True, kw_only=True):
    """One sequence that the device still holds records of."""

    epoch: Epoch
    publisher: Literal["capture", "publish"]
    first_held: Count
    last: Count


class Question(Struct, frozen=True, kw_only=True):
    """Numbers of an epoch of which the device asks the station's digests, to find where two histories part."""

    epoch: Epoch
    seqs: Annotated[tuple[Sequence, ...], msgspec.Meta(max_length=MAX_ASKED)]


class Info(Struct, frozen=True, kw_only=True):
    """What the device is and runs.

    compares: there, also when it is empty, where the device compares its records with the digests in `committed`.
    """

    schema: Literal["cageclock/info/1"] = INFO_SCHEMA
    device_id: str
    cage_id: str
    version: str
    python: str
    machine: str
    serial: str
    boot_id: str
    started_at: datetime
    config_sha256: str
    camera: dict[str, Scalar]
    model: Model | None
    epochs: tuple[OpenEpoch, ...]
    compares: tuple[Question, ...] | msgspec.UnsetType = msgspec.UNSET


class Health(Struct, frozen=True, kw_only=True):
    """How the device is. `problems` are stable codes, each with a sentence in `advice`; empty means well.

    recovery: counters of the camera's recovery ladder since the state directory was made.
    connection_ends: how connections to the broker failed or ended since publish began, with counts: `unreachable`,
    `refused`, `unanswered`, `silent`, `unreadable`, `broken`; devices before this field send none.
    """

    schema: Literal["cageclock/health/1"] = HEALTH_SCHEMA
    device_id: str
    measured_at: datetime
    uptime_s: float
    problems: tuple[str, ...]
    advice: tuple[str, ...]
    cpu_temperature_c: float | None
    throttled: tuple[str, ...]
    disk_free_bytes: Count
    disk_used_fraction: Fraction
    memory_available_bytes: Count | None
    publish_rss_bytes: Count | None
    outbox_records: Count
    outbox_unreleased: Count
    outbox_bytes: Count
    in_flight: Count
    quarantined: Count
    last_record_at: datetime | None
    last_fresh_frame_at: datetime | None
    last_fresh_frame_age_s: float | None
    recovery: dict[str, int]
    reconnects: Count
    connection_ends: dict[str, int] = msgspec.field(default_factory=dict)


class Window(Struct, frozen=True, kw_only=True):
    """A day's or week's estimate from accepted readings. Raw means: no correction for regression to the mean.

    readings: accepted ones; `captures`: all due slots, so that coverage can be seen, by light phase.
    """

    kind: Literal["day", "week"]
    begins_at: datetime
    ends_at: datetime
    age_days: float | None
    interval_low_days: float | None
    interval_high_days: float | None
    coverage: Fraction | None
    readings: Count
    captures: Count
    readings_by_light: dict[str, int]
    captures_by_light: dict[str, int]


class Summary(Struct, frozen=True, kw_only=True):
    """The newest day and week of one subject, or of a cage where no animal is named."""

    schema: Literal["cageclock/summary/1"] = SUMMARY_SCHEMA
    device_id: str
    cage_id: str
    subject: str | None
    identity_method: str
    model_sha256: str | None
    windows: tuple[Window, ...]
