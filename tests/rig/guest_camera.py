"""In the emulated machine: the real units, real picamera2, a virtual camera; writes what happened to $OUT/result.json.

100 captures with a hang in the middle that the watchdog ends, an OOM kill by the kernel, and who may open the camera.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import time
from pathlib import Path

UNIT = "cageclock-capture"
STATE = Path("/var/lib/cageclock")
PROGRAM = "/opt/cageclock/bin"
WATCHDOG_S = 75
SETTINGS = """\
device_id: rig
state_dir: /var/lib/cageclock
cage: {id: rig}
camera:
  backend: picamera
  width: 640
  height: 480
  picamera: {settle_timeout_s: 1, capture_timeout_s: 12}
schedule: {interval_light_s: 1, interval_dark_s: 1, phase_offset_s: 0}
bundle: {trusted_keys: [/input/tiny.pub], path: /input/tiny.bundle}
"""


def shell(command: str) -> str:
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    print(f"$ {command}\n{done.stdout}{done.stderr}", flush=True)
    return done.stdout.strip()


def outcomes() -> dict[str, int]:
    try:
        with sqlite3.connect(f"file:{STATE}/capture/outbox.db?mode=ro", uri=True) as connection:
            bodies = [json.loads(row[0]) for row in connection.execute("SELECT body FROM records ORDER BY id")]
    except sqlite3.Error:
        return {}
    found: dict[str, int] = {}
    for body in bodies:
        name = body.get("outcome") or f"event {body.get('code')}"
        found[name] = found.get(name, 0) + 1
    return found


def photographed() -> int:
    """Readings for which a frame came: every outcome but a fault of the camera, or a frame that was refused."""
    faults = ("camera_fault", "camera_error", "stale_frame")
    return sum(n for name, n in outcomes().items() if not name.startswith("event ") and name not in faults)


def pid() -> int:
    done = subprocess.run(["systemctl", "show", "-P", "MainPID", UNIT], capture_output=True, text=True)
    return int(done.stdout or 0)


def measure(of: int) -> dict[str, int]:
    status = Path(f"/proc/{of}/status").read_text()
    resident = re.search(r"VmRSS:\s+(\d+)", status)
    return {
        "captures": photographed(),
        "files": len(list(Path(f"/proc/{of}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{of}/task").iterdir())),
        "rss_kib": int(resident.group(1)) if resident else 0,
    }


def follow(until: int, limit_s: float) -> list[dict[str, int]]:
    """Measure the process every few captures until so many readings are there."""
    seen: list[dict[str, int]] = []
    begin = time.monotonic()
    while photographed() < until:
        if time.monotonic() - begin > limit_s:
            print(f"only {outcomes()} after {limit_s:.0f} s", flush=True)
            break
        time.sleep(2)
        try:
            now = measure(pid())
        except (OSError, ValueError):
            continue
        if not seen or now["captures"] >= seen[-1]["captures"] + 3:
            seen.append(now)
            print(now, flush=True)
    return seen


def wait_for(condition, limit_s: float) -> float:
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > limit_s:
            return -1.0
        time.sleep(0.5)
    return round(time.monotonic() - begin, 1)


def probe(name: str) -> dict[str, str]:
    """Run the probe under a unit's own sandbox."""
    unit = Path(f"/etc/systemd/system/cageclock-{name}.service").read_text()
    unit = re.sub(r"^ExecStart=.*$", f"ExecStart={PROGRAM}/python /input/probe.py", unit, flags=re.MULTILINE)
    unit = re.sub(r"^(Type|Restart|WatchdogSec|ExecStopPost|NotifyAccess)=.*$", "", unit, flags=re.MULTILINE)
    unit = unit.replace("[Service]", "[Service]\nType=oneshot\nStandardOutput=truncate:/run/probe.out")
    Path("/run/systemd/system/cageclock-probe.service").write_text(unit)
    shell("systemctl daemon-reload; systemctl start cageclock-probe")
    return dict(line.split(": ", 1) for line in Path("/run/probe.out").read_text().splitlines())


REOPENING = """
import os
from edge.camera.picamera import PiCamera
from edge.camera.protocol import Shot
from edge.timing.clock import SystemClock
from edge.config.load import parse_config
from edge.contract.reading import Light
text = open("/etc/cageclock/cageclock.yaml").read().replace("capture_timeout_s: 12", "capture_timeout_s: 60")
config, clock = parse_config(text), SystemClock()
camera, counts = PiCamera(config.camera, clock), []
for _ in range(8):
    camera.open()
    camera.capture(Shot(clock.monotonic_s(), Light.UNKNOWN))
    counts.append(len(os.listdir("/proc/self/fd")))
camera.close()
print(*counts)
"""
"""One process that opens the camera eight times, as the recovery ladder does; descriptors after each capture."""


def reopen() -> list[int]:
    Path("/run/reopen.py").write_text(REOPENING)
    return [int(word) for word in shell(f"{PROGRAM}/python /run/reopen.py").splitlines()[-1].split()]


def main() -> None:
    captures = int(os.environ.get("CAPTURES", "100"))
    shell(f"{PROGRAM}/pip install -q --no-index --no-deps /input/cageclock-*.whl")
    shell(f"{PROGRAM}/cageclock install-units")
    Path("/etc/cageclock/cageclock.yaml").write_text(SETTINGS)
    drop_in = Path(f"/etc/systemd/system/{UNIT}.service.d/short.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(f"[Service]\nWatchdogSec={WATCHDOG_S}\nTimeoutAbortSec=5\n")
    result: dict[str, object] = {"probes": {name: probe(name)["camera"] for name in ("capture", "publish", "bundle")}}
    result["reopened"] = reopen()
    begin = time.monotonic()
    shell(f"systemctl daemon-reload; systemctl start {UNIT}")
    result["first_half"] = follow(captures // 2, 1200)
    hung = pid()
    os.kill(hung, 19)
    result["hang_ended_after_s"] = wait_for(lambda: pid() not in (0, hung), WATCHDOG_S + 60)
    result["second_half"] = follow(captures, 1200)
    result["seconds"] = round(time.monotonic() - begin)
    before, had = pid(), photographed()
    shell(f"systemctl set-property --runtime {UNIT} MemoryMax=20M")
    wait_for(lambda: pid() != before, 60)
    shell(f"systemctl set-property --runtime {UNIT} MemoryMax=600M")
    result["oom_killed"] = "oom-kill" in shell(f"journalctl -b --no-pager -u {UNIT} | grep -i oom")
    result["after_oom_s"] = wait_for(lambda: photographed() >= had + 3, 240)
    shell(f"systemctl stop {UNIT}")
    result["outcomes"] = outcomes()
    result["watchdog"] = "Watchdog timeout" in shell(f"journalctl -b --no-pager -u {UNIT} | grep -i watchdog")
    Path(os.environ["OUT"], "result.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
