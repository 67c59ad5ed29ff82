"""Whether a wish may be carried out now: its hours and times, and the captures that are due. Pure."""

from __future__ import annotations

from datetime import datetime

from edge.config.tree import Config
from edge.config.zone import zone_of
from edge.contract.desired import Desired, LocalHours
from edge.timing.schedule import Plan, Tally, make_plan, next_due_s

BEFORE_S, AFTER_S = 3.0, 12.0
"""Around a due capture nothing is fetched: it needs the processor and the card."""
SHORT_S = 60.0
"""Captures at shorter intervals than this leave no room beside them; then the fetcher's low priority has to do."""


def why_not_yet(wish: Desired, zone: str, now: datetime, synced: bool) -> tuple[str, str] | None:
    """Return the code and the sentence for why a wish has to wait, or is over (`wish_expired`); None where it holds."""
    timed = wish.window is not None or wish.not_before is not None or wish.expires_at is not None
    if timed and not synced:
        return "clock_unset", "the wish has hours or times, and the device's clock is not set; it waits for the time"
    if wish.expires_at is not None and now >= wish.expires_at:
        return "wish_expired", f"the wish held until {wish.expires_at.isoformat(timespec='seconds')}; send a new one"
    if wish.not_before is not None and now < wish.not_before:
        return "not_before", f"the wish holds from {wish.not_before.isoformat(timespec='seconds')}"
    if wish.window is not None and not within(wish.window, now.astimezone(zone_of(zone))):
        return "window", f"the wish holds from {wish.window.begin} until {wish.window.end}, in the zone {zone}"
    return None


def within(hours: LocalHours, local: datetime) -> bool:
    """Return whether a local time lies in the hours, of which `end` is not one."""
    at = f"{local:%H:%M}"
    if hours.begin < hours.end:
        return hours.begin <= at < hours.end
    return at >= hours.begin or at < hours.end


class DueCaptures:
    """When captures are due, by the same schedule as capture's own."""

    def __init__(self, config: Config) -> None:
        """Windows count as not yet filled: rather wait once too often."""
        schedule = config.schedule
        intervals = [schedule.interval_light_s, schedule.interval_dark_s, *(one.interval_s for one in schedule.windows)]
        self._plan: Plan | None = None
        if min(intervals) >= SHORT_S:
            self._plan = make_plan(schedule, config.light_cycle, config.device_id)

    def is_near(self, monotonic_s: float, epoch_offset_s: float | None) -> bool:
        """Return whether a capture is due now, was just now or will be in a moment."""
        if self._plan is None:
            return False
        due_s = next_due_s(self._plan, monotonic_s - AFTER_S, epoch_offset_s, Tally())
        return due_s - BEFORE_S <= monotonic_s
