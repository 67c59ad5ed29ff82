"""Records that are not readings but share their sequence: events, losses, clock corrections."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from edge.contract.base import Detail, Epoch, Name, NotNegative, Seconds, Sequence, Struct, Text

EVENT_SCHEMA: Final = "cageclock/event/1"
LOST_SCHEMA: Final = "cageclock/lost/1"
LOST_RANGES_SCHEMA: Final = "cageclock/lost/2"
MAX_RANGES: Final = 256
"""In one `lost` record: with all three numbers at their longest it stays below 32 kB."""
CLOCK_SCHEMA: Final = "cageclock/clock/1"

EventCode = Literal[
    "start",
    "stop",
    "gap",
    "epoch_begun",
    "restored_card",
    "database_set_aside",
    "database_damaged",
    "camera_recovered",
    "camera_lost",
    "camera_moved",
    "camera_changed",
    "model_changed",
    "model_refused",
    "bundle_installed",
    "bundle_refused",
    "bundle_rolled_back",
    "config_changed",
    "disk_full",
    "disk_recovered",
    "record_quarantined",
    "duplicate_client",
    "clock_stepped",
    "watchdog",
    "memory_ceiling",
]


class Event(Struct, frozen=True, kw_only=True):
    """Something that a reader of the ageing curve must know: what, when, and the particulars as plain values."""

    schema: Literal["cageclock/event/1"] = EVENT_SCHEMA
    device_id: Name
    recorded_at: datetime
    boot_id: Name
    monotonic_s: Seconds
    clock_synced: bool
    code: EventCode
    text: Text
    detail: Detail = msgspec.field(default_factory=dict)


class Lost(Struct, frozen=True, kw_only=True):
    """Sequence numbers first_seq..last_seq of an epoch that are gone from the device: records, or thumbnails only."""

    schema: Literal["cageclock/lost/1"] = LOST_SCHEMA
    device_id: Name
    recorded_at: datetime
    boot_id: Name
    monotonic_s: Seconds
    clock_synced: bool
    what: Literal["record", "thumbnail"]
    of_epoch: Epoch
    first_seq: Sequence
    last_seq: Sequence
    reason: Text

    def __post_init__(self) -> None:
        """Refuse a range that ends before it begins: nothing is given up on a guess of what it means."""
        if self.last_seq < self.first_seq:
            raise ValueError(f"expected first_seq <= last_seq, got {self.first_seq}..{self.last_seq}")


LostRange = tuple[Epoch, Sequence, Sequence]
"""An epoch and the first and last of its numbers that are gone."""


class LostRanges(Struct, frozen=True, kw_only=True):
    """Sequence numbers of one or many epochs that are gone from the device: records, or thumbnails only."""

    schema: Literal["cageclock/lost/2"] = LOST_RANGES_SCHEMA
    device_id: Name
    recorded_at: datetime
    boot_id: Name
    monotonic_s: Seconds
    clock_synced: bool
    what: Literal["record", "thumbnail"]
    ranges: Annotated[tuple[LostRange, ...], msgspec.Meta(min_length=1, max_length=MAX_RANGES)]
    reason: Text

    def __post_init__(self) -> None:
        """Refuse a range that ends before it begins: nothing is given up on a guess of what it means."""
        for epoch, first, last in self.ranges:
            if last < first:
                raise ValueError(f"expected ranges as epoch, first..last, got {epoch[:8]}, {first}..{last}")


def ranges_of(lost: Lost | LostRanges) -> tuple[LostRange, ...]:
    """Return what a loss names, whichever of the two forms it has."""
    return lost.ranges if isinstance(lost, LostRanges) else ((lost.of_epoch, lost.first_seq, lost.last_seq),)


class ClockCorrection(Struct, frozen=True, kw_only=True):
    """What to add to wall times labelled during `of_boot_id` by an unsynchronised clock, once it is known.

    The true UTC time of a record of that boot with `clock_synced` false is its label plus `offset_s`; equivalently its
    `monotonic_s` plus `epoch_offset_s` in Unix seconds, which holds even where the clock was stepped in between.
    """

    schema: Literal["cageclock/clock/1"] = CLOCK_SCHEMA
    device_id: Name
    recorded_at: datetime
    boot_id: Name
    monotonic_s: Seconds
    clock_synced: bool
    of_boot_id: Name
    offset_s: Seconds
    epoch_offset_s: Seconds
    uncertainty_s: NotNegative
