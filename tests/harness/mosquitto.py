"""A real mosquitto for tests: its own folder and port, killed and started again with the same persistence."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pytest

from tests.harness.child import Child
from tests.harness.waiting import wait_until

_PLACES = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto")


class Mosquitto:
    """One broker on the loopback interface; a `with` block starts it and never leaves it behind.

    settings: lines of mosquitto.conf below the listener's (`allow_anonymous true` unless they say otherwise).
    files: name -> content, written into the folder first; `{folder}` in the settings stands for that folder.
    persistent: keep sessions, queues and retained messages over `kill` and `start` (saved at every change).
    """

    def __init__(
        self,
        folder: Path,
        settings: str = "",
        *,
        files: Mapping[str, bytes] | None = None,
        persistent: bool = False,
        port: int | None = None,
    ) -> None:
        """Write the settings; nothing runs yet."""
        self.program = find_mosquitto()
        self.folder = folder
        self.port = port or free_port()
        self.host = "127.0.0.1"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        lines = [f"listener {self.port} {self.host}", "log_dest stderr", "log_type all", "set_tcp_nodelay true"]
        if os.geteuid() == 0:
            lines.append("user root")  # else it gives up its rights and cannot read a folder of the test's
        lines.append(f"persistence {'true' if persistent else 'false'}")
        if persistent:
            lines += [f"persistence_location {folder}/", "autosave_on_changes true", "autosave_interval 1"]
        if "allow_anonymous" not in settings:
            lines.append("allow_anonymous true")
        path = folder / "mosquitto.conf"
        path.write_text("\n".join(lines) + "\n" + settings.replace("{folder}", str(folder)) + "\n")
        self.child = Child([self.program, "-c", str(path)], folder / "mosquitto.log")

    def __enter__(self) -> Mosquitto:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, whatever its state."""
        self.kill()

    def start(self) -> None:
        """Start, and wait until the port answers."""
        self.child.start()
        wait_until(lambda: self.child.exit_code() is not None or self.answers())
        assert self.child.exit_code() is None, f"mosquitto did not start:\n{self.log()}"

    def answers(self) -> bool:
        """Return whether somebody listens on the port."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, self.port)) == 0

    def stop(self) -> None:
        """End it cleanly; retained messages and sessions are saved where it is persistent."""
        self.child.stop()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.child.kill()

    def freeze(self) -> None:
        """Stop it from answering while its connections stay open."""
        self.child.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        self.child.send(signal.SIGCONT)

    @property
    def pid(self) -> int:
        """The number of the running process."""
        return self.child.pid

    def log(self) -> str:
        """Return what it has written so far."""
        return self.child.log()


def find_mosquitto() -> str:
    """Return the path of mosquitto; skip the test, with the reason, on a machine without it."""
    found = shutil.which("mosquitto") or next((place for place in _PLACES if Path(place).is_file()), None)
    if found is None:
        pytest.skip("mosquitto is not installed; apt-get install mosquitto, or tools/system_packages.sh")
    return found


def free_port() -> int:
    """Return a port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hash_password(folder: Path, user: str, password: str) -> bytes:
    """Return the line of mosquitto's password file for a user."""
    program = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
    if not Path(program).is_file():
        pytest.skip("mosquitto_passwd is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{user}.passwd"
    path.touch(mode=0o600)
    subprocess.run([program, "-b", str(path), user, password], check=True, capture_output=True)
    return path.read_bytes()
