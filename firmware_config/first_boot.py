#!/usr/bin/python3
"""Makes a device of a provisioned card at its first boot; `first-boot.txt` on the boot partition says how it went.

Run by the system's own Python (3.11 or later) with its standard library alone: nothing else is installed yet.

    first_boot.py begin    once, from cloud-init: puts the unit in place that does the rest, and starts it
    first_boot.py prepare  the same from firstrun.sh, which restarts the machine at its end: nothing is started
    first_boot.py run      by that unit, at every boot until it is done; each step may be done again

Ends with 0 when the device measures, 75 when something has to be waited for (the unit tries again), 2 when a person
has to change something. What it writes to the card is meant for a laptop without any program of ours.
"""

from __future__ import annotations

import grp
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

BOOT = Path("/boot/firmware")
HOME = Path("/usr/local/lib/cageclock")
DONE = Path("/var/lib/cageclock-first-boot/done")
UNIT = "cageclock-first-boot.service"
PREFIX = Path("/opt/cageclock")
ETC = Path("/etc/cageclock")
STATE = Path("/var/lib/cageclock")
UNITS = (
    "cageclock-capture.service",
    "cageclock-publish.service",
    "cageclock-fetch.service",
    "cageclock-bundle.path",
    "cageclock-card.path",
)
HELD = (
    "libcamera",
    "python3-libcamera",
    "python3-picamera2",
    "rpicam-apps",
    "linux-image-rpi",
    "linux-image-6",
    "raspi-firmware",
    "firmware-brcm80211",
)
"""Beginnings of packages that stay as they are: a new camera stack changes pictures, and a study must not notice it."""


class NotYet(Exception):
    """Something has to be waited for; the unit tries again."""


class Failed(Exception):
    """A person has to change something. advice: what."""

    def __init__(self, what: str, advice: str) -> None:
        """Keep both sentences."""
        super().__init__(what)
        self.advice = advice


@dataclass
class FirstBoot:
    """What is known while it runs: the card's manifest, and a line for each step that is done."""

    card: dict[str, object]
    lines: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Our folder on the boot partition."""
        return BOOT / "cageclock"

    def files(self, below: str) -> list[Path]:
        """Return the card's files in one of its folders."""
        return sorted(self.folder / name for name in self.card["files"] if name.startswith(f"{below}/"))  # type: ignore[attr-defined]


def main(arguments: list[str]) -> int:
    """Run one of the two commands and return the exit code."""
    if arguments in (["begin"], ["prepare"]):
        try:
            return begin(start_now=arguments == ["begin"])
        except Failed as error:
            work = FirstBoot({}, [f"  begin: FAILED: {error}"])
            report(work, "FAILED", error.advice)
            return 2
    if arguments == ["run"]:
        return run()
    print(f"usage: {sys.argv[0]} begin | prepare | run", file=sys.stderr)
    return 2


def begin(*, start_now: bool) -> int:
    """Put this program and its unit in place: a power cut in the middle is made good at the next boot."""
    HOME.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(BOOT / "cageclock/first_boot.py", HOME / "first_boot.py")
    shutil.copyfile(BOOT / "cageclock" / UNIT, Path("/etc/systemd/system") / UNIT)
    # The card was written anew: what an earlier one brought to its end counts no longer.
    DONE.unlink(missing_ok=True)
    work = FirstBoot({})
    work.lines.append(f"  card: {check_card(work)}")
    report(work, "BEGUN", "wait some minutes; if it stays like this, restart the device")
    call(["systemctl", "enable", UNIT])
    if start_now and running():
        call(["systemctl", "daemon-reload"])
        call(["systemctl", "start", "--no-block", UNIT])
    return 0


def run() -> int:
    """Take every step in order, and write down how far it came."""
    work = FirstBoot({})
    name = "card"
    try:
        for name, step in STEPS:
            work.lines.append(f"  {name}: {step(work)}")
            report(work, "AT WORK", f"the next step follows; do not pull the plug ({name} is done)")
    except NotYet as error:
        work.lines.append(f"  {name}: not yet: {error}")
        report(work, "NOT YET", "it is tried again every minute and at every boot; nothing has to be done on the card")
        return 75
    except Failed as error:
        work.lines.append(f"  {name}: FAILED: {error}")
        report(work, "FAILED", error.advice)
        return 2
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        work.lines.append(f"  {name}: FAILED: {type(error).__name__}: {error}")
        report(work, "FAILED", "restart the device; if it fails again, flash the card anew and provision it")
        return 2
    DONE.parent.mkdir(parents=True, exist_ok=True)
    DONE.write_text(f"{work.card['instance']}\n")
    report(work, "OK", "nothing has to be done; the station shows the device within minutes")
    return 0


def check_card(work: FirstBoot) -> str:
    """Read the manifest and every file that it names: a card that was pulled out early is found here."""
    try:
        work.card = json.loads((work.folder / "card.json").read_text())
    except (OSError, ValueError) as error:
        raise Failed(f"card.json cannot be read: {error}", "provision the card again") from error
    wrong = []
    for name, digest in work.card["files"].items():  # type: ignore[attr-defined]
        path = work.folder / name
        if not path.is_file():
            # The key is taken off the card once it is in place.
            if not (name == "device.key" and (ETC / "device.key").is_file()):
                wrong.append(f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            wrong.append(f"{name} is not what was written")
    if wrong:
        raise Failed(f"{len(wrong)} files are wrong: {'; '.join(wrong[:5])}", "provision the card again; a card that "
                     "does this twice is worn out: take a new one")  # fmt: skip
    return f"{len(work.card['files'])} files, all as they were written"  # type: ignore[arg-type]


def check_machine(work: FirstBoot) -> str:
    """Refuse a system that the wheels were not made for, before anything is changed."""
    found = call(["dpkg", "--print-architecture"]).strip()
    if found != work.card["architecture"]:
        raise Failed(f"the system is {found}, the card's wheels are {work.card['architecture']}",
                     "flash Raspberry Pi OS Lite (64 bit)")  # fmt: skip
    version = call(["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
    if version not in work.card["pythons"]:  # type: ignore[operator]
        known = ", ".join(work.card["pythons"])  # type: ignore[arg-type]
        raise Failed(f"the system has Python {version}, the card's wheels are for {known}",
                     f"build wheels for Python {version} and provision the card again")  # fmt: skip
    return f"{found}, Python {version}"


def keep_older_state(work: FirstBoot) -> str:
    """Move another device's outbox aside: its readings must not go out under this device's name."""
    marker = STATE / "device"
    before = marker.read_text().strip() if marker.is_file() else None
    if before not in (None, work.card["device"]):
        aside = STATE.with_name(f"{STATE.name}.{before}.{int(time.time())}")
        call(["systemctl", "stop", *UNITS], tolerant=True)
        os.rename(STATE, aside)
        return f"this card was {before} before: what it had not sent is kept in {aside}"
    return "nothing of another device"


def install_packages(work: FirstBoot) -> str:
    """Install what is Debian's: from the card, else from the archive."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-qy", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends", "install"]
    debs = newer(work.files("debs"))
    if debs:
        done = subprocess.run([*install, *map(str, debs)], capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            said = last_line(done.stderr + done.stdout)
            advice = "collect the packages on a Pi of the same release (docs/provision.md) and provision the card again"
            raise Failed(f"the card's packages do not install: {said}", advice)
    came = f"{len(debs)} from the card" if debs else "none from the card"
    names = missing(work)
    if not names:
        return f"{came}, all that are needed are there"
    for command in (["apt-get", "-q", "update"], [*install, *names]):
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            said = last_line(done.stderr + done.stdout)
            raise NotYet(f"{', '.join(names)} come from the archive, which this device must reach once ({said})")
    return f"{came}, {', '.join(names)} from the archive"


def newer(debs: list[Path]) -> list[Path]:
    """Return those packages of the card that are not installed, or in an older version: apt refuses to go back."""
    found = []
    for path in debs:
        name, version = call(["dpkg-deb", "-W", "--showformat=${Package} ${Version}", str(path)]).split()
        there = call(["dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", name], tolerant=True).split()
        if there[:1] == ["installed"]:
            compared = subprocess.run(["dpkg", "--compare-versions", version, "gt", there[1]])
            if compared.returncode != 0:
                continue
        found.append(path)
    return found


def missing(work: FirstBoot) -> list[str]:
    """Return the packages that are needed and not installed."""
    return [name for name in work.card["packages"] if not installed(name)]  # type: ignore[attr-defined]


def installed(name: str) -> bool:
    """Return whether a package is installed."""
    done = subprocess.run(["dpkg-query", "-W", "-f=${Status}", name], capture_output=True, text=True)
    return done.stdout == "install ok installed"


def hold_packages(work: FirstBoot) -> str:
    """Hold the camera's and the kernel's packages; updates of security take everything else."""
    there = call(["dpkg-query", "-W", "-f=${Package}\n"]).split()
    held = [name for name in there if name.startswith(HELD)]
    if held:
        call(["apt-mark", "hold", *held])
    return f"{len(held)} packages of camera and kernel" if held else "none of camera and kernel is installed"


def write_system_files(work: FirstBoot) -> str:
    """Put settings of the system in place."""
    places = work.card["system"]
    for name, place in places.items():  # type: ignore[attr-defined]
        install_file(work.folder / name, Path(place), 0o644)
    return ", ".join(places.values()) or "none"  # type: ignore[attr-defined]


def install_program(work: FirstBoot) -> str:
    """Make the environment and install the program from the card's wheels, without a network."""
    wheels = work.folder / "wheels"
    whole = PREFIX / ".whole"
    if not whole.exists():
        # A power cut in the middle leaves an environment that looks whole.
        call(["/usr/bin/python3", "-m", "venv", "--clear", "--system-site-packages", str(PREFIX)])
    pip = [str(PREFIX / "bin/pip"), "--disable-pip-version-check", "-q", "install", "--no-index", "--no-cache-dir"]
    own = next(path for path in work.files("wheels") if path.name.startswith("cageclock-"))
    call([*pip, "--find-links", str(wheels), f"{own}[edge]"])
    # The same version may have other content.
    call([*pip, "--no-deps", "--force-reinstall", str(own)])
    whole.touch()
    where = call([str(PREFIX / "bin/python"), "-c", "import numpy; print(numpy.__file__)"]).strip()
    if work.card["picamera"] and where.startswith(str(PREFIX)):
        raise Failed(f"numpy comes from {where} and hides the system's, which picamera2 was built with",
                     f"remove numpy from the folder of wheels, then on the device: rm -r {PREFIX}")  # fmt: skip
    return call([str(PREFIX / "bin/cageclock"), "--version"]).strip()


def install_units(work: FirstBoot) -> str:
    """Let the program put its units, users and folders in place."""
    return f"{len(call([str(PREFIX / 'bin/cageclock'), 'install-units']).splitlines())} steps"


def write_settings(work: FirstBoot) -> str:
    """Put settings, certificates and keys in place; the key is root's alone."""
    ETC.mkdir(mode=0o755, exist_ok=True)
    for name in ("cageclock.yaml", "ca.pem", "device.pem"):
        install_file(work.folder / name, ETC / name, 0o644)
    for path in work.files("keys"):
        install_file(path, ETC / "keys" / path.name, 0o644)
    if (work.folder / "device.key").is_file():
        install_file(work.folder / "device.key", ETC / "device.key", 0o600)
    (STATE / "device").write_text(f"{work.card['device']}\n")
    return f"{work.card['device']}, in {ETC}"


def check_settings(work: FirstBoot) -> str:
    """Let the program judge the settings."""
    done = subprocess.run(
        [str(PREFIX / "bin/cageclock"), "check", str(ETC / "cageclock.yaml")], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Failed(last_line(done.stderr), "change lab.yaml or the fleet's table, and provision the card again")
    return " ".join((done.stdout + done.stderr).split())


def bring_bundle(work: FirstBoot) -> str:
    """Copy the model into the inbox; the unit that watches it verifies and installs it."""
    for path in work.files("bundle"):
        place = STATE / "inbox" / path.name
        install_file(path, place, 0o640)
        os.chown(place, 0, grp.getgrnam("cageclock").gr_gid)
        return path.name
    return "none on the card"


def start(work: FirstBoot) -> str:
    """Start the units, and see that they stay up."""
    call(["systemctl", "enable", *UNITS])
    if not running():
        return "enabled; systemd does not run here"
    call(["systemctl", "restart", *UNITS])
    for _ in range(60):
        states = call(["systemctl", "is-active", *UNITS], tolerant=True).split()
        if states == ["active"] * len(UNITS):
            return "all active"
        time.sleep(1)
    wrong = [unit for unit, state in zip(UNITS, states, strict=False) if state != "active"]
    said = last_line(call(["journalctl", "-qn", "5", "-o", "cat", "-u", wrong[0]], tolerant=True))
    raise Failed(f"{wrong[0]} is {states[UNITS.index(wrong[0])]}: {said}",
                 "look at the camera's cable and the module named in lab.yaml, then restart the device")  # fmt: skip


def take_secrets_off(work: FirstBoot) -> str:
    """Take the device's key off the boot partition, which any laptop can read."""
    key = work.folder / "device.key"
    if not key.is_file():
        return "were taken off before"
    with key.open("r+b") as file:
        file.write(os.urandom(key.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    key.unlink()
    return f"the device's key is in {ETC} alone"


STEPS: tuple[tuple[str, Callable[[FirstBoot], str]], ...] = (
    ("card", check_card),
    ("machine", check_machine),
    ("older state", keep_older_state),
    ("packages", install_packages),
    ("held", hold_packages),
    ("system", write_system_files),
    ("program", install_program),
    ("units", install_units),
    ("settings", write_settings),
    ("check", check_settings),
    ("model", bring_bundle),
    ("start", start),
    ("secrets", take_secrets_off),
)


def report(work: FirstBoot, result: str, advice: str) -> None:
    """Write first-boot.txt anew: a laptop shows it in any editor, so its lines end as on Windows."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    text = [
        f"CageClock: first boot of {work.card.get('device', 'an unknown device')}",
        f"result: {result}",
        f"advice: {advice}",
        f"at: {at} by this device's clock, which may be wrong before it was synchronised",
        f"card: {work.card.get('instance', 'unknown')}",
        "steps:",
        *work.lines,
        "",
    ]
    fresh = BOOT / "first-boot.new"
    try:
        with fresh.open("wb") as file:
            file.write("\r\n".join(text).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, BOOT / "first-boot.txt")
    except OSError as error:
        print(f"first-boot.txt cannot be written: {error}", file=sys.stderr)
    print(f"{result}: {work.lines[-1].strip()}", file=sys.stderr)


def install_file(source: Path, place: Path, mode: int) -> None:
    """Copy a file so that it is never there half."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(source.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(mode)
    os.replace(fresh, place)


def call(command: list[str], *, tolerant: bool = False) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0 and not tolerant:
        raise Failed(f"`{' '.join(command)[:120]}`: {last_line(done.stderr + done.stdout)}",
                     "restart the device; if it fails again, flash the card anew and provision it")  # fmt: skip
    return done.stdout


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip()[:300] for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


def running() -> bool:
    """Return whether systemd is the init system here; in a container or a chroot it may not be."""
    return Path("/run/systemd/system").is_dir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
