"""Every unit's command works within what its unit shows of /proc: `ProcSubset=pid` hides all but the processes.

A unit once hid the boot's id from a command that names it in its events; each start ended with a traceback, and only a
real systemd showed it. So each command is run here with the /proc that its unit gives it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from edge.bundle.history import read_history
from edge.bundle.wish import INBOX
from edge.contract.bundle.bundle import Bundle, read_bundle, write_bundle
from edge.contract.bundle.keys import new_key_pair
from tests.edge.capture.running import write_settings
from tests.harness.child import Child, python
from tests.harness.mosquitto import free_port
from tests.systemd.test_units import SERVICES, settings

_CAN_MOUNT = 21
"""The bit of CAP_SYS_ADMIN."""
_SHELL = 'mount -t proc -o "$1" proc /proc && shift && exec "$@"'
_PROGRAMS = {"cageclock": "edge.cli", "cageclock-station": "station.cli"}
_HIDDEN = ("invisible", "noaccess", "ptraceable")
NAMES = sorted(path.stem.removeprefix("cageclock-") for path in SERVICES)


def may_mount() -> bool:
    """Return whether this process has the right to mount: then the test has to work, and is not passed over."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    rights = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return os.geteuid() == 0 and bool(rights >> _CAN_MOUNT & 1)


needs_mount = pytest.mark.skipif(not may_mount(), reason="only root with CAP_SYS_ADMIN can mount another /proc")


def proc_options(unit: str) -> str:
    """Return how systemd mounts /proc for a unit."""
    service = settings(f"cageclock-{unit}.service", "Service")
    found = []
    if (hidden := service.get("ProtectProc", ["default"])[-1]) in _HIDDEN:
        found.append(f"hidepid={hidden}")
    if service.get("ProcSubset", ["all"])[-1] == "pid":
        found.append("subset=pid")
    return ",".join(found) or "nosuid"


def within(options: str, command: list[str]) -> list[str]:
    """Return the command line that runs a command in a mount namespace with another /proc."""
    unshare = shutil.which("unshare")
    assert unshare is not None, "unshare (util-linux) is not installed"
    return [unshare, "--mount", "--propagation", "private", "sh", "-c", _SHELL, "sh", options, *command]


def command_of(unit: str, config: Path) -> list[str]:
    """Return what a unit runs, with this interpreter, other settings and the folders of a test."""
    (line,) = settings(f"cageclock-{unit}.service", "Service")["ExecStart"]
    program, *words = shlex.split(line)
    if Path(program).name not in _PROGRAMS:
        return ["sh", str(Path(__file__).parents[2] / "systemd" / Path(program).name)]
    words[words.index("--config") + 1] = str(config)
    folders = {"/boot/firmware/model": config.parent / "model", "/media/cageclock": config.parent / "stick"}
    return python("-m", _PROGRAMS[Path(program).name], *(folders.get(word, word) for word in words))


def settings_for(unit: str, folder: Path) -> Path:
    """Write the settings of a unit's command and return their path."""
    port = free_port()
    if unit in ("station", "fleet", "page"):
        data = folder / "data"
        data.mkdir()
        values = {"data": str(data)} | ({"port": port} if unit == "page" else {"host": "127.0.0.1", "port": port})
        path = folder / f"{unit}.yaml"
        path.write_text(yaml.safe_dump(values | ({"name": "lab1"} if unit == "station" else {})))
        return path
    (folder / "lab.pub").write_bytes(new_key_pair()[1])
    bundle = f"{{trusted_keys: [{folder / 'lab.pub'}], target_groups: [test]}}"
    more = f"mqtt: {{host: 127.0.0.1, port: {port}}}\nbundle: {bundle}\n"
    (folder / "state" / INBOX).mkdir(parents=True)
    return write_settings(folder, more=f"{more}schedule: {{interval_light_s: 1, interval_dark_s: 1}}\n")


@contextmanager
def started(unit: str, folder: Path) -> Iterator[tuple[Child, socket.socket]]:
    """Start a unit's daemon, and yield it with the socket on which it notifies systemd."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(120)
        command = within(proc_options(unit), command_of(unit, settings_for(unit, folder)))
        with Child(command, folder / "log", NOTIFY_SOCKET=str(folder / "notify")) as child:
            yield child, systemd


@pytest.fixture(scope="module")
def tiny_bundle() -> Bundle:
    data = Path(__file__).parents[1] / "data"
    return read_bundle(data / "tiny.bundle", [(data / "tiny.pub").read_bytes()])


DAEMONS = [name for name in NAMES if settings(f"cageclock-{name}.service", "Service").get("Type") == ["notify"]]
ONCE = [name for name in NAMES if name not in DAEMONS]


def test_the_commands_that_run_once_are_those_below() -> None:
    """A new unit of this kind needs its test here."""
    assert ONCE == ["bundle", "card", "reboot"]


@needs_mount
@pytest.mark.parametrize("unit", DAEMONS)
def test_a_daemon_works_with_what_its_unit_shows_of_proc(unit: str, tmp_path: Path) -> None:
    """It is ready, has made progress at least once, and ends in order; nothing unforeseen happened on the way."""
    with started(unit, tmp_path) as (child, systemd):
        heard = systemd.recv(2000).decode()
        while "WATCHDOG=1" not in heard:
            heard += "\n" + systemd.recv(2000).decode()
        assert "READY=1" in heard
        assert child.stop() == 0, child.log()
        assert "Traceback" not in child.log()
        assert "unexpected" not in child.log()


@needs_mount
def test_the_installer_works_with_what_its_unit_shows_of_proc(tmp_path: Path, tiny_bundle: Bundle) -> None:
    config = settings_for("bundle", tmp_path)
    private, public = new_key_pair()
    (tmp_path / "lab.pub").write_bytes(public)
    inbox = tmp_path / "state" / INBOX
    write_bundle(inbox / "a.bundle", tiny_bundle.manifest, tiny_bundle.files, private)
    done = subprocess.run(
        within(proc_options("bundle"), command_of("bundle", config)), capture_output=True, text=True, timeout=300
    )
    assert "Traceback" not in done.stderr
    assert [entry.result for entry in read_history(tmp_path / "state").entries] == ["installed"], done.stderr
    assert done.returncode == 0


@needs_mount
def test_the_carrier_works_with_what_its_unit_shows_of_proc(tmp_path: Path, tiny_bundle: Bundle) -> None:
    """It waits for the installer, which takes its turn with its own /proc."""
    config = settings_for("card", tmp_path)
    private, public = new_key_pair()
    (tmp_path / "lab.pub").write_bytes(public)
    stick = tmp_path / "stick"
    stick.mkdir()
    write_bundle(stick / "a.bundle", tiny_bundle.manifest, tiny_bundle.files, private)
    inbox = tmp_path / "state" / INBOX
    with Child(within(proc_options("card"), command_of("card", config)), tmp_path / "card.log") as carrier:
        with Child(within(proc_options("bundle"), command_of("bundle", config)), tmp_path / "bundle.log") as installer:
            while carrier.exit_code() is None:  # what the path unit does
                if installer.exit_code() is not None and any(inbox.glob("*.bundle")):
                    installer.start()
                try:
                    carrier.ended(0.2)
                except subprocess.TimeoutExpired:
                    continue
            installer.ended(300)
        assert carrier.exit_code() == 0, carrier.log()
        assert "Traceback" not in carrier.log() + installer.log()
    assert "It is installed" in (stick / "a.bundle.result.txt").read_text()


@needs_mount
def test_the_reboots_helper_reads_the_uptime_that_its_unit_shows(tmp_path: Path) -> None:
    command = within(proc_options("reboot"), command_of("reboot", tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"CAGECLOCK_REBOOT": "true"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "the machine is up for" in done.stdout


@needs_mount
def test_a_unit_that_hid_the_boots_id_would_be_found(tmp_path: Path) -> None:
    """The fault that was: with all but the processes hidden the installer cannot name the boot, and says so."""
    config = settings_for("bundle", tmp_path)
    (tmp_path / "state" / INBOX / "a.bundle").write_bytes(b"rubbish" * 1000)
    with Child(within("subset=pid", command_of("bundle", config)), tmp_path / "log") as child:
        child.wait_for("unexpected FileNotFoundError")
