"""The real program under the real units and a real systemd: hangs, crashes, a full disk, a reboot; and the sandbox."""

from __future__ import annotations

import re

import pytest

from tests.rig.conftest import DEVICE, documented_commands, write_file
from tests.rig.machine import Machine

DAEMONS = ("cageclock-capture", "cageclock-publish", "cageclock-fetch", "cageclock-station")
STATE = "/var/lib/cageclock"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def stored(machine: Machine) -> int:
    """How many readings the station's database holds."""
    return int(query(machine, "/var/lib/cageclock-station/station.db", "SELECT count(*) FROM readings") or 0)


def query(machine: Machine, path: str, sql: str) -> str:
    program = f"import sqlite3; print(sqlite3.connect('file:{path}?mode=ro', uri=True).execute('{sql}').fetchone()[0])"
    return machine.run(f'/opt/cageclock/bin/python -c "{program}"', check=False)


def wait_for_readings(machine: Machine, more: int = 3, limit_s: float = 90) -> float:
    """Wait until more readings have come all the way, and return how long it took."""
    want = stored(machine) + more
    return machine.wait_for(lambda: stored(machine) >= want, limit_s, f"{more} more readings did not arrive")


def assert_nothing_is_missing(machine: Machine) -> None:
    """Every number from 1 to the highest comes to be there, in each epoch; the newest is sent first, so it may take."""
    sql = "SELECT sum(n) FROM (SELECT max(seq) - count(*) AS n FROM records GROUP BY epoch)"
    found = lambda: query(machine, "/var/lib/cageclock-station/station.db", sql)  # noqa: E731
    machine.wait_for(lambda: found() == "0", 40, "records are missing at the station")


def test_readings_arrive_as_soon_as_it_is_installed(machine: Machine) -> None:
    wait_for_readings(machine)
    for unit in DAEMONS:
        assert machine.show(unit, "ActiveState") == "active"
        assert machine.show(unit, "NRestarts") == "0", machine.journal(unit)[-2000:]
    assert machine.run("systemctl list-units --state=failed --no-legend --plain 'cageclock*'") == ""
    assert "warn" not in machine.run("systemd-analyze verify /etc/systemd/system/cageclock-* 2>&1 || true").lower()


def test_each_file_has_its_one_writer(machine: Machine) -> None:
    listed = machine.run(f"cd {STATE} && stat -c '%n %U %G %a' . */ */*.db capture/*/")
    assert listed.splitlines() == [
        ". root cageclock 2750",
        "bundles/ cageclock-bundle cageclock 2750",
        "capture/ cageclock-capture cageclock 2750",
        "fetch/ cageclock-fetch cageclock 2750",
        "inbox/ cageclock-publish cageclock 2770",
        "publish/ cageclock-publish cageclock 2750",
        "capture/outbox.db cageclock-capture cageclock 660",
        "publish/delivery.db cageclock-publish cageclock 660",
        "capture/thumbnails/ cageclock-capture cageclock 2750",
    ]


@pytest.mark.parametrize("unit", DAEMONS)
def test_a_crash_is_followed_by_a_restart(machine: Machine, unit: str) -> None:
    before = machine.main_pid(unit)
    machine.run(f"kill -SEGV {before}")
    machine.wait_for(lambda: machine.main_pid(unit) not in (0, before), 30, f"{unit} was not restarted")
    wait_for_readings(machine)
    assert_nothing_is_missing(machine)


def test_a_hang_of_each_process_is_ended_by_its_watchdog(machine: Machine) -> None:
    """The real limits are minutes; here they are as short as each process allows with short time-outs."""
    for unit, limit_s in zip(DAEMONS, (45, 90, 45, 45), strict=True):
        text = f"[Service]\nWatchdogSec={limit_s}\nTimeoutAbortSec=5\n"
        write_file(machine, f"/run/systemd/system/{unit}.service.d/short.conf", text)
    machine.run(f"systemctl daemon-reload && systemctl restart {' '.join(DAEMONS)}")
    wait_for_readings(machine)
    hung = {unit: machine.main_pid(unit) for unit in DAEMONS}
    machine.run(f"kill -STOP {' '.join(str(pid) for pid in hung.values())}")
    for unit, pid in hung.items():
        machine.wait_for(lambda unit=unit, pid=pid: machine.main_pid(unit) not in (0, pid), 150, f"{unit} still hangs")
        assert "Watchdog timeout" in machine.journal(unit)
    wait_for_readings(machine)
    assert_nothing_is_missing(machine)


def test_a_bundle_in_the_inbox_is_installed_and_taken_up(machine: Machine) -> None:
    machine.run(f"install -m 640 -g cageclock /rig/tiny.bundle {STATE}/inbox/lab.bundle")
    status = "/opt/cageclock/bin/cageclock bundle status --config /etc/cageclock/cageclock.yaml"
    machine.wait_for(lambda: "installed" in machine.run(status), 60, "the bundle was not installed")
    assert machine.run(f"ls {STATE}/inbox") == ""
    assert machine.run(f"stat -L -c %U {STATE}/bundles/active.bundle") == "cageclock-bundle"
    machine.wait_for(lambda: "model tiny" in machine.journal("cageclock-capture"), 30, "capture did not take it up")
    machine.run(f"echo rubbish > {STATE}/inbox/bad.bundle")
    machine.wait_for(lambda: "refused" in machine.run(status), 60, "the bad bundle was not refused")
    assert machine.run(f"ls {STATE}/inbox") == ""
    assert machine.show("cageclock-bundle.path", "ActiveState") == "active"
    wait_for_readings(machine)


def test_the_doctor_sees_broker_model_and_permissions_as_the_document_says(machine: Machine) -> None:
    (command,) = (line for line in documented_commands() if line.startswith("systemd-run"))
    said = machine.run(f"{command} || true")
    for name in ("permissions", "disk", "camera", "model", "broker"):
        assert re.search(rf"^ok +{name} ", said, re.MULTILINE), said


def probe(machine: Machine, name: str) -> dict[str, str]:
    """What the probe could do under the packaged unit, all of its lines kept but for what is started."""
    unit = machine.run(f"cat /etc/systemd/system/cageclock-{name}.service")
    unit = re.sub(r"^ExecStart=.*$", "ExecStart=/opt/cageclock/bin/python /rig/probe.py", unit, flags=re.MULTILINE)
    unit = re.sub(
        r"^(Type=.*|Restart=.*|WatchdogSec=.*|ExecStopPost=.*|NotifyAccess=.*)$", "", unit, flags=re.MULTILINE
    )
    unit = unit.replace("[Service]", "[Service]\nType=oneshot\nStandardOutput=truncate:/tmp/probe.out")
    write_file(machine, "/run/systemd/system/cageclock-probe.service", unit)
    machine.run("systemctl daemon-reload && systemctl start cageclock-probe")
    lines = machine.run("cat /tmp/probe.out").splitlines()
    return dict(line.split(": ", 1) for line in lines)


ALLOWED = {
    "capture": {"write state/capture", "write state/capture/thumbnails", "rename state/capture/capture.json"},
    "publish": {"network", "write state/publish", "write state/inbox", "rename state/publish/delivery.lock"},
    "bundle": {"write state/bundles", "write state/inbox"},
}


@pytest.mark.parametrize("name", ALLOWED)
def test_the_sandbox_holds(machine: Machine, name: str) -> None:
    """Capture has no network, and nobody writes outside of its state. (The camera itself: in the emulated machine.)"""
    tried = probe(machine, name)
    assert len(tried) == 29
    assert {what for what, outcome in tried.items() if outcome == "done"} == ALLOWED[name], tried


def test_a_reboot_goes_on_where_it_was(machine: Machine) -> None:
    """Under an epoch of its own, as each start has one; nothing of the one before is missing."""
    newest = "SELECT epoch FROM records ORDER BY id DESC LIMIT 1"
    epoch = query(machine, f"{STATE}/capture/outbox.db", newest)
    machine.reboot()
    wait_for_readings(machine)
    assert query(machine, f"{STATE}/capture/outbox.db", newest) != epoch
    assert_nothing_is_missing(machine)


def test_a_dead_camera_ends_in_one_reboot_by_the_helper(machine: Machine) -> None:
    """No fresh frame after all restarts: code 75, and the helper reboots, because it believes in 30,000 s of uptime."""
    write_file(machine, "/run/uptime", "30000.0 1.0\n")
    text = "[Service]\nEnvironment=CAGECLOCK_UPTIME_FILE=/run/uptime\n"
    write_file(machine, "/run/systemd/system/cageclock-reboot.service.d/uptime.conf", text)
    settings = "/etc/cageclock/cageclock.yaml"
    write_file(
        machine, settings, DEVICE.replace("  picamera:", "  simulated: {faults: {1-9999: timeout}}\n  picamera:")
    )
    before = machine.boot_id()
    machine.run("systemctl daemon-reload && systemctl --no-block restart cageclock-capture")
    machine.boot_again(120)
    assert machine.boot_id() != before
    write_file(machine, settings, DEVICE)
    machine.wait_for(lambda: "active" in machine.show("cageclock-capture", "ActiveState"), 60, "it did not come up")
    machine.run("systemctl restart cageclock-capture")
    wait_for_readings(machine)
    assert_nothing_is_missing(machine)


def fill_disk(machine: Machine) -> int:
    """Write until nothing more can be written, and return how many kB are free then."""
    machine.run(f"dd if=/dev/zero of={STATE}/filler bs=64k oflag=append conv=notrunc || true")
    return int(machine.run(f"df --output=avail -k {STATE} | tail -1"))


def test_a_full_disk_stops_nothing_and_loses_nothing_in_silence(machine: Machine) -> None:
    machine.run("systemctl stop cageclock-capture cageclock-publish")
    machine.run(f"mount -t tmpfs -o size=40m,mode=2770 tmpfs {STATE} && systemd-tmpfiles --create cageclock.conf")
    machine.run("systemctl start cageclock-capture cageclock-publish")
    wait_for_readings(machine)
    pids = [machine.main_pid(unit) for unit in DAEMONS]
    # Again and again: at the first ENOSPC capture gives up its reserve, which is to be filled, too.
    machine.wait_for(lambda: fill_disk(machine) < 64, 60, "the disk cannot be filled")
    machine.wait_for(lambda: "no space left" in machine.journal("cageclock-capture"), 90, "no full disk reported")
    assert [machine.main_pid(unit) for unit in DAEMONS] == pids
    machine.run(f"rm {STATE}/filler")
    wait_for_readings(machine)
    assert [machine.main_pid(unit) for unit in DAEMONS] == pids


def test_the_documents_lines_are_the_ones_that_were_typed() -> None:
    """Guards the reader of the document: a block that is neither YAML nor a command would be typed as one."""
    known = ("mkdir", "cd", "openssl", "printf", "apt-get", "python3", "/opt/cageclock/bin/", "install", "systemctl")
    for command in documented_commands():
        assert command.startswith((*known, "editor", "systemd-run", "journalctl")), command
