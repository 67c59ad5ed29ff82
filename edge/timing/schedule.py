"""When the next picture is due: a pure function of the monotonic clock.

Every interval has its grid on the monotonic clock: `offset + k * interval`. Which interval counts at a moment depends
on the animals' day, and only for that the wall clock is asked. So a wall clock that jumps changes which interval
counts, and the labels, but never the spacing within one. Grids whose intervals divide each other share their points.

While the wall clock is unsynchronised the phase is unknown, and the shorter interval counts.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from edge.config.tree import LightCycle, Schedule, ZeitgeberWindow
from edge.contract.reading import Light
from edge.timing.zeitgeber import last_lights_on, light_at, lights_off_after, zeitgeber_h

_STEPS = 100_000
_TINY_S = 1e-6
_BEYOND_S = 1e-3
"""A change is looked at from a millisecond beyond it: hours and datetimes round differently."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The schedule of one device. `offset_s` shifts its grids, so that a fleet does not fire at once."""

    schedule: Schedule
    cycle: LightCycle
    offset_s: float


@dataclass(slots=True)
class Tally:
    """How many usable readings each zeitgeber window has had, by the day (lights-on) it belongs to."""

    counts: Counter[tuple[int, datetime]] = field(default_factory=Counter)

    def add(self, plan: Plan, at: datetime) -> None:
        """Count one usable reading."""
        for index, window in enumerate(plan.schedule.windows):
            if _is_within(window, zeitgeber_h(at, plan.cycle)):
                self.counts[index, _window_day(window, at, plan.cycle)] += 1
        newest = at - timedelta(days=3)
        for key in [key for key in self.counts if key[1] < newest]:
            del self.counts[key]


def make_plan(schedule: Schedule, cycle: LightCycle, device_id: str) -> Plan:
    """Return the plan of a device; without a configured offset, the hash of its name chooses one."""
    if schedule.phase_offset_s is not None:
        return Plan(schedule, cycle, schedule.phase_offset_s)
    share = int.from_bytes(hashlib.sha256(device_id.encode()).digest()[:8], "big") / 2**64
    return Plan(schedule, cycle, share * max(schedule.interval_light_s, schedule.interval_dark_s))


def next_due_s(plan: Plan, after_s: float, epoch_offset_s: float | None, tally: Tally) -> float:
    """Return the first due time later than `after_s`, in seconds of the monotonic clock.

    epoch_offset_s: Unix time minus monotonic time, None while the wall clock is not synchronised.
    """
    if epoch_offset_s is None:
        shortest_s = min(plan.schedule.interval_light_s, plan.schedule.interval_dark_s)
        return _grid_point(plan, shortest_s, after_s)
    from_s = at_s = after_s
    for _ in range(_STEPS):
        at = _wall(at_s, epoch_offset_s)
        candidate_s = _grid_point(plan, interval_s(plan, at, tally), from_s)
        change_s = _next_change(plan.cycle, plan.schedule.windows, at).timestamp() - epoch_offset_s
        if candidate_s < change_s - _TINY_S:
            break
        from_s = max(change_s - _TINY_S, after_s)
        at_s = max(change_s, at_s) + _BEYOND_S
    return candidate_s


def interval_s(plan: Plan, at: datetime, tally: Tally) -> float:
    """Return the interval that counts at a wall time: the phase's, or an unfilled window's where that is shorter."""
    schedule = plan.schedule
    phase = light_at(at, plan.cycle)
    intervals = [schedule.interval_light_s if phase is Light.LIGHT else schedule.interval_dark_s]
    hours = zeitgeber_h(at, plan.cycle)
    for index, window in enumerate(schedule.windows):
        if _is_within(window, hours) and tally.counts[index, _window_day(window, at, plan.cycle)] < (
            window.usable_readings
        ):
            intervals.append(window.interval_s)
    return min(intervals)


def missed_slots(plan: Plan, due_s: float, now_s: float, epoch_offset_s: float | None, tally: Tally) -> Iterator[float]:
    """Yield the due times from `due_s` on that have passed but for the newest, which is still to be taken."""
    while True:
        following_s = next_due_s(plan, due_s, epoch_offset_s, tally)
        if following_s > now_s:
            return
        yield due_s
        due_s = following_s


def _grid_point(plan: Plan, interval: float, after_s: float) -> float:
    """Return the first point of an interval's grid that is later than `after_s`."""
    begin_s = math.fmod(plan.offset_s, interval)
    count = math.floor((after_s - begin_s) / interval) + 1
    point_s = begin_s + count * interval
    return point_s if point_s > after_s else begin_s + (count + 1) * interval  # rounding may fall back on `after_s`


def _wall(monotonic_s: float, epoch_offset_s: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=monotonic_s + epoch_offset_s)


def _is_within(window: ZeitgeberWindow, hours: float) -> bool:
    if window.from_h < window.until_h:
        return window.from_h <= hours < window.until_h
    return hours >= window.from_h or hours < window.until_h  # over lights-on


def _window_day(window: ZeitgeberWindow, at: datetime, cycle: LightCycle) -> datetime:
    """Return the lights-on that names the window's occurrence: of the day in which it began."""
    day = last_lights_on(at, cycle)
    if window.from_h > window.until_h and zeitgeber_h(at, cycle) < window.until_h:
        return last_lights_on(day - timedelta(seconds=1), cycle)
    return day


def _next_change(cycle: LightCycle, windows: tuple[ZeitgeberWindow, ...], at: datetime) -> datetime:
    """Return the next instant at which another interval may count."""
    on = last_lights_on(at, cycle)
    hours = {*(window.from_h for window in windows), *(window.until_h for window in windows)}
    changes = [lights_off_after(on, cycle), *(on + timedelta(hours=hour) for hour in hours)]
    following = last_lights_on(on + timedelta(hours=26), cycle)
    return min(change for change in (*changes, following) if change > at)
