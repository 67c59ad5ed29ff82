"""Hostile messages through the real way: the broker's callback, the process, the store, SQLite; none may stop it.

    python -m tests.campaigns.hostile --seed S --budget MESSAGES [--ledger FILE]

Mutations of valid messages on every stream, with what has ended a station before: numbers of any length, dates at both
ends of the calendar, halves of surrogate pairs, depth, keys twice, ranges that are turned round or without end, user
properties and EXIF of all these. After each thousand: what is promised is in the database, and `status`, `show` and
`export` read it.
"""

from __future__ import annotations

import io
import json
import logging
import random
import re
import sqlite3
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import paho.mqtt.client as mqtt

from edge.contract import jsontext, topics
from edge.contract.identity import Head, join
from station.cli import main as station
from station.ingest.connection import Connection
from station.ingest.process import Process
from station.ingest.settings import Settings
from station.ingest.waiting import MOST_WAITING_BYTES
from station.store.quota import Limits
from station.store.store import Store
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.station import samples

NUMBER = re.compile(rb"(?<=[:,[])[0-9][0-9.eE+-]*")
NUMBERS = (
    ["0", "-1", "1", "1.0", "1e5", "1E400", "-1e400", "NaN", "Infinity", "1e-400", "true", "null", '"1"', "[]", "{}"]
    + [str(2**power + more) for power in (31, 32, 53, 62, 63, 64, 128) for more in (-1, 0, 1)]
    + ["-" + str(2**63 + 1), "9" * 49, "1" + "0" * 48, "0" * 48 + "1", "9" * 5000, "1e308", "-1.8e308", "5e-324"]
)
DATES = [
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
]
DATES += ["1969-12-31T23:59:59Z", "1970-01-01T00:00:05+14:00", "2200-12-31T23:59:59-14:00", "2201-01-01T00:00:00Z"]
DATES += [
    "2026-02-30T00:00:00Z",
    "2026-01-01",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+99:99",
    "-0001-01-01T00:00:00Z",
]
TEXTS = [
    "",
    "\x00",
    "\x1b[2J\x07",
    "\u202e",
    "\ud800",
    "=1+1",
    "a" * 300,
    "é" * 40_000,
    "../../x",
    "\n",
    "'; DROP TABLE records",
]
EPOCHS = [f"{number:032x}" for number in range(40)]
DEVICES = ["cage-1", "cage-2", "cage-3"]


class Hostile:
    """Makes messages from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._bodies = [
            samples.reading(1, thumbnail=samples.picture(1)),
            samples.reading(2),
            samples.event(3),
            samples.lost(1, 4),
            samples.correction("boot-1", 1.7e9),
        ]
        self._texts = [jsontext.encode(body) for body in self._bodies]
        self._pictures = [samples.picture(seq) for seq in (1, 2)]

    def message(self) -> tuple[str, bytes, list[tuple[str, str]]]:
        """Return topic, payload and user properties."""
        chance = self._random
        stream = chance.choice([*topics.STREAMS, *topics.STREAMS, "availability", "info", "health"])
        topic = f"{topics.ROOT}/{chance.choice(DEVICES)}/{stream}"
        if chance.random() < 0.01:
            topic = chance.choice(
                ["", "cageclock/v1//reading", "cageclock/v1/station/reading", topic + "\x00", topic + "/x"]
            )
        device = topic.split("/")[-2] if topic.count("/") > 2 and chance.random() < 0.9 else "cage-2"
        if stream == "thumbnail":
            return topic, self._picture(device), self._properties()
        if stream in topics.STREAMS:
            return topic, self._record(device), self._properties() if chance.random() < 0.1 else []
        return topic, self._mutated(chance.choice([b"online", b"offline", b'{"problems":["dark"]}', self._text()])), []

    def _number(self) -> str:
        chance = self._random
        return chance.choice(NUMBERS) if chance.random() < 0.15 else str(chance.randint(1, 40))

    def _text(self) -> bytes:
        chance = self._random
        text = chance.choice(self._texts)
        if chance.random() < 0.3:
            values = json.loads(text)
            for _ in range(chance.randint(1, 3)):
                self._spoil(values)
            text = json.dumps(values, ensure_ascii=chance.random() < 0.5, separators=(",", ":")).encode(
                "utf-8", "surrogatepass"
            )
        while chance.random() < 0.2:
            # A number by its text: what no JSON writer would write.
            numbers = [found.span() for found in NUMBER.finditer(text)]
            if numbers:
                at, end = chance.choice(numbers)
                text = text[:at] + self._number().encode() + text[end:]
        return text

    def _spoil(self, values: object) -> None:
        chance = self._random
        while True:
            keys = list(values) if isinstance(values, dict) else list(range(len(values)))
            if not keys:
                return
            key = chance.choice(keys)
            inner = values[key]
            if isinstance(inner, (dict, list)) and inner and chance.random() < 0.7:
                values = inner
                continue
            break
        kind = chance.randint(0, 7)
        if kind == 0 and isinstance(values, dict):
            del values[key]
        elif kind == 1:
            values[key] = chance.choice(DATES)
        elif kind == 2:
            values[key] = chance.choice(TEXTS)
        elif kind == 3:
            values[key] = [inner] * chance.choice([0, 1, 70, 300, 5000])
        elif kind == 4:
            values[key] = chance.choice([None, True, 0, -1, 2**53, 2**63 - 1, 1e308, -1e308, 1e-300, {}, []])
        elif kind == 5 and isinstance(values, dict):
            values[chance.choice(TEXTS)] = inner
        elif kind == 6:
            deep: object = inner
            for _ in range(chance.choice([5, 60, 66, 300])):
                deep = [deep]
            values[key] = deep
        else:
            values[key] = samples.EPOCH if isinstance(inner, str) else inner

    def _record(self, device: str) -> bytes:
        chance = self._random
        body = self._text().replace(b'"device_id":"cage-1"', b'"device_id":"%s"' % device.encode())
        epoch = chance.choice(EPOCHS)
        payload = join(Head(epoch, 1, 1, chance.random() < 0.2), body)
        payload = payload.replace(b'"seq":1,', b'"seq":%s,' % self._number().encode(), 1)
        payload = payload.replace(b'"first_held":1,', b'"first_held":%s,' % self._number().encode(), 1)
        if chance.random() < 0.05:
            payload = payload[:-1] + b',"schema":"x"}'
        if chance.random() < 0.02:
            payload = (
                payload[:-1] + b',"x":' + chance.choice([b"[" * 3000, b'{"a":' * 3000, b'"' + b"x" * 300_000]) + b"}"
            )
        return self._mutated(payload)

    def _picture(self, device: str) -> bytes:
        chance = self._random
        if chance.random() < 0.2:
            return self._mutated(chance.choice(self._pictures))
        identity = {
            "device_id": device,
            "epoch": chance.choice([*EPOCHS, "x"]),
            "seq": 1,
            "captured_at": chance.choice([*DATES, "2026-01-01T00:00:00Z"]),
        }
        text = json.dumps(identity).replace('"seq": 1', f'"seq": {self._number()}')
        if chance.random() < 0.1:
            text = chance.choice(["[" * 2000, text[:-1], text + text, '{"seq":1,' + text[1:]])
        block = with_exif(text.encode())
        return self._mutated(block) if chance.random() < 0.3 else block

    def _properties(self) -> list[tuple[str, str]]:
        chance = self._random
        found = [("epoch", chance.choice(EPOCHS)), ("seq", self._number())]
        if chance.random() < 0.1:
            found.append(chance.choice([("seq", "2"), ("epoch", "y"), ("x" * 60_000, "y"), ("", "\x00")]))
        return found if chance.random() < 0.8 else []

    def _mutated(self, payload: bytes) -> bytes:
        chance = self._random
        if chance.random() < 0.7:
            return payload
        data = bytearray(payload)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data) + 1)
            kind = chance.randint(0, 3)
            if kind == 0 and at < len(data):
                data[at] ^= 1 << chance.randint(0, 7)
            elif kind == 1:
                del data[at : at + chance.choice([1, 2, 10, 1000])]
            elif kind == 2:
                data[at:at] = chance.choice([b'"', b"{", b"]", b"\xff", b"\x00", b",", b"\\ud800", b"e9999"])
            else:
                data[at:at] = data[at : at + chance.choice([3, 30, 300])]
        return bytes(data)


def with_exif(description: bytes) -> bytes:
    """Return a small JPEG whose ImageDescription is these bytes, whatever they say."""
    entry = b"\x0e\x01\x02\x00" + len(description).to_bytes(4, "little") + (26).to_bytes(4, "little")
    block = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + entry + b"\x00\x00\x00\x00" + description
    return PLAIN[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + PLAIN[2:]


def _plain_jpeg() -> bytes:
    from PIL import Image

    target = io.BytesIO()
    Image.new("L", (8, 8), 90).save(target, "JPEG")
    return target.getvalue()


PLAIN = _plain_jpeg()


class Way:
    """The station from paho's callback on, without a broker: messages are given to the callback itself."""

    def __init__(self, data: Path) -> None:
        settings = Settings(name="lab1", data=str(data))
        self.store = Store.open(data, limits=Limits(epochs=38, gaps=200, quarantine_rows=300, conflict_rows=100))
        self._process = Process(settings, self.store)
        self._link: Connection = self._process._link
        self.acknowledged: list[int] = []
        self._link._client.ack = lambda mid, _qos: self.acknowledged.append(mid)  # the socket, which is not there
        self.sent = self._waiting_bytes = 0

    def send(self, topic: str, payload: bytes, properties: list[tuple[str, str]]) -> None:
        self.sent += 1
        self._waiting_bytes += len(payload)
        message = mqtt.MQTTMessage(self.sent, topic.encode("utf-8", "surrogatepass"))
        message.payload, message.qos = payload, 1
        message.properties = SimpleNamespace(UserProperty=properties) if properties else None
        self._link._client.on_message(self._link._client, None, message)
        if self._waiting_bytes > MOST_WAITING_BYTES // 2:
            self.take()  # on one thread nobody else would make room

    def take(self) -> None:
        self._waiting_bytes = 0
        batch = self._link.next_batch(500, 0.01)
        if batch:
            self._process._take(batch)
        for device in self.store.devices():
            jsontext.encode(self.store.committed(device))


def check(way: Way, data: Path, seed: int) -> None:
    """Raise `Fault` unless every message is acknowledged, every promise is durable, and the database can be read."""
    if sorted(way.acknowledged) != list(range(1, way.sent + 1)):
        raise Fault(seed, f"{way.sent - len(way.acknowledged)} of {way.sent} messages were not acknowledged")
    with closing(sqlite3.connect(data / "station.db")) as connection:
        held = set(connection.execute("SELECT device, epoch, seq FROM records"))
        held |= set(connection.execute("SELECT device, epoch, seq FROM quarantine WHERE seq > 0"))
        losses = list(connection.execute("SELECT device, epoch, first_seq, last_seq FROM losses WHERE what = 'record'"))
    gone: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for device, epoch, first, last in losses:
        gone.setdefault((device, epoch), []).append((first, last))
    for device, accounts in way.store._ledger._committed.items():
        for epoch, account in accounts.items():
            for first, last in account.records:
                rest = [(first, last)]
                for low, high in sorted(gone.get((device, epoch), [])):
                    rest = [
                        part
                        for begin, end in rest
                        for part in ((begin, min(end, low - 1)), (max(begin, high + 1), end))
                    ]
                    rest = [(begin, end) for begin, end in rest if begin <= end]
                for begin, end in rest:
                    if end - begin > 10_000 or any((device, epoch, seq) not in held for seq in range(begin, end + 1)):
                        raise Fault(seed, f"{device} {epoch}: {begin}..{end} accounted for, not in the database")
    for command in (["status"], ["show", "--by", "month"], ["export", "--out", str(data / "out")]):
        with redirect_stdout(io.StringIO()) as said, redirect_stderr(said):
            code = station([*command, "--data", str(data)])
        if code > 1:
            raise Fault(seed, f"{command[0]} ended with {code}: {said.getvalue()[-300:]}")


def run(line: Line, budget: int) -> None:
    """Send the messages, a thousand to a check and fifty thousand to a database.

    Raises:
        Fault: something escaped, was not acknowledged, or was promised and is not there.
    """
    logging.getLogger("station").setLevel(logging.CRITICAL)
    while line.done < budget:
        seed = line.seed + line.done
        with quick_folder() as data:
            way, maker = Way(data), Hostile(seed)
            try:
                for number in range(min(50_000, budget - line.done)):
                    way.send(*maker.message())
                    line.done += 1
                    if number % 250 == 249:
                        way.take()
                    if number % 10_000 == 9_999:
                        check(way, data, seed)
                way.take()
                check(way, data, seed)
                with closing(sqlite3.connect(data / "station.db")) as connection:
                    for table in ("records", "quarantine", "conflicts", "thumbnails", "losses"):
                        line.count(table, connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
                    line.count("over a quota", connection.execute("SELECT sum(over) FROM usage").fetchone()[0] or 0)
            finally:
                way.store.close()


if __name__ == "__main__":
    main(run, "hostile messages", "messages", ci=4_000, full=1_000_000, chunk=50_000)
