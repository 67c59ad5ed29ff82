"""`capture.json`: the state of capture, for publish and for its own next start.

Written in place, in one of two slots (`edge.outbox.two_slots`), and never synced: it is written with every slot of the
schedule, a lost version costs a counter at most, and every sync wears the card. What must not be lost is in the outbox.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from edge.config.state_folder import CAPTURE_STATUS, capture_folder
from edge.contract import jsontext
from edge.contract.base import Scalar, Struct
from edge.contract.reading import Model
from edge.errors import MessageError
from edge.outbox.two_slots import read_slots, write_slots


class UnsyncedLabels(Struct, frozen=True, kw_only=True):
    """See `edge.capture.clockwatch.Offset`."""

    boot_id: str
    lowest_s: float
    highest_s: float


class UsableReadings(Struct, frozen=True, kw_only=True):
    """How many usable readings one zeitgeber window has had in the day that began at `lights_on_at`."""

    window: int
    lights_on_at: datetime
    readings: int


class CaptureStatus(Struct, frozen=True, kw_only=True):
    """The newest state of the capture process.

    first_started_at: of the first process in this state directory; simulated animals age from there.
    ended: how the last process ended: "" while it runs or was killed.
    recovery: counters of the recovery ladder since the state directory was made.
    usable: the tally of the schedule's windows, so that a new process does not begin a filled window again.
    """

    device_id: str
    version: str
    boot_id: str
    pid: int
    first_started_at: datetime
    started_at: datetime
    updated_at: datetime
    monotonic_s: float
    last_due_s: float | None
    config_sha256: str
    camera: dict[str, Scalar]
    model: Model | None
    last_fresh_frame_at: datetime | None
    last_fresh_frame_monotonic_s: float | None
    recovery: dict[str, int]
    failed_in_a_row: int
    restarts_in_a_row: int
    unsynced: UnsyncedLabels | None
    clock_synced: bool
    ended: str
    problem: str
    usable: tuple[UsableReadings, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What the status file says of camera and model; None for what is not there, or has not been yet."""

    camera: dict[str, Scalar]
    model: Model | None
    fresh_frame_at: datetime | None
    fresh_frame_monotonic_s: float | None


def write_status(state_dir: Path, status: CaptureStatus) -> None:
    """Write the file; a full disk is no reason to stop (the outbox reports it)."""
    with suppress(OSError):
        write_slots(capture_folder(state_dir) / CAPTURE_STATUS, jsontext.encode(status))


def read_status(state_dir: Path) -> CaptureStatus | None:
    """Return what the last process wrote last, and whole; None where there is no such thing."""
    try:
        return jsontext.decode(read_slots(capture_folder(state_dir) / CAPTURE_STATUS), CaptureStatus)
    except (OSError, MessageError, msgspec.DecodeError):
        return None
