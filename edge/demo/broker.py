"""A broker on the loopback interface for as long as the demo runs: mosquitto, else amqtt."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from edge.demo.children import Children
from edge.errors import NetworkError, OperatorError

_PLACES = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to connect. amqtt speaks MQTT 3.1.1 only, wants a login and loses sessions; it serves the demo alone."""

    name: str
    host: str
    port: int
    version: str
    username: str | None
    password_file: Path | None


def start_broker(children: Children, folder: Path, choice: str = "auto") -> Broker:
    """Return a running broker, a child of this process.

    choice: `mosquitto`, `amqtt`, or `auto`, which prefers the first.

    Raises:
        OperatorError: the chosen one, or with `auto` either, is not installed.
        NetworkError: it did not listen within 20 s.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    program = find_mosquitto() if choice != "amqtt" else None
    if program is None and choice == "mosquitto":
        raise OperatorError("demo: mosquitto is not installed; apt-get install mosquitto")
    if program is not None:
        settings = folder / "mosquitto.conf"
        settings.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            f"max_inflight_messages 500\nmax_queued_messages 10000\n"
        )
        children.start("broker", [program, "-c", str(settings)])
        broker = Broker("mosquitto", "127.0.0.1", port, "5", None, None)
    else:
        broker = _start_amqtt(children, folder, port)
    _wait_for(broker, children)
    return broker


def find_mosquitto() -> str | None:
    """Return the path of mosquitto, which may sit outside an ordinary user's PATH."""
    return shutil.which("mosquitto") or next((place for place in _PLACES if Path(place).is_file()), None)


def _start_amqtt(children: Children, folder: Path, port: int) -> Broker:
    program = shutil.which("amqtt") or _beside_python("amqtt")
    if program is None:
        raise OperatorError("demo: found neither mosquitto nor amqtt; apt-get install mosquitto, or pip install amqtt")
    password = folder / "password"
    password.write_text("demo\n")
    settings = folder / "amqtt.yaml"
    settings.write_text(
        f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    )
    children.start("broker", [program, "-c", str(settings)])
    return Broker("amqtt", "127.0.0.1", port, "3.1.1", "demo", password)


def _beside_python(program: str) -> str | None:
    path = Path(sys.executable).with_name(program)
    return str(path) if path.is_file() else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(broker: Broker, children: Children) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        children.check()
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((broker.host, broker.port)) == 0:
                return
        time.sleep(0.1)
    raise NetworkError(f"demo: {broker.name} did not listen on port {broker.port} within 20 s; see broker.log")
