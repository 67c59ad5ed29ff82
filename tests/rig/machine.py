"""A container with real systemd as PID 1: booted from the rig's tree, changed freely, thrown away at the end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
RIG = Path(os.environ.get("RIG", Path.home() / ".cache/cageclock-rig"))
TREE = RIG / "container"
BOOT_S = 60.0
ASKS_FOR_REBOOT = 133
"""How systemd-nspawn ends with --keep-unit, so that whoever started it starts it again."""


class Machine:
    """One container. Its disk is an overlay over the tree, so that it survives a reboot and nothing survives the test.

    share: a folder of the host, seen as /rig inside.
    """

    def __init__(self, folder: Path, share: Path) -> None:
        """Nothing is mounted or running yet."""
        self._folder, self.share = folder, share
        self.root = folder / "root"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Mount the overlay and boot."""
        for name in ("upper", "work", "root"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        layers = f"lowerdir={TREE},upperdir={self._folder}/upper,workdir={self._folder}/work"
        # An overlay cannot have its upper layer on another overlay; a tmpfs always does.
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)], check=True)
        self.boot()

    def boot(self) -> None:
        """Start systemd and wait until it has come up."""
        command = ["systemd-nspawn", "-q", "-b", "-D", str(self.root), "-M", f"rig-{os.getpid()}"]
        # --register=no --keep-unit ask nothing of the host, whose PID 1 need not be systemd.
        command += ["--register=no", "--keep-unit", "--private-network", f"--bind={self.share}:/rig"]
        console = (self._folder / "console").open("ab")
        # Killed hard, nspawn would leave its payload running; the PID namespace around it does not.
        around = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        self._process = subprocess.Popen(
            [*around, *command], stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
        )
        console.close()
        self.wait_for(self._is_up, BOOT_S, "the container did not boot")

    def reboot(self) -> None:
        """Ask for a reboot, and wait until the machine is up again."""
        self.run("systemctl --no-block reboot")
        self.boot_again(BOOT_S)

    def boot_again(self, limit_s: float) -> None:
        """Wait until the machine asks for a reboot, and do it.

        Raises:
            AssertionError: it did not ask, or it was switched off.
        """
        assert self._process is not None
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"no reboot within {limit_s:g} s\n{self.journal()[-4000:]}") from None
        assert code == ASKS_FOR_REBOOT, f"the container ended with code {code}"
        self.boot()

    def boot_id(self) -> str:
        """Return which boot this is, empty while the machine is down."""
        return self.run("cat /proc/sys/kernel/random/boot_id", check=False)

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a shell command inside as root and return what it printed."""
        leader = self._leader()
        if leader is None or self._process is None or self._process.poll() is not None:
            assert not check, "the machine is down"
            return ""
        enter = ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        environment |= {"LANG": "C.UTF-8", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/rig"}
        done = subprocess.run(
            [*enter, "/bin/sh", "-ec", command], env=environment, capture_output=True, text=True, timeout=120
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command}\nended with code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip() if done.returncode == 0 else ""

    def show(self, unit: str, key: str) -> str:
        """Return one property of a unit."""
        return self.run(f"systemctl show -P {key} {unit}")

    def main_pid(self, unit: str) -> int:
        """Return the main process's number as seen inside, 0 for none."""
        return int(self.show(unit, "MainPID"))

    def journal(self, unit: str = "") -> str:
        """Return what was logged since the boot."""
        return self.run(f"journalctl -b --no-pager {'-u ' + unit if unit else ''}", check=False)

    def wait_for(self, condition: Callable[[], bool], limit_s: float, what: str) -> float:
        """Wait until the condition holds and return how long that took."""
        begin = time.monotonic()
        while not condition():
            if time.monotonic() - begin > limit_s:
                raise AssertionError(f"{what} within {limit_s:g} s\n{self.journal()[-4000:]}")
            time.sleep(0.2)
        return time.monotonic() - begin

    def stop(self) -> None:
        """End everything and take the overlay away."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        subprocess.run(["umount", "-l", str(self.root)], check=False)

    def _is_up(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            text = (self._folder / "console").read_text(errors="replace")[-2000:]
            raise AssertionError(f"the container ended with code {self._process.returncode}\n{text}")
        return self.run("systemctl is-system-running || true", check=False) in ("running", "degraded")

    def _leader(self) -> int | None:
        """Return the container's PID 1 as the host numbers it: the process below nspawn that is called systemd."""
        if self._process is None:
            return None
        below = [self._process.pid]
        while below:
            parent = below.pop()
            for child in _children(parent):
                if _name(child) in ("systemd", "init") and _name(parent) == "systemd-nspawn":
                    return child
                below.append(child)
        return None


def _children(pid: int) -> Sequence[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return ()


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def build_wheel(folder: Path) -> Path:
    """Return the program as a wheel, built from the tree as it is."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:  # an environment without setuptools builds in one of its own
        command.remove("--no-isolation")
        subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("cageclock-*.whl")
    return wheel


def why_not() -> str:
    """Return why the container cannot be booted here, empty if it can."""
    if "CAGECLOCK_RIG" not in os.environ:
        return "it takes minutes: make test-rig runs it"
    if sys.platform != "linux" or os.geteuid() != 0:
        return "the rig needs root on Linux: sudo make test-rig"
    for program in ("systemd-nspawn", "nsenter", "unshare"):
        if shutil.which(program) is None:
            return f"{program} is not installed; make test-rig installs it"
    if not (TREE / ".complete").exists():
        return f"there is no tree in {TREE}; make test-rig builds it"
    return ""
