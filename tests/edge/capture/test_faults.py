"""The camera goes away, hangs as if stuck in the kernel, is slow; the process holds too much memory."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from edge.outbox.two_slots import read_slots
from tests.edge.capture.running import events, outcomes, records, run, start, write_settings
from tests.harness.waiting import wait_until


def recovery_of(folder: Path) -> dict[str, int]:
    return json.loads(read_slots(folder / "state" / "capture.json"))["recovery"]


def test_a_camera_plugged_in_again_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, "simulated: {faults: {3-5: unplugged}}")
    code, output = run(settings, "--stepped", "--captures", "5")
    assert code == 0
    assert [outcome == "camera_fault" for outcome in outcomes(settings)] == [False, False, True, False, False]
    assert "went away" in output or "no camera is plugged in" in output
    assert events(settings).count("camera_recovered") == 1
    assert recovery_of(tmp_path)["reopens"] == 1


def test_while_it_is_unplugged_every_due_slot_is_a_reading(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, "simulated: {faults: {1-999: unplugged}}")
    codes = [run(settings, "--stepped")[0] for _ in range(2)]
    assert codes == [4, 4]
    assert outcomes(settings) == ["camera_fault"] * 4


def test_a_slow_camera_is_waited_for(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, "simulated: {faults: {1: slow}}")
    code, _ = run(settings, "--stepped", "--captures", "1")
    assert code == 0
    (reading,) = records(settings, "reading")
    assert reading["outcome"] != "camera_fault"
    assert reading["timings"]["capture_ms"] >= 2000


def test_too_much_memory_ends_in_a_clean_restart_between_two_captures(tmp_path: Path) -> None:
    """The kernel's killer would take the process anywhere; here each slot until the end has its whole reading."""
    settings = write_settings(tmp_path, "simulated: {faults: {2-99: leak}}", "memory: {capture_mb: 150}\n")
    code, output = run(settings, "--stepped", "--captures", "50")
    assert code == 4
    assert "MB of memory are held, at most 150 are allowed" in output
    codes = [record.get("code", "reading") for record in records(settings)]
    assert codes[-3:] == ["reading", "memory_ceiling", "stop"]
    assert recovery_of(tmp_path)["memory_restarts"] == 1
    code, _ = run(settings, "--stepped", "--captures", "1")
    assert code == 0


def test_a_capture_stuck_in_the_kernel_needs_a_kill_and_loses_no_row(tmp_path: Path) -> None:
    fast = "schedule: {interval_light_s: 1, interval_dark_s: 1, phase_offset_s: 0}\n"
    settings = write_settings(tmp_path, "simulated: {faults: {3: hang}}", fast)
    process = start(settings)
    try:
        wait_until(lambda: len(outcomes(settings)) >= 2)
        time.sleep(1.5)
        process.send(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.ended(1.5)
    finally:
        process.kill()
    assert len(outcomes(settings)) == 2
    code, _ = run(settings, "--captures", "1")
    assert code == 0
    *_, gap = [record for record in records(settings) if record.get("code") == "gap"]  # a busy machine makes others
    assert gap["detail"]["missed_slots"] >= 1
