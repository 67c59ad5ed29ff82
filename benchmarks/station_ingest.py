"""Readings/s into the station: the store alone, and the whole path with publisher and mosquitto on one machine."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.table import Row
from edge.contract import jsontext
from edge.contract.identity import Head, join
from edge.contract.reading import Animal, Estimate, Light, Outcome, Reading, Trigger
from edge.contract.topics import DeviceTopics
from edge.demo.broker import find_mosquitto
from station.store.message import Arrival
from station.store.store import Store

READINGS = 20000
DEVICES = 10
STATION = "bench"
BATCH = 500


def rows() -> list[Row]:
    """Return the store's own rate and the whole path's."""
    bodies = [_body(number) for number in range(1, READINGS + 1)]
    found = [_store_alone(bodies)]
    found.append(_whole_path(bodies))
    return found


def _store_alone(bodies: list[bytes]) -> Row:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder, closing(Store.open(Path(folder))) as store:
        arrivals = [Arrival(_device(n), "reading", payload, 0.0) for n, payload in enumerate(_payloads(bodies))]
        begin = time.perf_counter()
        for first in range(0, READINGS, BATCH):
            store.take(arrivals[first : first + BATCH])
        elapsed_s = time.perf_counter() - begin
    return Row(
        "store: decode, digest, insert, commit",
        f"{READINGS / elapsed_s:,.0f} readings/s",
        remark=f"batches of {BATCH}, FULL",
    )


def _whole_path(bodies: list[bytes]) -> Row:
    program = find_mosquitto()
    if program is None:
        return Row("broker, station, SQLite", "not measured", remark="mosquitto is not installed")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder, port = Path(name), _free_port()
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 500\nmax_queued_messages 100000\n"
        )
        command = [sys.executable, "-m", "station.cli", "run", "--port", str(port), "--name", STATION, "--data", name]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        broker = subprocess.Popen([program, "-c", str(folder / "mosquitto.conf")], **quiet)  # type: ignore[call-overload]
        time.sleep(0.5)
        station = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]
        try:
            elapsed_s = _send_and_wait(folder, port, bodies)
        finally:
            for process in (station, broker):
                process.send_signal(signal.SIGTERM)
                process.wait(20)
    return Row(
        "publisher, mosquitto, station, SQLite", f"{READINGS / elapsed_s:,.0f} readings/s", remark="all on this machine"
    )


def _send_and_wait(folder: Path, port: int, bodies: list[bytes]) -> float:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    _wait(lambda: _stored(folder) == 0, 20)
    time.sleep(1.0)  # subscribed
    topics = [DeviceTopics(_device(number)).of("reading") for number in range(DEVICES)]
    payloads = _payloads(bodies)
    begin = time.perf_counter()
    for number, payload in enumerate(payloads):
        client.publish(topics[number % DEVICES], payload, qos=1)
    _wait(lambda: _stored(folder) == READINGS, 120)
    elapsed_s = time.perf_counter() - begin
    client.disconnect()
    client.loop_stop()
    return elapsed_s


def _wait(done, timeout_s: float) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the station did not store everything in time")
        time.sleep(0.05)


def _stored(folder: Path) -> int:
    path = folder / "station.db"
    if not path.exists():
        return -1
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])
    except sqlite3.OperationalError:
        return -1


def _device(number: int) -> str:
    return f"bench-{number % DEVICES}"


def _payloads(bodies: list[bytes]) -> list[bytes]:
    epoch = "b" * 32
    return [join(Head(epoch, number // DEVICES + 1, 1, False), body) for number, body in enumerate(bodies)]


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _body(number: int) -> bytes:
    """A reading as large as a real one: one animal, 40 age bins, an embedding of 64."""
    estimate = Estimate(
        age_days=300.0,
        sd_days=40.0,
        interval_low_days=220.0,
        interval_high_days=380.0,
        coverage=0.9,
        domain_score=0.5,
        distribution=tuple(0.025 for _ in range(40)),
        embedding=tuple(round(0.01 * k - 0.3, 4) for k in range(64)),
    )
    animal = Animal(
        box=(100.0, 80.0, 260.0, 180.0),
        centre_likelihood=0.97,
        keypoints=(),
        subject="M1",
        identity_method="single_housed",
        identity_confidence=1.0,
        accepted=True,
        reject_reasons=(),
        age_days=300.0,
        estimate=estimate,
    )
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    reading = Reading(
        device_id=_device(number - 1),
        cage_id=_device(number - 1),
        captured_at=at,
        boot_id="0" * 32,
        monotonic_s=float(number),
        clock_synced=True,
        light=Light.DARK,
        zeitgeber_h=14.0,
        trigger=Trigger.SCHEDULE,
        outcome=Outcome.OK,
        accepted=True,
        age_days=300.0,
        animals=(animal,),
        expected_animals=1,
        strain="C57BL/6J",
        frames=1,
        px_per_mm=4.0,
        quality=None,
        camera=None,
        model=None,
        thumbnail=None,
        config_sha256="c" * 64,
    )
    return jsontext.encode(reading)
