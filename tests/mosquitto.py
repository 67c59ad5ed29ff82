"""A real mosquitto for tests: a free port, settings of its own, killed and started again at will."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

PLACES = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto")


def find_mosquitto() -> str | None:
    """Return the program's path, None where it is not installed."""
    return shutil.which("mosquitto") or next((place for place in PLACES if Path(place).is_file()), None)


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One broker. `settings` are further lines of mosquitto.conf; persistence is off unless they say otherwise."""

    def __init__(self, folder: Path, settings: str = "allow_anonymous true\n", port: int | None = None) -> None:
        """Nothing runs before `start`."""
        program = find_mosquitto()
        if program is None:
            raise FileNotFoundError("mosquitto is not installed: apt-get install mosquitto")
        self._program = program
        self.folder = folder
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # started as root, mosquitto becomes its own user
        self.settings = settings

    def start(self, wait_s: float = 10.0) -> Mosquitto:
        """Start it and wait until it listens."""
        conf = self.folder / "mosquitto.conf"
        user = "user root\n" if "user " not in self.settings else ""
        persistence = f"persistence_location {self.folder}/\n" if "persistence true" in self.settings else ""
        conf.write_text(f"listener {self.port} 127.0.0.1\n{user}{persistence}{self.settings}")
        log = (self.folder / "mosquitto.log").open("ab")
        try:
            self._process = subprocess.Popen([self._program, "-v", "-c", str(conf)], stdout=log, stderr=log)
        finally:
            log.close()
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise RuntimeError(f"mosquitto did not listen on {self.port}:\n{self.log()}")

    def kill(self) -> None:
        """End it like a power cut: nothing is saved."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it cleanly."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def restart(self) -> Mosquitto:
        """Kill it and start it again on the same port, with what its persistence kept."""
        self.kill()
        return self.start()

    def log(self) -> str:
        """Return what it has said so far."""
        path = self.folder / "mosquitto.log"
        return path.read_text(errors="replace") if path.exists() else ""
