"""Requests to a device, and its answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from edge.contract.base import Detail, Epoch, Name, Sequence, Struct, Text

RESULT_SCHEMA: Final = "cageclock/result/1"
StationName = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$", max_length=32)]
RequestId = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,64}$", max_length=64)]


class CaptureRequest(Struct, frozen=True, kw_only=True):
    """Take one reading now."""

    id: RequestId


class ReplayRequest(Struct, frozen=True, kw_only=True):
    """Send held records again, marked as replayed, whatever epochs they are of.

    One of: `all`; `since`, `until` or both, by the records' own times; or `epoch` with `first_seq` and `last_seq`.
    station: what this station has not stored is sent until it has; without one, all is sent once.
    """

    id: RequestId
    all: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    since: datetime | msgspec.UnsetType = msgspec.UNSET
    until: datetime | msgspec.UnsetType = msgspec.UNSET
    epoch: Epoch | msgspec.UnsetType = msgspec.UNSET
    first_seq: Sequence | msgspec.UnsetType = msgspec.UNSET
    last_seq: Sequence | msgspec.UnsetType = msgspec.UNSET
    station: StationName | None = None

    def __post_init__(self) -> None:
        """Refuse what could be read two ways, and times that are none."""
        numbers = [one is not msgspec.UNSET for one in (self.epoch, self.first_seq, self.last_seq)]
        times = [time for time in (self.since, self.until) if isinstance(time, datetime)]
        forms = (self.all is not msgspec.UNSET, bool(times), any(numbers))
        if sum(forms) != 1 or (forms[2] and not all(numbers)):
            raise ValueError('expected "all": true, or since and until, or epoch, first_seq and last_seq')
        if any(time.tzinfo is None for time in times):
            raise ValueError("expected since and until with their offset from UTC, such as 2026-03-01T00:00:00Z")
        if times != sorted(times):
            raise ValueError(f"expected since before until, got {self.since} and {self.until}")


class Result(Struct, frozen=True, kw_only=True):
    """What became of a request; `status` is `accepted` when it was queued and `done` when its effect is durable."""

    schema: Literal["cageclock/result/1"] = RESULT_SCHEMA
    id: Name
    command: Name
    status: Literal["accepted", "done", "refused"]
    text: Text
    detail: Detail = msgspec.field(default_factory=dict)
