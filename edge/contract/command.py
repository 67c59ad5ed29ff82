"""Requests to a device, and its answers."""

from __future__ import annotations

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
    """Send the held records first_seq..last_seq of an epoch again, marked as replayed.

    station: what this station has not stored is sent until it has; without one, all is sent once.
    """

    id: RequestId
    epoch: Epoch
    first_seq: Sequence
    last_seq: Sequence
    station: StationName | None = None


class Result(Struct, frozen=True, kw_only=True):
    """What became of a request; `status` is `accepted` when it was queued and `done` when its effect is durable."""

    schema: Literal["cageclock/result/1"] = RESULT_SCHEMA
    id: Name
    command: Name
    status: Literal["accepted", "done", "refused"]
    text: Text
    detail: Detail = msgspec.field(default_factory=dict)
