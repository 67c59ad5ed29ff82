"""When a bundle is fetched: a wish's hours and times, an unset clock, captures that are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from edge.bundle.wish import read_fetch_state
from edge.contract.desired import LocalHours
from edge.fetch.backoff import Backoff
from edge.fetch.download import Paused
from edge.fetch.fetcher import Fetcher
from edge.timing.clock import SteppedClock
from tests.edge.fetch.lab import NOON, QUICK, Lab, UnsetClock
from tests.edge.fetch.server import Server


def test_a_wish_waits_for_its_hours_and_ends_with_its_time(lab: Lab, server: Server) -> None:
    hours = LocalHours(begin="22:00", end="06:00")
    fetcher = lab.fetcher()
    lab.wish(server.url, window=hours, expires_at=NOON + timedelta(days=1))
    assert lab.cycle(fetcher).reason == "window"
    lab.wish(server.url, not_before=NOON + timedelta(hours=1))
    assert lab.cycle(fetcher).reason == "not_before"
    assert server.heads == []
    lab.clock = SteppedClock(NOON + timedelta(hours=11))
    lab.wish(server.url, window=hours, expires_at=NOON + timedelta(days=1))
    assert lab.cycle().state == "installing"
    lab.clock = SteppedClock(NOON + timedelta(days=2))
    lab.wish(server.url, window=hours, expires_at=NOON + timedelta(days=1), rollout="late")
    assert lab.cycle().reason == "wish_expired"


def test_hours_and_times_wait_for_a_clock_that_was_set(lab: Lab, server: Server) -> None:
    """A device whose clock shows 1970 neither begins too early nor gives up."""
    lab.clock = UnsetClock(datetime(1970, 1, 1, tzinfo=UTC))
    for timed in ({"expires_at": NOON}, {"not_before": NOON}, {"window": LocalHours(begin="00:00", end="23:59")}):
        lab.wish(server.url, **timed)
        assert lab.cycle().reason == "clock_unset"
    assert server.heads == []
    lab.wish(server.url)
    assert lab.cycle().state == "installing"


def test_nothing_is_fetched_while_a_capture_is_due(lab: Lab, server: Server) -> None:
    schedule = msgspec.structs.replace(
        lab.config.schedule, interval_light_s=600.0, interval_dark_s=600.0, phase_offset_s=0.0
    )
    config = msgspec.structs.replace(lab.config, schedule=schedule)
    lab.wish(server.url)
    clock = SteppedClock(NOON)
    near_s = 600.0 * (int(clock.monotonic_s() / 600.0) + 1)
    clock.sleep_until(near_s - 1.0, lambda: False)
    fetcher = Fetcher(config, clock, limits=QUICK, backoff=Backoff(0.0, 0.0))
    fetcher.cycle()
    assert server.heads == []
    clock.sleep_until(near_s + 30.0, lambda: False)
    fetcher.cycle()
    assert read_fetch_state(lab.state).state == "installing"


def test_a_download_stops_for_a_capture_and_goes_on_after_it(lab: Lab, server: Server) -> None:
    calls = 0

    def alive() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Paused

    lab.wish(server.url)
    state = lab.cycle(lab.fetcher(alive=alive))
    assert (state.state, state.reason) == ("waiting", "captures_due")
    assert lab.parts()
    assert lab.cycle().state == "installing"
    assert len(server.heads) == 2 or len(lab.content) <= 65536
