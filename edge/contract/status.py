"""What a device says of itself, retained: info and health."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from edge.contract.base import (
    Count,
    Counters,
    Detail,
    Epoch,
    Fraction,
    Name,
    NotNegative,
    Number,
    Struct,
    Text,
)
from edge.contract.reading import Model, Words

INFO_SCHEMA: Final = "cageclock/info/1"
HEALTH_SCHEMA: Final = "cageclock/health/1"
MAX_EPOCHS_IN_INFO: Final = 64
Advice = Annotated[tuple[Text, ...], msgspec.Meta(max_length=64)]


class OpenEpoch(Struct, frozen=True, kw_only=True):
    """One sequence that the device still holds records of.

    starts: how many epochs this publisher has begun on this card, this one included; it orders them where no clock can.
    before, before_last: the epoch before this one and its last number. All three are absent where nobody knows.
    """

    epoch: Epoch
    publisher: Literal["capture", "publish"]
    first_held: Count
    last: Count
    starts: Count | msgspec.UnsetType = msgspec.UNSET
    before: Epoch | msgspec.UnsetType = msgspec.UNSET
    before_last: Count | msgspec.UnsetType = msgspec.UNSET


class Info(Struct, frozen=True, kw_only=True):
    """What the device is and runs.

    epochs: those that are written now, the oldest that the station has yet to confirm, and the others in turn, from
    one message to the next. oldest_held: of each publisher, the oldest with records; what came before is gone.
    """

    schema: Literal["cageclock/info/1"] = INFO_SCHEMA
    device_id: Name
    cage_id: Name
    version: Name
    python: Name
    machine: Name
    serial: Name
    boot_id: Name
    started_at: datetime
    config_sha256: Name
    camera: Detail
    model: Model | None
    epochs: Annotated[tuple[OpenEpoch, ...], msgspec.Meta(max_length=MAX_EPOCHS_IN_INFO)]
    oldest_held: Annotated[tuple[Epoch, ...], msgspec.Meta(max_length=2)] = ()


class Health(Struct, frozen=True, kw_only=True):
    """How the device is. `problems` are stable codes, each with a sentence in `advice`; empty means well.

    recovery: counters of the camera's recovery ladder since the state directory was made.
    connection_ends: how connections to the broker failed or ended since publish began, with counts: `unreachable`,
    `refused`, `unanswered`, `silent`, `unreadable`, `broken`; devices before this field send none.
    longest_interval_s: the longest time between two captures by the device's schedule: a device that is silent for
    some of them needs a person. Devices before this field send none.
    """

    schema: Literal["cageclock/health/1"] = HEALTH_SCHEMA
    device_id: Name
    measured_at: datetime
    uptime_s: Number
    problems: Words
    advice: Advice
    cpu_temperature_c: Number | None
    throttled: Words
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
    last_fresh_frame_age_s: Number | None
    recovery: Counters
    reconnects: Count
    connection_ends: Counters = msgspec.field(default_factory=dict)
    longest_interval_s: NotNegative | msgspec.UnsetType = msgspec.UNSET
