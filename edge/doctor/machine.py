"""The machine around the program: clock, disk, permissions."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from edge.config.state_folder import capture_folder
from edge.config.tree import Config
from edge.doctor.finding import Finding
from edge.timing.clock import Clock

WORKER = "cageclock-capture"
"""The user of the capture unit, who may read what the doctor looks at."""


def check_clock(clock: Clock) -> Finding:
    """Return whether the wall clock was set in this boot."""
    now = clock.now().isoformat(timespec="seconds")
    if clock.synced():
        return Finding("clock", True, f"synchronised, {now}")
    advice = (
        "readings are kept and labelled as unsynchronised, their light phase is unknown; "
        "check `timedatectl` and the network's time server"
    )
    return Finding("clock", False, f"not synchronised in this boot, {now}", advice)


def check_disk(config: Config) -> Finding:
    """Return whether the outbox's ceiling fits beside what must stay free."""
    place = _existing(Path(config.state_dir))
    usage = shutil.disk_usage(place)
    free_mb = usage.free // 1_000_000
    text = f"{free_mb} MB free on the disk of {config.state_dir}"
    if free_mb < config.outbox.min_free_mb:
        advice = "remove files, or lower outbox.min_free_mb; released thumbnails are removed first by themselves"
        return Finding("disk", False, f"{text}, below outbox.min_free_mb {config.outbox.min_free_mb}", advice)
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return Finding("disk", False, f"{config.state_dir} lies on a read-only file system", "remount it writable")
    return Finding("disk", True, text)


def check_permissions(config: Config) -> Finding:
    """Return whether this user can do its work, and nobody else can read the secrets."""
    problem = next(_permission_problems(config), None)
    if problem is not None:
        return Finding("permissions", False, *problem)
    own = capture_folder(Path(config.state_dir))
    can = "write" if own.exists() else "make"
    text = f"user {os.geteuid()} can {can} {own} and read every file named"
    return Finding("permissions", True, text)


def _permission_problems(config: Config) -> Iterator[tuple[str, str]]:
    """Yield what is wrong and what to do about it."""
    own = capture_folder(Path(config.state_dir))
    place = _existing(own)
    if not os.access(place, os.W_OK | os.X_OK, effective_ids=True):
        yield f"{place} cannot be written by user {user_name()}", how_to_have_the_rights(place)
    for key, name in _files(config):
        if not os.access(name, os.R_OK, effective_ids=True):
            there = f"cannot be read by user {user_name()}" if os.path.lexists(name) else "does not exist"
            yield f"{key}: {name} {there}", "correct the path, or its owner and mode"
        elif key in ("mqtt.password_file", "mqtt.tls.key") and name.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield f"{key}: {name} can be read by every user", f"chmod o= {name}"
    if config.camera.backend == "picamera" and os.geteuid() != 0 and not _in_group("video"):
        yield "this user is not in the group video", "sudo usermod -aG video $USER, then log in again"


def _files(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the files that the settings name, with their keys; systemd's credentials are its own affair."""
    mqtt = config.mqtt
    if mqtt.password_file is not None and not mqtt.password_file.startswith("credential:"):
        yield "mqtt.password_file", Path(mqtt.password_file)
    if mqtt.tls is not None:
        for key, name in (("ca", mqtt.tls.ca), ("certificate", mqtt.tls.certificate), ("key", mqtt.tls.key)):
            if name is not None and not name.startswith("credential:"):
                yield f"mqtt.tls.{key}", Path(name)
    for index, name in enumerate(config.bundle.trusted_keys or ()):
        yield f"bundle.trusted_keys[{index}]", Path(name)


def user_name() -> str:
    """Return who runs this, by name where there is one."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def how_to_have_the_rights(path: Path) -> str:
    """Return what a person without the rights for a file does: on a device, be the user whose it is."""
    try:
        pwd.getpwnam(WORKER)
    except KeyError:
        return f"run it as the user whose it is, or: sudo chown -R $USER {path}"
    if user_name() == WORKER:
        return f"sudo chown {WORKER}:cageclock {path}; `cageclock install-units` sets all owners right"
    return f"run the doctor as the user that does the work: sudo -u {WORKER} cageclock doctor --config FILE"


def _existing(path: Path) -> Path:
    """Return the path itself or its nearest parent that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _in_group(name: str) -> bool:
    try:
        return grp.getgrnam(name).gr_gid in os.getgroups()
    except KeyError:
        return False
