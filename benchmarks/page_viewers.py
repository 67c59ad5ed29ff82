"""How much the log's rate falls while 50 browsers follow the wall: 1,000 readings/s offered, with and without them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from statistics import median

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.station_ingest import _body, _free_port, _stored, _wait
from benchmarks.table import Row
from edge.contract.identity import Head, join
from edge.contract.topics import DeviceTopics
from edge.demo.broker import find_mosquitto

VIEWERS = 50
CAGES = 50
OFFERED = int(os.environ.get("CAGECLOCK_BENCH_RATE", "1000"))
ROUND_S = float(os.environ.get("CAGECLOCK_BENCH_ROUND_S", "10"))
ROUNDS = 3
RELOAD_S = 10.0
START = datetime(2026, 1, 1, tzinfo=UTC)
TEMPLATE = _body(1)
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def rows() -> list[Row]:
    """Return the rate without and with viewers, and what share of it was left."""
    program = find_mosquitto()
    if program is None:
        return [Row("50 viewers", "not measured", remark="mosquitto is not installed")]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name, ExitStack() as stack:
        folder, port, page = Path(name), _free_port(), _free_port()
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 500\nmax_queued_messages 100000\n"
        )
        stack.enter_context(_running([program, "-c", str(folder / "mosquitto.conf")]))
        time.sleep(0.5)
        station = ["run", "--port", str(port), "--name", "bench", "--data", name]
        stack.enter_context(_running([sys.executable, "-m", "station.cli", *station]))
        _wait(lambda: _stored(folder) == 0, 60)
        cookie = stack.enter_context(_page(folder, page))
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        client.max_inflight_messages_set(1000)
        client.connect("127.0.0.1", port)
        client.loop_start()
        time.sleep(2.0)
        found: dict[bool, list[float]] = {False: [], True: []}
        numbers = iter(range(10**9))
        _offer(client, folder, numbers)  # the first round makes files and caches
        for _ in range(ROUNDS):
            found[False].append(_offer(client, folder, numbers))
            with _viewers(page, cookie):
                found[True].append(_offer(client, folder, numbers))
        client.disconnect()
        client.loop_stop()
    alone, beside = median(found[False]), median(found[True])
    return [
        Row("log alone", f"{alone:,.0f} readings/s", remark=f"{OFFERED:,} offered, median of {ROUNDS} rounds"),
        Row(
            f"beside {VIEWERS} viewers",
            f"{beside:,.0f} readings/s",
            remark=f"{CAGES} cages, every change to each",
        ),
        Row("the log's rate falls by", f"{100 * (1 - beside / alone):.1f} %", remark="limit 10 %"),
    ]


def _offer(client: mqtt.Client, folder: Path, numbers: Iterator[int]) -> float:
    """Return readings/s that were stored, from the first one sent to the last one stored."""
    epoch, before = "b" * 32, _stored(folder)
    topics = [DeviceTopics(f"bench-{number}").of("reading") for number in range(CAGES)]
    count, begin = int(OFFERED * ROUND_S), time.perf_counter()
    for done in range(count):
        number = next(numbers)
        cage, seq = number % CAGES, number // CAGES
        client.publish(topics[cage], join(Head(epoch, seq + 1, 1, False), _later(cage, seq)), qos=1)
        if done % 50 == 49:
            time.sleep(max(0.0, begin + (done + 1) / OFFERED - time.perf_counter()))
    _wait(lambda: _stored(folder) - before >= count, 300)
    return count / (time.perf_counter() - begin)


def _later(cage: int, number: int) -> bytes:
    """Return a cage's reading ten minutes after the one before, as devices send them that catch up."""
    at = START + timedelta(minutes=10 * number)
    body = TEMPLATE.replace(b'"bench-0"', b'"bench-%d"' % cage)
    return body.replace(b"2026-01-01T00:00:01Z", at.strftime("%Y-%m-%dT%H:%M:%SZ").encode())


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, **QUIET)  # type: ignore[call-overload]
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def _page(folder: Path, port: int) -> Iterator[str]:
    """Start the page and hand out the cookie of somebody who has signed in."""
    log = folder / "page.log"
    command = [sys.executable, "-m", "station.cli", "serve", "--data", str(folder), "--port", str(port), "--token"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        _wait(lambda: "token=" in log.read_text(), 120)
        path = re.findall(r"(/enter\?token=\S+)", log.read_text())[0]
        with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request("GET", path)
            yield (connection.getresponse().getheader("set-cookie") or "").partition(";")[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def _viewers(port: int, cookie: str) -> Iterator[None]:
    """Have so many browsers follow the wall, and load it anew now and then."""
    over = threading.Event()
    open_: list[HTTPConnection] = []

    def follow() -> None:
        stream = HTTPConnection("127.0.0.1", port, timeout=120)
        open_.append(stream)
        stream.request("GET", "/events", headers={"Cookie": cookie, "Accept-Encoding": "gzip"})
        answer, due_s = stream.getresponse(), time.monotonic() + RELOAD_S
        while not over.is_set() and _heard(answer):
            if time.monotonic() > due_s:
                due_s += RELOAD_S
                with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as wall:
                    wall.request("GET", "/", headers={"Cookie": cookie, "Accept-Encoding": "gzip"})
                    wall.getresponse().read()

    threads = [threading.Thread(target=follow, daemon=True) for _ in range(VIEWERS)]
    for thread in threads:
        thread.start()
    time.sleep(3.0)
    try:
        yield
    finally:
        over.set()
        for connection in open_:
            if connection.sock is not None:
                connection.sock.shutdown(2)
        for thread in threads:
            thread.join(30)


def _heard(answer: HTTPResponse) -> bool:
    try:
        return bool(answer.read1(65536))
    except (OSError, HTTPException):  # the round is over
        return False
