"""The container with the real program, installed as docs/installing.md says; skipped with a reason without one."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.machine import ROOT, Machine, build_wheel, why_not

STATION = """\
name: lab1
data: /var/lib/cageclock-station
host: localhost
port: 8883
tls:
  ca_file: /etc/cageclock/ca.pem
  cert_file: /etc/cageclock/lab1.pem
  key_file: credential:station.key
"""
DEVICE = """\
device_id: cage07
state_dir: /var/lib/cageclock
cage: {id: cage07, subject: M1}
camera:
  backend: simulated
  width: 320
  height: 240
  small_width: 160
  px_per_mm: 1.333
  picamera: {settle_timeout_s: 0.5, capture_timeout_s: 0.5}
schedule: {interval_light_s: 1, interval_dark_s: 1, phase_offset_s: 0}
outbox: {min_free_mb: 1}
mqtt:
  host: localhost
  port: 8883
  station: lab1
  keepalive_s: 5
  tls:
    ca: /etc/cageclock/ca.pem
    certificate: /etc/cageclock/cage07.pem
    key: credential:device.key
bundle:
  trusted_keys: [/rig/tiny.pub]
  target_groups: [test]
"""
NOT_HERE = (
    "apt-get ",
    "journalctl ",
    "systemd-run ",
    "/opt/cageclock/bin/cageclock bundle",
    "install -m 640 -g cageclock lab.bundle",
)
"""Lines of the document that are not typed while installing: no network, and no second bundle yet."""


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A device, a broker and a station in one container, installed by the lines of docs/installing.md."""
    if reason := why_not():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="cageclock-rig."))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    share = folder / "share"
    share.mkdir()
    build_wheel(share)
    for name in ("tiny.pub", "tiny.bundle"):
        shutil.copy(ROOT / "tests/data" / name, share / name)
    shutil.copy(Path(__file__).with_name("probe.py"), share / "probe.py")
    made = Machine(folder / "machine", share)
    try:
        made.start()
        install_as_documented(made)
        yield made
    finally:
        made.stop()
        subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()


def install_as_documented(machine: Machine) -> None:
    """Type every indented command of the document; where it says `editor`, the test's settings are written."""
    for command in documented_commands():
        if command.startswith(NOT_HERE):
            continue
        if command.startswith("editor "):
            write_file(machine, command.split()[1], STATION if "station" in command else DEVICE)
        else:
            machine.run(f"cd /root/cageclock-ca 2>/dev/null || cd /root; {command}")


def documented_commands() -> list[str]:
    """Return the commands of docs/installing.md in their order; what is not a command there is YAML."""
    lines = re.findall(r"^ {4}(\S.*)$", (ROOT / "docs/installing.md").read_text(), re.MULTILINE)
    return [line for line in lines if not re.match(r"[a-z_]+:( |$)", line)]


def write_file(machine: Machine, path: str, text: str) -> None:
    """Write a file of the machine's, by way of the shared folder."""
    (machine.share / "new").write_text(text)
    machine.run(f"install -D -m 644 /rig/new {path}")
