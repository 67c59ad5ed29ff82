"""A boot that begins with the wrong time: labels stay as they were, and one record gives what to add to them."""

import itertools
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.capture.run import Capture
from edge.config.load import load_config
from edge.outbox import Outbox
from tests.edge.capture.running import records, write_settings

TRUE_START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BEHIND = timedelta(days=40, hours=3)


class LateClock:
    """A stepped clock that is 40 days behind until `synced_from_s`, as a Pi without a battery is."""

    boot_id = "0123456789abcdef0123456789abcdef"

    def __init__(self, synced_from_s: float) -> None:
        self._synced_from_s = synced_from_s
        self._now_s = 10.0

    def monotonic_s(self) -> float:
        return self._now_s

    def now(self) -> datetime:
        truth = TRUE_START + timedelta(seconds=self._now_s)
        return truth if self.synced() else truth - BEHIND

    def synced(self) -> bool:
        return self._now_s >= self._synced_from_s

    def sleep_until(self, until_s: float, poll: Callable[[], bool]) -> bool:
        if poll():
            return False
        self._now_s = max(self._now_s, until_s)
        return True


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_one_clock_record_corrects_the_labels_of_the_boot(tmp_path: Path) -> None:
    more = "schedule: {interval_light_s: 600, interval_dark_s: 600, phase_offset_s: 0}\n"
    more += "memory: {capture_mb: 100000}\n"  # here it runs within the tests' own process
    settings = write_settings(tmp_path, more=more)
    config = load_config(settings)
    state = tmp_path / "state"
    state.mkdir()
    clock = LateClock(synced_from_s=1500.0)
    outbox = Outbox.open(state, config.outbox, device_id=config.device_id, serial="s", clock=clock)
    Capture(config, clock, outbox, state, None).run(6)
    outbox.close()
    readings = records(settings, "reading")
    assert [reading["clock_synced"] for reading in readings] == [False] * 3 + [True] * 3
    assert [reading["light"] for reading in readings[:3]] == ["unknown"] * 3
    assert all(reading["zeitgeber_h"] is None for reading in readings[:3])
    spacing = [later["monotonic_s"] - earlier["monotonic_s"] for earlier, later in itertools.pairwise(readings[1:])]
    assert spacing == pytest.approx([600.0] * 4)
    (correction,) = (record for record in records(settings) if record["schema"] == "cageclock/clock/1")
    assert correction["of_boot_id"] == clock.boot_id
    for reading in readings:
        label = datetime.fromisoformat(reading["captured_at"])
        truth = TRUE_START + timedelta(seconds=reading["monotonic_s"])
        if not reading["clock_synced"]:
            label += timedelta(seconds=correction["offset_s"])
        assert abs((label - truth).total_seconds()) <= correction["uncertainty_s"]
        assert correction["epoch_offset_s"] + reading["monotonic_s"] == pytest.approx(truth.timestamp(), abs=1e-3)
