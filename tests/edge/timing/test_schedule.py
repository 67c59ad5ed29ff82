"""The laws of the schedule: never in the past, even spacing, whatever the wall clock does."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config.tree import LightCycle, Schedule, ZeitgeberWindow
from edge.timing.schedule import Plan, Tally, interval_s, make_plan, missed_slots, next_due_s
from edge.timing.zeitgeber import light_at

CYCLES = st.builds(
    LightCycle,
    lights_on=st.sampled_from(["00:00", "02:30", "07:00", "19:45", "23:59"]),
    light_hours=st.sampled_from([0.5, 10.0, 12.0, 14.0, 23.5]),
    zone=st.sampled_from(["+00:00", "+01:00", "-09:30", "Europe/Zurich", "America/New_York", "Pacific/Apia"]),
)
WINDOWS = st.lists(
    st.builds(
        ZeitgeberWindow,
        from_h=st.floats(0, 23),
        until_h=st.floats(0.01, 24),
        usable_readings=st.integers(1, 3),
        interval_s=st.floats(10, 4000),
    ).filter(lambda window: window.interval_s <= (window.until_h - window.from_h) % 24 * 3600),
    max_size=2,
).map(tuple)


@st.composite
def _settings(draw: st.DrawFn) -> tuple[Schedule, LightCycle]:
    """Return what the settings' check lets pass: one interval for the day, or one no longer than its phase for each."""
    cycle = draw(CYCLES)
    if draw(st.booleans()):
        light_s = dark_s = draw(st.floats(5, 300_000))
    else:
        light_s = draw(st.floats(5, cycle.light_hours * 3600))
        dark_s = draw(st.floats(5, (24 - cycle.light_hours) * 3600))
    return Schedule(
        interval_light_s=light_s,
        interval_dark_s=dark_s,
        phase_offset_s=draw(st.none() | st.floats(0, 10_000)),
        windows=draw(WINDOWS),
    ), cycle


SETTINGS = _settings()
MONOTONIC = st.floats(0, 1e8)
EPOCH_OFFSETS = st.floats(-1e9, 2.5e9)


@given(SETTINGS, MONOTONIC, st.none() | EPOCH_OFFSETS)
@settings(max_examples=200, deadline=None)
def test_a_due_time_is_never_in_the_past_and_never_far_off(
    drawn: tuple[Schedule, LightCycle], after_s: float, epoch_offset_s: float | None
) -> None:
    schedule, cycle = drawn
    plan = make_plan(schedule, cycle, "cage07")
    due_s = next_due_s(plan, after_s, epoch_offset_s, Tally())
    assert due_s > after_s
    longest_s = max(schedule.interval_light_s, schedule.interval_dark_s)
    assert due_s <= after_s + longest_s + 2 * 86_400


@given(st.floats(5, 100_000), CYCLES, MONOTONIC, st.lists(EPOCH_OFFSETS, min_size=5, max_size=5))
@settings(max_examples=100, deadline=None)
def test_with_one_interval_no_step_of_the_wall_clock_moves_a_slot(
    interval: float, cycle: LightCycle, start_s: float, steps: list[float]
) -> None:
    """The wall clock is set anew before each slot, over DST changes and back: the spacing stays the interval."""
    plan = make_plan(Schedule(interval_light_s=interval, interval_dark_s=interval), cycle, "cage07")
    at_s = next_due_s(plan, start_s, None, Tally())
    for epoch_offset_s in steps:
        following_s = next_due_s(plan, at_s, epoch_offset_s, Tally())
        assert following_s - at_s == pytest.approx(interval, abs=1e-3)
        at_s = following_s


@given(SETTINGS, MONOTONIC, EPOCH_OFFSETS)
@settings(max_examples=100, deadline=None)
def test_a_slot_lies_on_the_grid_of_the_interval_that_counts_there(
    drawn: tuple[Schedule, LightCycle], after_s: float, epoch_offset_s: float
) -> None:
    schedule, cycle = drawn
    plan = make_plan(schedule, cycle, "cage07")
    due_s = next_due_s(plan, after_s, epoch_offset_s, Tally())
    near = [
        interval_s(plan, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=due_s + epoch_offset_s + shift), Tally())
        for shift in (-1e-3, 0.0, 1e-3)  # a slot exactly on a change may belong to either side
    ]
    distances = [abs((due_s - plan.offset_s + step / 2) % step - step / 2) for step in near]
    assert min(distances) < 1e-3


def test_summer_time_shifts_labels_not_slots() -> None:
    """Over the night of 2026-03-29 in Zurich, hourly slots stay 3600 s apart, and the light phase moves by an hour."""
    cycle = LightCycle(lights_on="07:00", zone="Europe/Zurich")
    plan = Plan(Schedule(interval_light_s=3600, interval_dark_s=3600), cycle, 0.0)
    begin = datetime(2026, 3, 28, 0, 30, tzinfo=UTC)
    due_s, slots = 0.0, []
    for _ in range(48):
        due_s = next_due_s(plan, due_s, begin.timestamp(), Tally())
        slots.append(due_s)
    assert {round(later - earlier, 6) for earlier, later in itertools.pairwise(slots)} == {3600.0}
    first_light = [
        next(hour for hour in range(24) if light_at(datetime(2026, 3, day, hour, 30, tzinfo=UTC), cycle) == "light")
        for day in (28, 29)
    ]
    assert first_light == [6, 5]


def test_the_dark_phase_has_its_own_interval_from_its_first_minute() -> None:
    cycle = LightCycle(lights_on="07:00", light_hours=12)
    plan = Plan(Schedule(interval_light_s=7200, interval_dark_s=900), cycle, 0.0)
    evening = datetime(2026, 6, 1, 18, 5, tzinfo=UTC).timestamp()
    due_s = next_due_s(plan, 0.0, evening, Tally())
    assert due_s == 3600.0  # 19:05, the first point of the dark grid after lights-off at 19:00


def test_an_unknown_phase_takes_the_shorter_interval() -> None:
    plan = Plan(Schedule(interval_light_s=3600, interval_dark_s=600), LightCycle(), 0.0)
    assert next_due_s(plan, 10.0, None, Tally()) == 600.0


def test_a_window_tries_until_enough_readings_were_usable() -> None:
    window = ZeitgeberWindow(from_h=13, until_h=15, usable_readings=2, interval_s=120)
    plan = Plan(
        Schedule(interval_light_s=3600, interval_dark_s=3600, windows=(window,)), LightCycle(lights_on="07:00"), 0.0
    )
    at = datetime(2026, 6, 1, 20, 10, tzinfo=UTC)  # zeitgeber 13.2 h
    tally = Tally()
    assert interval_s(plan, at, tally) == 120
    tally.add(plan, at)
    assert interval_s(plan, at, tally) == 120
    tally.add(plan, at)
    assert interval_s(plan, at, tally) == 3600
    assert interval_s(plan, at + timedelta(days=1), tally) == 120


def test_a_window_over_lights_on_is_one_window() -> None:
    window = ZeitgeberWindow(from_h=23, until_h=1, usable_readings=1, interval_s=60)
    plan = Plan(Schedule(windows=(window,)), LightCycle(lights_on="07:00"), 0.0)
    tally = Tally()
    tally.add(plan, datetime(2026, 6, 1, 6, 30, tzinfo=UTC))
    assert interval_s(plan, datetime(2026, 6, 1, 7, 30, tzinfo=UTC), tally) == 3600.0
    assert interval_s(plan, datetime(2026, 6, 2, 6, 30, tzinfo=UTC), tally) == 60


def test_a_fleet_does_not_fire_at_once() -> None:
    offsets = {round(make_plan(Schedule(), LightCycle(), f"cage{n:02d}").offset_s) for n in range(50)}
    assert len(offsets) > 45
    assert make_plan(Schedule(phase_offset_s=7.0), LightCycle(), "cage01").offset_s == 7.0


def test_slots_that_passed_unseen_are_counted() -> None:
    plan = Plan(Schedule(interval_light_s=60, interval_dark_s=60), LightCycle(), 0.0)
    assert list(missed_slots(plan, 60.0, 59.0, None, Tally())) == []
    assert list(missed_slots(plan, 60.0, 119.0, None, Tally())) == []
    assert list(missed_slots(plan, 60.0, 250.0, None, Tally())) == [60.0, 120.0, 180.0]
