"""The capture process from outside: every due slot yields one reading, whatever happens to it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import pytest

from edge.capture.take_frames import COUNTERS
from edge.contract import jsontext
from edge.contract.reading import Reading
from edge.outbox.publish_file import PublishFile
from edge.outbox.two_slots import read_slots
from tests.edge.capture.running import ROOT, end, events, outcomes, records, run, start, write_settings
from tests.harness.child import Child
from tests.harness.waiting import wait_until

FAST = "schedule: {interval_light_s: 1, interval_dark_s: 1, phase_offset_s: 0}\n"


def wait_for(settings: Path, readings: int) -> None:
    wait_until(lambda: len(outcomes(settings)) >= readings)


def test_every_due_slot_yields_exactly_one_reading(tmp_path: Path) -> None:
    """Scripted faults count captures; a slot tries three times, so 4-6 cost one slot, 7 and 8 a rung each."""
    settings = write_settings(tmp_path, "simulated: {faults: {4-6: timeout, 8: stale, 10: busy}}")
    code, _ = run(settings, "--stepped", "--captures", "8")
    found = outcomes(settings)
    assert len(found) == 8
    assert found[3] == "camera_fault"
    assert "camera_fault" not in found[4:]
    times = [reading["monotonic_s"] for reading in records(settings, "reading")]
    assert times == sorted(set(times))
    recovery = json.loads(read_slots(tmp_path / "state" / "capture.json"))["recovery"]
    assert recovery == dict.fromkeys(COUNTERS, 0) | {"flushes": 3, "reopens": 1, "failed_slots": 1}
    assert code == 0
    assert "camera_recovered" in events(settings)


def test_a_missing_model_is_one_clear_message_and_loses_nothing(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, bundle=tmp_path / "none.bundle")
    (tmp_path / "none.pub").write_text("")
    code, errors = run(settings, "--stepped", "--captures", "3")
    assert code == 2
    assert errors.count("\n") == 1
    assert "there is no model bundle at" in errors
    assert "copy one there or correct the path" in errors
    readings = records(settings, "reading")
    assert [reading["outcome"] for reading in readings] == ["model_fault"] * 3
    assert all(reading["thumbnail"] and reading["quality"] for reading in readings)


def test_a_damaged_model_is_refused_and_reported(tmp_path: Path) -> None:
    (tmp_path / "bad.bundle").write_bytes(b"not a bundle")
    (tmp_path / "bad.pub").write_text("not a key")
    settings = write_settings(tmp_path, bundle=tmp_path / "bad.bundle")
    code, errors = run(settings, "--stepped", "--captures", "2")
    assert code in (2, 3)
    assert errors.count("\n") == 1
    assert outcomes(settings) == ["model_fault"] * 2


def test_a_missing_camera_is_one_clear_message_and_every_slot_is_kept(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    text = settings.read_text().replace("backend: simulated", "backend: picamera")  # no such library here
    settings.write_text(text)
    code, errors = run(settings, "--stepped", "--captures", "5")
    assert code == 4
    assert "python3-picamera2" in errors
    assert errors.count("\n") == 1
    assert set(outcomes(settings)) == {"camera_fault"}
    assert "camera_lost" in events(settings)


def test_settings_that_cannot_be_read_end_it_at_once(tmp_path: Path) -> None:
    code, errors = run(tmp_path / "none.yaml")
    assert code == 2
    assert errors.startswith("cageclock: ")
    assert "`cageclock init" in errors


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop to another user")
def test_a_state_directory_of_somebody_else_is_the_operators() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders cannot be entered by another user
        folder = Path(name)
        folder.chmod(0o755)
        settings = write_settings(folder)
        (folder / "state").mkdir(mode=0o700)
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable]
        if subprocess.run([*drop, "-c", "import msgspec, yaml"], capture_output=True).returncode != 0:
            pytest.skip("the interpreter cannot be used by another user")
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from edge.cli import main; sys.exit(main())"
        command = [*drop, "-c", code, "capture", "--config", str(settings), "--once"]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "cannot be written by this user; correct its owner or its rights" in done.stderr


def test_the_ladder_ends_in_restarts_and_at_last_in_a_reboot(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, "simulated: {faults: {1-99: timeout}}")
    codes = [run(settings, "--stepped")[0] for _ in range(4)]
    assert codes == [4, 4, 4, 75]
    assert len(outcomes(settings)) == 8
    recovery = json.loads(read_slots(tmp_path / "state" / "capture.json"))["recovery"]
    assert (recovery["restarts"], recovery["reboots"]) == (3, 1)


def test_sigterm_ends_it_cleanly_and_systemd_is_notified_of_progress(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, more=FAST)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(120)
        process = start(settings, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="180000000")
        first = systemd.recv(500).decode()
        assert first == "READY=1"
        assert len(outcomes(settings)) >= 1  # the row is durable before systemd hears of it
        assert systemd.recv(500).decode().startswith("WATCHDOG=1\nSTATUS=")
        wait_for(settings, 3)
        code, _ = end(process)
        systemd.setblocking(False)
        messages = []
        try:
            while True:
                messages.append(systemd.recv(500).decode())
        except BlockingIOError:
            pass
    assert code == 0
    assert messages[-1] == "STOPPING=1"
    assert events(settings)[-1] == "stop"


def test_a_watchdog_shorter_than_a_slot_is_refused(tmp_path: Path) -> None:
    code, errors = run(write_settings(tmp_path), "--once", WATCHDOG_USEC="30000000")
    assert code == 2
    assert "WatchdogSec" in errors


def test_a_killed_process_goes_on_where_it_was(tmp_path: Path) -> None:
    """The slots keep their grid over kills, no slot is taken twice, and the next start reports that it was killed."""
    settings = write_settings(tmp_path, more=FAST)
    for kill in range(1, 4):
        process = start(settings)
        wait_for(settings, 2 * kill)
        process.kill()
    found = records(settings)
    numbers = [record["seq"] for record in found]
    assert numbers.count(1) == 3, "each start has an epoch of its own"
    assert all(seq in (1, before + 1) for before, seq in pairwise(numbers)), numbers
    readings = [record for record in found if "outcome" in record]
    times = sorted(reading["monotonic_s"] for reading in readings)
    slots = [
        int(at_s + 1e-3) for at_s in times[1:]
    ]  # the very first is due at once, wherever the grid of seconds stands
    assert slots == sorted(set(slots)), times
    starts = [record["detail"]["before"] for record in found if record.get("code") == "start"]
    assert starts == ["first start", "killed or power cut", "killed or power cut"]


def idles(process: Child, folder: Path) -> None:
    """Return when a capture process has opened its outbox, and a moment later: what it would do at once is done."""
    lock = folder / "state" / "outbox.lock"
    wait_until(lambda: lock.read_text().strip() == str(process.pid))
    time.sleep(2.0)


def test_a_slot_whose_status_was_not_written_any_more_is_not_taken_twice(tmp_path: Path) -> None:
    """The status file comes after the row: a kill between the two leaves it one slot behind, or without any."""
    settings = write_settings(tmp_path, more="schedule: {interval_light_s: 3600, interval_dark_s: 3600}\n")
    run(settings, "--once")
    (tmp_path / "state" / "capture.json").unlink()
    process = start(settings)
    idles(process, tmp_path)
    end(process)
    assert len(outcomes(settings)) == 1


def test_slots_that_passed_while_it_was_down_are_counted(tmp_path: Path) -> None:
    """The shorter interval counts here: the longer one of the other phase must not hide what was missed."""
    fast = "schedule: {interval_light_s: 1, interval_dark_s: 1, phase_offset_s: 0}\n"
    settings = write_settings(tmp_path, more=fast)
    run(settings, "--captures", "2")
    time.sleep(4.2)
    run(settings, "--captures", "2")
    found = records(settings)
    readings = [place for place, record in enumerate(found) if "monotonic_s" in record and "outcome" in record]
    assert len(readings) == 4
    times = [found[place]["monotonic_s"] for place in readings]
    between = found[readings[1] + 1 : readings[2]]  # a busy machine makes other gaps within a run, and at its start
    gaps = [record for record in between if record.get("code") == "gap"]
    passed = int(times[2] + 1e-3) - int(times[1] + 1e-3) - 1  # whole seconds between; the first may be taken late
    assert passed >= 3
    assert sum(gap["detail"]["missed_slots"] for gap in gaps) in (passed - 1, passed)
    assert gaps[0]["detail"]["same_boot"] is True


def test_a_request_gives_one_reading_that_names_it(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, more="schedule: {interval_light_s: 3600, interval_dark_s: 3600}\n")
    process = start(settings)
    try:
        wait_for(settings, 1)
        delivery = PublishFile.open(tmp_path / "state", device_id="cage07")
        delivery.add_request("ask-1")
        wait_for(settings, 2)
    finally:
        code, _ = end(process)
        delivery.close()
    assert code == 0
    assert [(reading["trigger"], reading["request_id"]) for reading in records(settings, "reading")] == [
        ("schedule", None),
        ("command", "ask-1"),
    ]
    process = start(settings)
    idles(process, tmp_path)
    end(process)
    assert [reading["request_id"] for reading in records(settings, "reading")].count("ask-1") == 1


def test_the_first_reading_is_durable_after_little_work(tmp_path: Path) -> None:
    """In seconds of CPU; `make bench` states seconds of the clock."""
    settings = write_settings(tmp_path)
    run(settings, "--once")  # the interpreter's own files are in the cache, as on a device
    least_s = 99.0
    for _ in range(3):
        shutil.rmtree(tmp_path / "state")  # otherwise the slot of this boot has been taken
        process = start(settings)
        wait_for(settings, 1)
        least_s = min(least_s, process.cpu_s())
        end(process)
    assert least_s < 1.5


def test_changes_of_settings_and_camera_are_events(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    run(settings, "--stepped", "--once")
    settings.write_text(settings.read_text().replace("width: 320, height: 240", "width: 640, height: 480"))
    settings.write_text(settings.read_text().replace("px_per_mm: 1.333", "px_per_mm: 2.667"))
    run(settings, "--stepped", "--once")
    assert "config_changed" in events(settings)
    changed = next(record for record in records(settings, "record") if record.get("code") == "camera_changed")
    assert (changed["detail"]["width_before"], changed["detail"]["width_now"]) == (320, 640)


def test_another_boot_leaves_a_gap(tmp_path: Path) -> None:
    """Each stepped run is a boot of its own."""
    settings = write_settings(tmp_path)
    for begin in ("2024-01-01T00:00:00+00:00", "2024-02-01T00:00:00+00:00"):
        run(settings, "--stepped", "--stepped-from", begin, "--once")
    gap = next(record for record in records(settings, "record") if record.get("code") == "gap")
    assert gap["detail"]["gap_s"] == pytest.approx(31 * 86_400, abs=5)
    assert gap["detail"]["same_boot"] is False


def test_a_replay_ends_when_its_pictures_do(tmp_path: Path) -> None:
    import numpy as np

    from edge.vision.image import write_image

    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(1)
    for number in range(3):
        write_image(tmp_path / "pictures" / f"{number}.png", rng.integers(0, 255, (240, 320, 3)).astype(np.uint8))
    settings = write_settings(tmp_path)
    settings.write_text(
        settings.read_text().replace(
            "backend: simulated", f"backend: replay, replay: {{path: {tmp_path / 'pictures'}}}"
        )
    )
    code, errors = run(settings, "--stepped")
    assert code == 0
    assert "no more pictures" in errors
    sources = [reading["camera"]["source"] for reading in records(settings, "reading")]
    assert sources == ["0.png", "1.png", "2.png"]
    assert events(settings)[-1] == "stop"


def test_a_reading_keeps_the_contract_and_its_picture_carries_its_identity(tmp_path: Path) -> None:
    from PIL import Image

    settings = write_settings(tmp_path, "simulated: {seed: 3}")
    run(settings, "--stepped", "--once")
    (body,) = records(settings, "reading")
    seq = body.pop("seq")
    reading = jsontext.decode(json.dumps(body), Reading)
    assert reading.thumbnail is not None
    picture = tmp_path / "state" / "thumbnails" / f"{reading.thumbnail.sha256}.jpg"
    assert picture.stat().st_size == reading.thumbnail.bytes
    with Image.open(picture) as opened:
        assert opened.size == (reading.thumbnail.width, reading.thumbnail.height)
        identity = json.loads(opened.getexif()[0x010E])
    assert (identity["device_id"], identity["seq"]) == ("cage07", seq)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_reported_once_and_counted(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(state)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        settings = write_settings(tmp_path, more=FAST + "outbox: {min_free_mb: 0, reserve_mb: 0}\n")
        process = start(settings)
        wait_for(settings, 2)
        ballast = state / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (65536, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue
        before = len(outcomes(settings))
        time.sleep(3.0)
        assert process.exit_code() is None, "a full disk must not end the process"
        ballast.unlink()
        wait_for(settings, before + 2)
        code, errors = end(process)
    finally:
        subprocess.run(["umount", str(state)], check=False)
    assert code == 0
    assert errors.count("disk") + errors.count("space") >= 1
