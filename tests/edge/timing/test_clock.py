"""The two clocks: the machine's own, and one that jumps."""

import time
from datetime import UTC, datetime, timedelta

from edge.timing.clock import SteppedClock, SystemClock


def test_a_stepped_clock_jumps_instead_of_waiting() -> None:
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    clock = SteppedClock(begin)
    started = time.monotonic()
    assert clock.sleep_until(1e7, lambda: False)
    assert time.monotonic() - started < 60.0
    assert clock.now() == begin + timedelta(seconds=1e7)
    assert clock.monotonic_s() == 1e7
    assert clock.synced()


def test_a_stepped_clock_never_goes_back() -> None:
    clock = SteppedClock(datetime(2024, 1, 1, tzinfo=UTC))
    clock.sleep_until(100.0, lambda: False)
    clock.sleep_until(50.0, lambda: False)
    assert clock.monotonic_s() == 100.0


def test_the_system_clock_wakes_when_asked_to() -> None:
    clock = SystemClock()
    asked = []

    def poll() -> bool:
        asked.append(clock.monotonic_s())
        return len(asked) == 2

    assert clock.sleep_until(clock.monotonic_s() + 60, poll) is False
    assert asked[1] - asked[0] < 5.0


def test_the_system_clock_waits_until_the_time_and_not_less() -> None:
    clock = SystemClock()
    until_s = clock.monotonic_s() + 0.1
    assert clock.sleep_until(until_s, lambda: False)
    assert clock.monotonic_s() >= until_s
    assert len(clock.boot_id) == 32
    assert isinstance(clock.synced(), bool)
