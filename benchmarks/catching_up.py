"""Many devices catch up at once while others send live: readings a second, who spends the CPU, and how long live waits.

The devices keep what the real ones keep: at most 100 readings on the way, more only once the station has said that it
has committed them. Their messages are made beforehand, and what sends them is a process whose CPU is counted apart.
Two brokers: one with mosquitto's own defaults (20 messages on the way to a subscriber), one set up as the lab's.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from benchmarks.real_readings import START, device_name, make_payload
from benchmarks.table import Row
from edge.contract.committed import read_committed
from edge.contract.topics import DeviceTopics
from edge.demo.broker import find_mosquitto

READINGS = int(os.environ.get("CAGECLOCK_BENCH_CATCH_UP", "20000"))
WINDOW, LIVE, LIVE_EVERY_S = 100, 10, 0.5
PATIENCE_S = 300.0
STATION = "bench"
BROKERS = {"mosquitto's defaults": "", "the lab's broker": "max_inflight_messages 500\nmax_queued_messages 5000\n"}


def rows() -> list[Row]:
    """Return readings a second and the wait of live ones, for 50 and 500 devices that catch up."""
    if find_mosquitto() is None:
        return [Row("devices that catch up", "not measured", remark="mosquitto is not installed")]
    found = []
    for devices in (50, 500):
        for broker, lines in BROKERS.items():
            found += _measure(devices, broker, lines)
    return found


def _measure(devices: int, broker: str, lines: str) -> list[Row]:
    chance = random.Random(1)
    each = READINGS // devices
    backlog = {
        number: [make_payload(number, seq, START + timedelta(minutes=10 * seq), chance) for seq in range(1, each + 1)]
        for number in range(devices)
    }
    with _lab(lines) as (port, processes):
        sender = Sender(port, backlog, chance)
        began, cpu_s = time.perf_counter(), [_cpu_s(pid) for pid in processes]
        own_s = time.process_time()
        sender.run()
        elapsed_s = time.perf_counter() - began
        own_s = time.process_time() - own_s
        station_s, broker_s = (_cpu_s(pid) - before for pid, before in zip(processes, cpu_s, strict=True))
    total = devices * each + len(sender.waits)
    waits = sorted(sender.waits)
    share = ", ".join(
        f"{what} {spent / elapsed_s:.0%}"
        for what, spent in (("station", station_s), ("broker", broker_s), ("what sends", own_s))
    )
    label = f"{devices} devices catch up, {broker}"
    return [
        Row(
            label,
            f"{total / elapsed_s:,.0f} readings/s",
            remark=f"{station_s / total * 1e6:,.0f} us of the station's CPU a reading; of a core: {share}",
        ),
        Row(
            f"{LIVE} others live meanwhile",
            f"{waits[int(len(waits) * 0.99)]:.2f} s" if waits else "none",
            remark=f"99 of 100 are promised within it; {len(waits)} sent",
        ),
    ]


class Sender:
    """All devices in one client: each keeps its window, and `committed` opens it."""

    def __init__(self, port: int, backlog: dict[int, list[bytes]], chance: random.Random) -> None:
        """Connect; nothing is sent yet."""
        self._backlog, self._chance = backlog, chance
        self._sent = dict.fromkeys(backlog, 0)
        self._through = dict.fromkeys(backlog, 0)
        self._numbers = {device_name(number): number for number in range(10_000)}
        self._live_at: dict[tuple[int, int], float] = {}
        self._live_seq = 0
        self.waits: list[float] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.max_inflight_messages_set(5_000)
        self._client.max_queued_messages_set(0)
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"cageclock/v1/+/committed/{STATION}", 0)

    def run(self) -> None:
        """Send everything, and live readings beside it; return once all of the backlog is promised.

        Raises:
            TimeoutError: the station did not store everything in time.
        """
        for number in self._backlog:
            self._send_more(number)
        deadline, next_live = time.monotonic() + PATIENCE_S, time.monotonic()
        while any(self._through[number] < len(texts) for number, texts in self._backlog.items()):
            self._client.loop(0.01)
            now = time.monotonic()
            if now >= next_live:
                next_live = now + LIVE_EVERY_S
                self._send_live()
            if now > deadline:
                raise TimeoutError(f"the station did not store everything in time: {sum(self._through.values())}")
        self._client.disconnect()

    def _send_more(self, number: int) -> None:
        texts, topic = self._backlog[number], DeviceTopics(device_name(number)).of("reading")
        while self._sent[number] < min(len(texts), self._through[number] + WINDOW):
            self._client.publish(topic, texts[self._sent[number]], qos=1)
            self._sent[number] += 1

    def _send_live(self) -> None:
        self._live_seq += 1
        for number in range(9_000, 9_000 + LIVE):
            at = START + timedelta(days=300, minutes=10 * self._live_seq)
            text = make_payload(number, self._live_seq, at, self._chance)
            self._client.publish(DeviceTopics(device_name(number)).of("reading"), text, qos=1)
            self._live_at[number, self._live_seq] = time.monotonic()

    def _heard(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        number = self._numbers[message.topic.split("/")[2]]
        for epoch in read_committed(message.payload).epochs:
            through = epoch.through if not epoch.holes else epoch.holes[0][0] - 1
            if number in self._through:
                self._through[number] = max(self._through[number], through)
                self._send_more(number)
            for key in [key for key in self._live_at if key[0] == number and key[1] <= through]:
                self.waits.append(time.monotonic() - self._live_at.pop(key))


@contextmanager
def _lab(lines: str) -> Iterator[tuple[int, tuple[int, int]]]:
    """Start a broker and a station; yield the port, and the process numbers of the station and of the broker."""
    program = find_mosquitto()
    assert program is not None
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        probe.close()
        config = Path(name, "mosquitto.conf")
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n{lines}")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        broker = subprocess.Popen([program, "-c", str(config)], **quiet)  # type: ignore[call-overload]
        command = [sys.executable, "-m", "station.cli", "run", "--port", str(port), "--name", STATION, "--data", name]
        time.sleep(0.5)
        station = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]
        try:
            _await_online(port)
            yield port, (station.pid, broker.pid)
        finally:
            for process in (station, broker):
                process.send_signal(signal.SIGTERM)
                process.wait(60)


def _await_online(port: int) -> None:
    heard: list[bytes] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = lambda _client, _data, message: heard.append(message.payload)
    client.connect("127.0.0.1", port)
    client.subscribe(f"cageclock/v1/station/{STATION}/availability", 1)
    deadline = time.monotonic() + 60
    while b"online" not in heard and time.monotonic() < deadline:
        client.loop(0.1)
    client.disconnect()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
