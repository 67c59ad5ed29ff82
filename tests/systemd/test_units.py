"""The packaged units: systemd has nothing to say against them, they are sandboxed, and the watchdog leaves room."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edge.bundle.inbox import WORST_S
from edge.capture.take_frames import worst_slot_s
from edge.capture.watchdog import IDLE_TICK_S
from edge.config.example import EXAMPLE
from edge.config.load import parse_config
from edge.errors import OperatorError
from edge.outbox.database import BUSY_MS
from edge.publish.budget import check_watchdog, worst_cycle_s
from edge.publish.run import WATCHDOG_S
from station.fleet.process import WORST_CYCLE_S as FLEET_WORST_CYCLE_S
from station.ingest.process import WORST_CYCLE_S
from station.page.app import WATCHDOG_S as PAGE_WATCHDOG_S

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
UNIT_FILES = sorted([*SERVICES, *UNITS.glob("*.path"), *UNITS.glob("*.mount")])
EXPOSURE = {
    "capture": 16,
    "publish": 12,
    "fetch": 12,
    "station": 12,
    "page": 12,
    "fleet": 12,
    "bundle": 5,
    "card": 13,
    "reboot": 16,
}
"""Tenths of `systemd-analyze security`'s measure, from 0 to 100."""
ANALYZE = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed on this machine")


def settings(unit: str, section: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    inside = ""
    for line in (UNITS / unit).read_text().splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            inside = match[1]
        elif inside == section and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@needs_analyze
@pytest.mark.parametrize("unit", UNIT_FILES, ids=lambda path: path.name)
def test_systemd_has_nothing_to_say_against_a_unit(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` exits 0 even for unknown keys: any output is a failure."""
    for path in UNIT_FILES:
        text = re.sub(r"^(ExecStart=).*$", r"\1/bin/true", path.read_text(), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(text)
    done = subprocess.run([ANALYZE, "verify", tmp_path / unit.name], capture_output=True, text=True)
    assert (done.stdout + done.stderr).strip() == ""


@needs_analyze
@pytest.mark.parametrize(("name", "tenths"), EXPOSURE.items())
def test_a_unit_is_sandboxed(name: str, tenths: int) -> None:
    unit = UNITS / f"cageclock-{name}.service"
    command = [ANALYZE, "security", "--offline=true", f"--threshold={tenths}", unit]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:]


def test_every_service_has_its_limit_of_exposure() -> None:
    assert {path.name for path in SERVICES} == {f"cageclock-{name}.service" for name in EXPOSURE}


def watchdog_s(name: str) -> int:
    (limit,) = settings(f"cageclock-{name}.service", "Service")["WatchdogSec"]
    return int(limit)


def test_the_sum_of_all_retries_fits_into_each_watchdog() -> None:
    """Progress feeds the watchdogs, so between two ticks lies one slot or cycle, with every wait at its bound."""
    example = parse_config(EXAMPLE)
    appends_s = 4 * BUSY_MS / 1000  # the reading, an event, what was taken, the maintenance
    assert worst_slot_s(example) + appends_s + IDLE_TICK_S < watchdog_s("capture")
    assert worst_cycle_s(example) + WATCHDOG_S < watchdog_s("publish")
    assert watchdog_s("station") > WORST_CYCLE_S + WATCHDOG_S
    assert watchdog_s("fleet") > FLEET_WORST_CYCLE_S + WATCHDOG_S
    assert watchdog_s("page") > 10 * PAGE_WATCHDOG_S
    (start_limit,) = settings("cageclock-bundle.service", "Service")["TimeoutStartSec"]
    assert int(start_limit) > WORST_S


def test_a_slow_camera_is_tried_twice_over_before_the_watchdog() -> None:
    assert 2 * worst_slot_s(parse_config(EXAMPLE)) <= watchdog_s("capture")


def test_settings_that_the_watchdog_cannot_wait_for_are_refused_at_the_start() -> None:
    mqtt = msgspec.structs.replace(parse_config(EXAMPLE).mqtt, keepalive_s=300)
    slow = msgspec.structs.replace(parse_config(EXAMPLE), mqtt=mqtt)
    check_watchdog(parse_config(EXAMPLE), float(watchdog_s("publish")))
    with pytest.raises(OperatorError, match="lower it or raise WatchdogSec"):
        check_watchdog(slow, float(watchdog_s("publish")))


def test_capture_has_no_network_and_publish_no_camera() -> None:
    capture, publish = (settings(f"cageclock-{name}.service", "Service") for name in ("capture", "publish"))
    assert capture["PrivateNetwork"] == ["yes"]
    assert capture["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert publish["PrivateDevices"] == ["yes"]
    assert "DeviceAllow" not in publish
    bundle = settings("cageclock-bundle.service", "Service")
    assert bundle["PrivateNetwork"] == bundle["PrivateDevices"] == ["yes"]
    assert len({unit["User"][0] for unit in (capture, publish, bundle)}) == 3
    for reader in (capture, publish):
        assert "-/var/lib/cageclock/bundles" in reader["ReadOnlyPaths"][0].split()
    assert capture["Group"] == publish["Group"] == ["cageclock"]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_no_unit_leaves_a_core_dump_or_reaches_the_firmwares_mailbox(unit: Path) -> None:
    """A dump holds pictures, keys and settings; /dev/vcio lets its user run code on the board's other processor."""
    service = settings(unit.name, "Service")
    assert service.get("LimitCORE") == ["0"]
    assert [line for line in service.get("DeviceAllow", []) if "vcio" in line or "char-vc" in line] == []
    assert service.get("DevicePolicy") == ["closed"] or service.get("PrivateDevices") == ["yes"]


@pytest.mark.parametrize("name", ["capture", "publish"])
def test_no_folder_is_two_users_to_write(name: str) -> None:
    """What a unit may write by its mount is bounded again by the folders' owners, who are one each."""
    lines = [line.split() for line in (UNITS / "cageclock.tmpfiles.conf").read_text().splitlines() if line[:1] == "d"]
    folders = {path: (mode, user) for _, path, mode, user, *_ in lines}
    written = {
        place for line in settings(f"cageclock-{name}.service", "Service")["ReadWritePaths"] for place in line.split()
    }
    assert f"/var/lib/cageclock/{name}" in written
    assert folders["/var/lib/cageclock"] == ("2750", "root")
    for place in written - {"/var/lib/cageclock/inbox"}:
        assert folders[place] == ("2750", f"cageclock-{Path(place).name}")


@pytest.mark.parametrize("name", ["capture", "publish", "station", "page", "fleet"])
def test_a_process_is_supervised(name: str) -> None:
    service = settings(f"cageclock-{name}.service", "Service")
    assert (service["Type"], service["Restart"]) == (["notify"], ["always"])
    assert settings(f"cageclock-{name}.service", "Unit")["StartLimitIntervalSec"] == ["0"]


@pytest.mark.parametrize(("uptime_s", "reboots"), [("21600.5", False), ("60.0", False), ("21601.0", True)])
def test_the_helper_reboots_at_most_every_six_hours(uptime_s: str, reboots: bool, tmp_path: Path) -> None:
    (tmp_path / "uptime").write_text(f"{uptime_s} 1.0\n")
    environment = os.environ | {"CAGECLOCK_UPTIME_FILE": str(tmp_path / "uptime"), "CAGECLOCK_REBOOT": "echo REBOOT"}
    done = subprocess.run(["sh", UNITS / "cageclock-reboot"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0
    assert ("REBOOT" in done.stdout) == reboots


def test_only_code_75_starts_the_helper() -> None:
    """The line of the unit itself, with a `systemctl` that only says what it was asked."""
    (line,) = settings("cageclock-capture.service", "Service")["ExecStopPost"]
    script = re.fullmatch(r"\+/bin/sh -c '(.*)'", line)
    assert script is not None
    said = {}
    for status in ("0", "4", "75", "KILL"):
        command = f'systemctl() {{ echo "$@"; }}\n{script[1]}'
        done = subprocess.run(["sh", "-c", command], env={"EXIT_STATUS": status}, capture_output=True, text=True)
        assert done.returncode == 0
        said[status] = done.stdout.strip()
    assert said == {"0": "", "4": "", "75": "start --no-block cageclock-reboot.service", "KILL": ""}


FRAMES = """
import numpy as np
for _ in range(6):  # what a capture holds for a moment, among much that is small and stays
    frame = np.ones((1520, 2028, 3), np.uint8)
    copy, kept = frame + 1, [bytes(500) for _ in range(200)]
    del frame, copy
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("RssAnon")))
"""


def test_between_captures_a_frames_memory_goes_back_to_the_system() -> None:
    """With the settings of the unit a process holds at least a frame less, when its frame is gone, than without."""
    (line,) = settings("cageclock-capture.service", "Service")["Environment"]
    given = dict(setting.split("=") for setting in line.split())
    plain = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    held_kb = [
        int(subprocess.run([sys.executable, "-c", FRAMES], env=env, capture_output=True, text=True, check=True).stdout)
        for env in (plain, plain | given)
    ]
    assert held_kb[0] - held_kb[1] > 2028 * 1520 * 3 / 1024 * 0.8, held_kb
