"""`cageclock install-units`: the units, users, folders and system settings, put in place on a device or a station.

The files are those of `systemd/` and `firmware_config/` of the source tree, which the wheel carries along under
`share/cageclock`. Every step is printed, and a second run changes nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.errors import DeviceError, OperatorError
from edge.outbox.recovery.older_state import move_into_folders

_UNITS = "etc/systemd/system"
_DEVICE = {
    "systemd/cageclock-capture.service": _UNITS,
    "systemd/cageclock-publish.service": _UNITS,
    "systemd/cageclock-bundle.service": _UNITS,
    "systemd/cageclock-bundle.path": _UNITS,
    "systemd/cageclock-fetch.service": _UNITS,
    "systemd/cageclock-card.service": _UNITS,
    "systemd/cageclock-card.path": _UNITS,
    "systemd/media-cageclock.mount": _UNITS,
    "systemd/99-cageclock-stick.rules": "etc/udev/rules.d/99-cageclock-stick.rules",
    "systemd/cageclock-reboot.service": _UNITS,
    "systemd/cageclock.sysusers.conf": "etc/sysusers.d/cageclock.conf",
    "systemd/cageclock.tmpfiles.conf": "etc/tmpfiles.d/cageclock.conf",
    "firmware_config/journald.conf": "etc/systemd/journald.conf.d/cageclock.conf",
    "firmware_config/wifi.conf": "etc/NetworkManager/conf.d/cageclock-wifi.conf",
    "firmware_config/watchdog.conf": "etc/systemd/system.conf.d/cageclock-watchdog.conf",
}
_STATION = {
    "systemd/cageclock-station.service": _UNITS,
    "systemd/cageclock-page.service": _UNITS,
    "systemd/cageclock-fleet.service": _UNITS,
    "systemd/cageclock-station.sysusers.conf": "etc/sysusers.d/cageclock-station.conf",
    "firmware_config/mosquitto/cageclock.conf": "etc/mosquitto/conf.d/cageclock.conf",
    "firmware_config/mosquitto/cageclock.acl": "etc/mosquitto/cageclock.acl",
}
_HELPER = "systemd/cageclock-reboot"
_PREFIX = "/opt/cageclock"
"""Where the units expect the program; another environment's path takes its place."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to: root is `/` on the machine itself, or a mounted card. prefix: the program's environment there."""

    root: Path
    prefix: str

    @property
    def live(self) -> bool:
        """Whether it is the running machine."""
        return self.root == Path("/")


def install_units(root: Path, *, station: bool) -> Iterator[str]:
    """Put everything in place, yielding one sentence a step.

    Raises:
        OperatorError: not run as root, the folder is none, or the files did not come with the program.
        DeviceError: one of systemd's own tools failed.
    """
    if not root.is_dir():
        raise OperatorError(f"--root: {root} is no folder; mount the card there first")
    target = Target(root.resolve(), _prefix_in(root.resolve()))
    source = source_folder()
    try:
        for name, place in (_STATION if station else _DEVICE).items():
            if not place.endswith((".conf", ".acl", ".rules")):
                place = f"{place}/{Path(name).name}"
            yield _write(target, place, _adapted((source / name).read_text(), target), 0o644)
        if not station:
            helper = f"{target.prefix.lstrip('/')}/libexec/cageclock-reboot"
            yield _write(target, helper, (source / _HELPER).read_text(), 0o755)
        yield _make_folder(target, "etc/cageclock")
    except PermissionError as error:
        raise OperatorError(f"{error.filename}: {error.strerror}; run it as root: sudo {sys.argv[0]} ...") from error
    except OSError as error:
        raise DeviceError(f"{error.filename}: {error.strerror}") from error
    if not station:
        yield from move_into_folders(target.root / "var/lib/cageclock")
    yield from _run_tools(target, station)
    yield _next_step(station)


def source_folder() -> Path:
    """Return the folder that holds `systemd/` and `firmware_config/`: the source tree, else the wheel's share.

    Raises:
        OperatorError: neither is there.
    """
    tree = Path(__file__).parents[2]
    for folder in (tree, Path(sys.prefix) / "share/cageclock"):
        if (folder / "systemd/cageclock-capture.service").is_file():
            return folder
    raise OperatorError(f"the unit files are neither in {tree} nor in {sys.prefix}/share/cageclock; install it again")


def _prefix_in(root: Path) -> str:
    """Return the environment as the machine under `root` will see it."""
    prefix = Path(sys.prefix).resolve()
    if root != Path("/") and prefix.is_relative_to(root):
        return "/" + os.fspath(prefix.relative_to(root))
    return _PREFIX if root != Path("/") else os.fspath(Path(sys.prefix))


def _adapted(text: str, target: Target) -> str:
    return text if target.prefix == _PREFIX else text.replace(f"{_PREFIX}/", f"{target.prefix}/")


def _write(target: Target, place: str, text: str, mode: int) -> str:
    path = target.root / place
    if path.is_file() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
        return f"/{place}: unchanged"
    change = "replaced" if path.exists() else "written"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.chmod(mode)
    os.replace(fresh, path)
    return f"/{place}: {change}"


def _make_folder(target: Target, place: str) -> str:
    path = target.root / place
    if path.is_dir():
        return f"/{place}: unchanged"
    path.mkdir(mode=0o755, parents=True)
    return f"/{place}: made, for the settings"


def _run_tools(target: Target, station: bool) -> Iterator[str]:
    """Make users and folders by systemd's own tools, and let a running systemd read the units."""
    where = [] if target.live else [f"--root={target.root}"]
    name = "cageclock-station.conf" if station else "cageclock.conf"
    commands = [["systemd-sysusers", *where, name]]
    if not station:
        commands.append(["systemd-tmpfiles", "--create", *where, name])
    running = target.live and Path("/run/systemd/system").is_dir()
    if running:
        commands.append(["systemctl", "daemon-reload"])
    for command in commands:
        if shutil.which(command[0]) is None:
            yield f"{command[0]}: not on this machine; the device runs it at its next boot"
            continue
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DeviceError(f"{' '.join(command)}: code {done.returncode}: {done.stderr.strip()[-300:]}")
        yield f"{' '.join(command)}: done"
    if not running:
        yield "systemd does not run here: it reads the units at the next boot"


def _next_step(station: bool) -> str:
    if station:
        return "now: write /etc/cageclock/station.yaml, then systemctl enable --now cageclock-station"
    units = "cageclock-capture cageclock-publish cageclock-fetch cageclock-bundle.path cageclock-card.path"
    return f"now: write /etc/cageclock/cageclock.yaml, then systemctl enable --now {units}"
