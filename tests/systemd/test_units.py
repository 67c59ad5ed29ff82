"""The packaged units: systemd has nothing to say against them, they are sandboxed, and the watchdog leaves room."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.capture.ladder import worst_slot_s
from edge.config.example import EXAMPLE
from edge.config.load import parse_config

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
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
@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_systemd_has_nothing_to_say_against_a_unit(unit: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify` exits 0 even for unknown keys: any output is a failure."""
    text = re.sub(r"^(ExecStart=).*$", r"\1/bin/true", unit.read_text(), flags=re.MULTILINE)
    (tmp_path / unit.name).write_text(text)
    done = subprocess.run([ANALYZE, "verify", tmp_path / unit.name], capture_output=True, text=True)
    assert (done.stdout + done.stderr).strip() == ""


@needs_analyze
@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_unit_is_sandboxed(unit: Path) -> None:
    command = [ANALYZE, "security", "--offline=true", "--threshold=16", unit]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:]


def test_the_ladders_worst_slot_fits_the_watchdog_twice() -> None:
    (limit,) = settings("cageclock-capture.service", "Service")["WatchdogSec"]
    assert 2 * worst_slot_s(parse_config(EXAMPLE)) <= int(limit)


def test_capture_has_no_network_and_publish_no_camera() -> None:
    capture, publish = (settings(f"cageclock-{name}.service", "Service") for name in ("capture", "publish"))
    assert capture["PrivateNetwork"] == ["yes"]
    assert capture["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert publish["PrivateDevices"] == ["yes"]
    assert "DeviceAllow" not in publish
    assert capture["User"] != publish["User"]
    assert capture["Group"] == publish["Group"] == ["cageclock"]


@pytest.mark.parametrize("name", ["capture", "publish"])
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
