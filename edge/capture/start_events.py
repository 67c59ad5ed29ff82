"""The events of a start: that it happened, which slots were missed before it, and what has changed meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from edge.capture.event_writer import EventWriter
from edge.capture.status import CaptureStatus
from edge.config.tree import Config
from edge.contract.base import Scalar
from edge.contract.reading import Model, Reading, Trigger
from edge.contract.record import Event
from edge.timing.clock import Clock
from edge.version import VERSION

THROUGH = "through_s"
"""In a `gap` event: the due time, by the boot's monotonic clock, of the newest slot that it reports."""
_OUTBOXES_OWN = ("epoch_begun", "database_set_aside")
"""Events of an outbox that is opened, perhaps of this very start: they are no sign of the process before."""
_CAMERA_KEYS = ("backend", "model", "tuning_file", "path", "seed", "width", "height")


@dataclass(frozen=True, slots=True)
class LastSeen:
    """When an earlier process was last seen at work, by both clocks, and whether its wall clock was right."""

    boot_id: str
    at: datetime
    monotonic_s: float
    clock_synced: bool


def find_last_seen(last: CaptureStatus | None, newest: Sequence[Reading | Event], clock: Clock) -> LastSeen | None:
    """Return when the earlier process was last seen at work; None on a device that never ran.

    By its status file or, where a power cut took that, by its newest record.
    """
    if last is not None:
        return LastSeen(last.boot_id, last.updated_at, last.monotonic_s, last.clock_synced)
    for one in newest:
        if isinstance(one, Reading):
            return LastSeen(one.boot_id, one.captured_at, one.monotonic_s, one.clock_synced)
        if one.code not in _OUTBOXES_OWN:
            return LastSeen(one.boot_id, one.recorded_at, one.monotonic_s, one.clock_synced)
    return LastSeen("", clock.now(), 0.0, clock_synced=False) if newest else None


def last_settled_s(last: CaptureStatus | None, newest: Sequence[Reading | Event], clock: Clock) -> float | None:
    """Return the monotonic time of this boot's newest slot that was taken, or reported as missed; None without one.

    By the status file, or by the outbox where the process was killed before it could write that.
    """
    known = [time_s for record in newest if (time_s := _settled_s(record, clock.boot_id)) is not None]
    if last is not None and last.boot_id == clock.boot_id and last.last_due_s is not None:
        known.append(last.last_due_s)
    return max(known, default=None)


def _settled_s(record: Reading | Event, boot_id: str) -> float | None:
    if record.boot_id != boot_id:
        return None
    if isinstance(record, Reading):
        return record.monotonic_s if record.trigger is Trigger.SCHEDULE else None
    through_s = record.detail.get(THROUGH)
    return float(through_s) if record.code == "gap" and isinstance(through_s, int | float) else None


def append_start(
    events: EventWriter,
    clock: Clock,
    config: Config,
    config_sha256: str,
    last: CaptureStatus | None,
    last_seen: LastSeen | None,
    missed: Sequence[float] | None,
) -> None:
    """Append `gap`, `start` and `config_changed` where they hold. The camera is not yet open.

    The gap comes first: what is reported twice after a failure between two of them is the start.
    missed: due times of this boot without a reading, None where the earlier process was of another boot.
    """
    ended = "first start" if last_seen is None else "killed or power cut"
    if last is not None and last.ended:
        ended = last.ended
    if last_seen is not None:
        _append_gap(events, clock, config, last_seen, missed)
    events.append(
        "start",
        f"capture {VERSION} started; before: {ended}",
        version=VERSION,
        config_sha256=config_sha256,
        backend=config.camera.backend,
        before=ended,
    )
    if last is not None and last.config_sha256 != config_sha256:
        text = "the settings have changed"
        events.append("config_changed", text, before=last.config_sha256, now=config_sha256)


def _append_gap(
    events: EventWriter, clock: Clock, config: Config, last_seen: LastSeen, missed: Sequence[float] | None
) -> None:
    gap_s = seconds_since(last_seen, clock)
    shortest_s = min(config.schedule.interval_light_s, config.schedule.interval_dark_s)
    if missed or (missed is None and (gap_s is None or gap_s > shortest_s)):
        shown = "for an unknown time" if gap_s is None else f"for {gap_s:.0f} s"
        since = last_seen.at.isoformat(timespec="seconds")
        detail: dict[str, Scalar] = {"since": since, "gap_s": gap_s, "same_boot": missed is not None}
        if missed is not None:
            detail |= {"missed_slots": len(missed), THROUGH: missed[-1]}
        events.append("gap", f"nothing was captured {shown}, since {since}", **detail)


def seconds_since(last_seen: LastSeen, clock: Clock) -> float | None:
    """Return the time since an earlier process was seen: by the monotonic clock within a boot, else by the wall clock.

    None where another boot's wall clock cannot be believed.
    """
    if last_seen.boot_id == clock.boot_id:
        return max(0.0, clock.monotonic_s() - last_seen.monotonic_s)
    if last_seen.clock_synced and clock.synced():
        return max(0.0, (clock.now() - last_seen.at).total_seconds())
    return None


def append_changes(
    events: EventWriter,
    last: CaptureStatus | None,
    camera: dict[str, Scalar],
    model: Model | None,
    file_sha256: str = "",
) -> None:
    """Append `camera_changed` and `model_changed`, once camera and model are known: both cut an ageing curve.

    file_sha256: of the model's bundle file. Where the last process, of an earlier version, named the model by it, the
    model is the same and only its name has changed: the event states it, and the station's curves go on.
    """
    if last is None:
        return
    changed = [key for key in _CAMERA_KEYS if last.camera and last.camera.get(key) != camera.get(key)]
    if changed:
        detail: dict[str, Scalar] = {f"{key}_before": last.camera.get(key) for key in changed}
        detail |= {f"{key}_now": camera.get(key) for key in changed}
        events.append("camera_changed", f"the camera's {', '.join(changed)} changed", **detail)
    if last.model is None or model is None:
        return
    before = last.model
    if before.sha256 == file_sha256:
        text = f"{model.name} {model.model_version} is the same model; it is named by its signed manifest's digest now"
        events.append("model_changed", text, before=before.sha256, now=model.sha256, same_model=True)
        before = msgspec.structs.replace(before, sha256=model.sha256)
    append_model_change(events, before, model)


def append_model_change(events: EventWriter, before: Model, now: Model) -> None:
    """Append `model_changed` where bundle or runtime are others than before."""
    if (before.sha256, before.runtime) == (now.sha256, now.runtime):
        return
    events.append(
        "model_changed",
        f"{before.name} {before.model_version} on {before.runtime} was replaced by "
        f"{now.name} {now.model_version} on {now.runtime}",
        before=before.sha256,
        now=now.sha256,
        release_before=before.release,
        release_now=now.release,
        runtime_before=before.runtime,
        runtime_now=now.runtime,
    )


def first_started_at(last: CaptureStatus | None, stepped_from: datetime | None, clock: Clock) -> datetime:
    """Return when the simulated animals were put into their cage: a restart must not make them young again."""
    if stepped_from is not None:
        return stepped_from
    return last.first_started_at if last is not None else clock.now()
