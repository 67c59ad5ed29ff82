"""Memory cards that are copied: what was written on each is known by its own text."""

from __future__ import annotations

import hashlib
import io
import json
import random
import signal
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from edge.config import tree
from edge.config.state_folder import DELIVERY, OUTBOX
from edge.contract.reading import Reading, Thumbnail
from edge.contract.record import Event
from edge.outbox import Outbox
from edge.outbox.publish_file import PublishFile
from edge.outbox.watermarks import read_released
from station.store.chain import REPAIRED, count_copied
from tests.campaigns.synthetic import DEVICE, make_event, plain_reading
from tests.harness.child import Child
from tests.harness.mosquitto import Mosquitto
from tests.station import samples
from tests.system.rig import Rig, query

ALL_SPACE_MB = 1 << 40
"""To be left free: more than there is, so that all goes that is released."""
Identity = tuple[str, int]


@dataclass(frozen=True)
class Written:
    """One record that was appended. text: its own, of no other; pixels: of its picture, b"" without."""

    text: str
    pixels: bytes = b""


class CardRig(Rig):
    """The rig with cards in place of one device: each has its own state folder and its own publish process."""

    def __init__(self, folder: Path, *, version: str, in_flight: int, persistent: bool) -> None:
        """Nothing runs yet. persistent: whether the broker keeps its retained messages over a kill."""
        super().__init__(folder, device=DEVICE)
        self.broker = Mosquitto(folder / "broker", persistent=persistent, port=self.broker.port)
        self.cards = 0
        self._mqtt = {"version": version, "in_flight": in_flight, "resend_after_s": 1.0}

    def add_publish(self, state_dir: Path) -> Child:
        """Return the publish process of a card."""
        self.cards += 1
        settings: dict[str, Any] = self.settings() | {"state_dir": str(state_dir)}
        settings["mqtt"] |= self._mqtt
        path = self.folder / f"card-{self.cards}.yaml"
        path.write_text(yaml.safe_dump(settings))
        name = f"publish-{self.cards}"
        self.parts[name] = self.part(name, ["-m", "edge.cli", "publish", "--config", str(path)])
        return self.parts[name]


@dataclass
class Card:
    """A card in a board. `written`: all that it holds or held, with what it had before it was copied."""

    rig: CardRig
    state: Path
    serial: str
    name: str
    written: list[Written] = field(default_factory=list)
    running: bool = False

    def __post_init__(self) -> None:
        """Open it as capture does."""
        self.state.mkdir(parents=True, exist_ok=True)
        self.publish = self.rig.add_publish(self.state)
        self._closed = True
        self._open()

    def _open(self, min_free_mb: int = 0) -> None:
        settings = tree.Outbox(reserve_mb=0, min_free_mb=min_free_mb)
        self.outbox = Outbox.open(self.state, settings, device_id=self.rig.device, serial=self.serial)
        self._closed = False

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self.outbox.close()

    def append(self, chance: random.Random) -> None:
        """Append a reading, with a picture or without, or an event of capture's, or one of publish's."""
        kind = chance.choice(("reading", "reading", "picture", "picture", "event", "own"))
        text = f"{self.name} {len(self.written)} {chance.randbytes(chance.choice((2, 300))).hex()}"
        pixels = b""
        if kind == "own" and self.running:
            kind = "event"
        if kind in ("event", "own"):
            text = self._append_event(kind, chance)
        else:
            pixels = self._append_reading(text, chance.randrange(256) if kind == "picture" else None)
        self.written.append(Written(text, pixels))

    def _append_event(self, kind: str, chance: random.Random) -> str:
        event: Event = make_event(chance)
        text = f"{self.name} {len(self.written)} {event.text}"
        if kind == "own":
            delivery = PublishFile.open(self.state, device_id=self.rig.device)
            delivery.event("watchdog", text)
            delivery.close()
        else:
            self.outbox.append_record(Event(**{name: getattr(event, name) for name in _LABELS}, text=text))
        return text

    def _append_reading(self, text: str, shade: int | None) -> bytes:
        pixels = b""

        def build(epoch: str, seq: int) -> tuple[Reading, bytes | None]:
            nonlocal pixels
            if shade is None:
                return plain_reading(datetime.now(UTC), text, None), None
            jpeg = samples.picture(seq, epoch=epoch, device=self.rig.device, shade=shade)
            pixels = _pixels(jpeg)
            sha = hashlib.sha256(jpeg).hexdigest()
            thumbnail = Thumbnail(sha256=sha, bytes=len(jpeg), width=16, height=12)
            return plain_reading(datetime.now(UTC), text, thumbnail), jpeg

        self.outbox.append_reading(build)
        return pixels

    def start(self) -> None:
        """Begin to publish."""
        if not self.running:
            self.publish.start()
            self.running = True

    def stop(self, *, kill: bool = False) -> None:
        """End publishing, cleanly or as a power cut does."""
        if self.running:
            if kill:
                self.publish.kill()
            else:
                code = self.publish.stop()
                assert code in (0, -signal.SIGTERM), f"publish ended with {code}: {self.publish.log()[-2000:]}"
        self.running = False

    def copy(self, state: Path, *, closed: bool) -> None:
        """Copy the folder to another place: closed, or with its journal, as a power cut leaves it."""
        assert not self.running
        if closed:
            self._close()
        # From outside: closing a descriptor of a live database would drop the locks of the process that holds it open.
        state.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(self.state), str(state)], check=True)
        if closed:
            self._open()

    def reopen(self) -> None:
        """Let capture start anew."""
        self._close()
        self._open()

    def thin(self) -> None:
        """Let go of all that is released, as a full card does."""
        self._close()
        self._open(ALL_SPACE_MB)
        self.outbox.maintain()
        self.reopen()

    def end(self) -> None:
        """Pull the card."""
        self.stop(kill=True)
        self._close()

    def held(self) -> dict[Identity, tuple[str, bool]]:
        """Return digest, and whether there is a picture, of all records in both files."""
        return {
            (epoch, seq): (digest, picture is not None)
            for name in (OUTBOX, DELIVERY)
            if (self.state / name).exists()
            for epoch, seq, digest, picture in query(
                self.state / name, "SELECT epoch, seq, digest, thumbnail FROM records"
            )
        }

    def unreleased(self) -> list[Identity]:
        """Return what is held and not released, record or picture."""
        released = read_released(self.state / DELIVERY)
        return [
            key
            for key, (_, pictured) in self.held().items()
            if key[0] not in released
            or key[1] not in released[key[0]].records
            or (pictured and key[1] not in released[key[0]].thumbnails)
        ]

    def released(self) -> list[tuple[Identity, str]]:
        """Return what is held and released, with its digest."""
        released = read_released(self.state / DELIVERY)
        return [
            (key, digest)
            for key, (digest, _) in self.held().items()
            if key[0] in released and key[1] in released[key[0]].records
        ]


_LABELS = ("device_id", "recorded_at", "boot_id", "monotonic_s", "clock_synced", "code")


class Stored:
    """What the station's database holds now."""

    def __init__(self, rig: CardRig) -> None:
        """Read it; all is empty where there is none yet."""
        data = rig.data / "station.db"
        self._data = rig.data
        records = query(data, "SELECT epoch, seq, digest FROM records")
        self.digests = {(epoch, seq): digest for epoch, seq, digest in records}
        self.pictures: dict[Identity, str] = {}
        self.shas: dict[Identity, str] = {}
        for epoch, seq, path, sha in query(data, "SELECT epoch, seq, path, sha256 FROM thumbnails"):
            self.pictures[(epoch, seq)], self.shas[(epoch, seq)] = path, sha
        self.places: dict[str, list[Identity]] = {}
        self.named: dict[Identity, str | None] = {}
        for epoch, seq, text, sha in query(data, "SELECT epoch, seq, detail, thumbnail_sha256 FROM readings"):
            self.places.setdefault(text, []).append((epoch, seq))
            self.named[(epoch, seq)] = sha
        for epoch, seq, text in query(data, "SELECT epoch, seq, text FROM events WHERE code = 'watchdog'"):
            self.places.setdefault(text, []).append((epoch, seq))
        self.losses = query(data, "SELECT epoch, first_seq, last_seq, what, reason FROM losses")
        self.begun: dict[str, set[str]] = {}
        """Epoch -> those that say that they go on after it, but for those that a damaged file or journal began."""
        for epoch, text in query(data, "SELECT epoch, detail FROM events WHERE code = 'epoch_begun'"):
            detail = json.loads(text)
            if detail["reason"] not in REPAIRED:
                self.begun.setdefault(detail["before"], set()).add(epoch)
        self.conflicts = len(query(data, "SELECT 1 FROM conflicts"))
        self.quarantined = len(query(data, "SELECT 1 FROM quarantine"))

    def copied(self) -> tuple[int, int]:
        """Return how many epochs share their predecessor with another, by their first records and as reported."""
        data = self._data / "station.db"
        if not query(data, "SELECT 1 FROM epochs LIMIT 1"):
            return 0, 0  # nothing was written before the first look, or the file is just being made
        with closing(sqlite3.connect(f"file:{data}?mode=ro", uri=True)) as connection:
            reported = count_copied(connection, DEVICE)
        return sum(len(epochs) for epochs in self.begun.values() if len(epochs) > 1), reported

    def lacks(self, written: Written) -> str:
        """Return what is not as it should be with one record, "" where all is."""
        places = self.places.get(written.text, [])
        if len(places) != 1:
            return f"{len(places)} times: {[(epoch[:8], seq) for epoch, seq in places]}"
        (place,) = places
        if not written.pixels:
            return ""
        if place not in self.pictures:
            return f"without its picture at {place[0][:8]}:{place[1]}"
        jpeg = (self._data / self.pictures[place]).read_bytes()
        sha = hashlib.sha256(jpeg).hexdigest()
        if not sha == self.shas[place] == self.named[place] or _pixels(jpeg) != written.pixels:
            return f"with another picture at {place[0][:8]}:{place[1]}"
        label = json.loads(Image.open(io.BytesIO(jpeg)).getexif()[0x010E])
        right = (label["epoch"], label["seq"]) == place
        return "" if right else f"whose picture names {label['epoch'][:8]}:{label['seq']}"


def _pixels(jpeg: bytes) -> bytes:
    return Image.open(io.BytesIO(jpeg)).tobytes()
