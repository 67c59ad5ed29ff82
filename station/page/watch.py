"""Watches the log for the wall: one look a second however many browsers are open, and tells them what changed."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from edge.errors import CageclockError
from station.curves.curve import Curve
from station.ingest.running import Running, read_running
from station.page.alarms.alarm import ACKNOWLEDGED, NOT_SEEN, OWN_KINDS, Alarm, Trouble, keep_alarms, load_open
from station.page.alarms.unseen import find_unseen
from station.page.database import page_database
from station.page.devices.fleet import find_fleet_alarms
from station.page.devices.samples import Sampler
from station.page.read import NoLog, Picture, find_devices, find_newest, load_some_curves, log, table_digest
from station.page.wall import Age, Card, Problem, ages_of, make_card
from station.registry.attribution import Owners
from station.registry.subjects import load_subjects
from station.registry.zones import load_zones
from station.status import DeviceStatus, load_status

LOG = logging.getLogger("station.page")
LOOK_EVERY_S = 1.0
STATUS_EVERY_S = 10.0
STATUS_SHARE = 5
"""The status is worked out again after so many times as long as it took, at the earliest."""
AGE_DAYS = 10.0
AGES_A_LOOK = 20
"""Ages worked out between two looks, so that a first look at many cages is not kept waiting for them."""
UNSEEN_EVERY_S = 60.0
PICTURES_SHOWN = 4
"""Of each cage: a browser may still ask for the one before."""
MOST_LISTENERS = 500
GONE = -1
"""In place of a version: the page stops."""


class Watch:
    """What the wall shows at any moment. Its thread is the only one that works it out; anybody may read `cards`."""

    def __init__(self, data: Path, not_seen_hours: float = 12.0) -> None:
        """Nothing is known yet; `start` begins to look.

        not_seen_hours: an animal that was found in no picture for so long is an alarm.
        """
        self._data, self._not_seen_hours = data, not_seen_hours
        self.alarms: list[Alarm] = []
        self._owners: Owners | None = None
        self._sampler = Sampler(data)
        self._unseen: Mapping[str, str] = {}
        self._unseen_due_s = 0.0
        self.cards: dict[str, Card] = {}
        self.running: Running | None = None
        self.trouble = ""
        self.version = 0
        self._status: dict[str, DeviceStatus] | None = None
        self._status_due_s = self._soon_s = 0.0
        self._ages: dict[str, tuple[object, tuple[Age, ...]]] = {}
        self._listeners: dict[asyncio.Queue[int], asyncio.AbstractEventLoop] = {}
        self._changed: dict[str, int] = {}
        self._shown: dict[str, tuple[Picture, ...]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def lives(self) -> bool:
        """Return whether the thread still looks."""
        return self._thread.is_alive()

    def wait_for_a_look(self, limit_s: float = 5.0) -> None:
        """Return once the wall was worked out at least once, or after a limit."""
        self._looked.wait(limit_s)

    def look_again(self) -> None:
        """Have the status worked out at the next look: somebody has changed something."""
        self._status_due_s = 0.0

    def find_shown(self, device: str, digest: str) -> Picture | None:
        """Return a picture that the wall shows of a device, or showed shortly before, by the begin of its digest."""
        with self._lock:
            return next((one for one in self._shown.get(device, ()) if one.sha256.startswith(digest)), None)

    def changed_since(self, version: int) -> list[Card]:
        """Return the cards that changed after a version."""
        with self._lock:
            return [self.cards[name] for name, at in self._changed.items() if at > version and name in self.cards]

    def listen(self, queue: asyncio.Queue[int], loop: asyncio.AbstractEventLoop) -> bool:
        """Put each new version into a browser's queue from now on; False where there are too many already."""
        with self._lock:
            if len(self._listeners) >= MOST_LISTENERS:
                return False
            self._listeners[queue] = loop
            return True

    def leave(self, queue: asyncio.Queue[int]) -> None:
        """Tell a queue nothing any more."""
        with self._lock:
            self._listeners.pop(queue, None)

    def let_go(self) -> None:
        """End all streams: the page stops. Called by a signal, so without the lock that its own thread may hold."""
        for queue, loop in list(self._listeners.items()):
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(queue.put_nowait, GONE)

    def _run(self) -> None:
        while not self._stop.is_set():
            began_s = time.monotonic()
            try:
                self._look()
                self._say("")
            except NoLog:
                self._say("")
            except Exception as error:  # noqa: BLE001 - the page goes on with what it knows, and says so
                said = str(error) if isinstance(error, CageclockError) else f"{type(error).__name__}: {error}"
                LOG.error("the wall could not be brought up to date: %s", said)
                self._say(said)
            self._looked.set()
            self._stop.wait(max(LOOK_EVERY_S, time.monotonic() - began_s))

    def _look(self) -> None:
        self.running = read_running(self._data)
        with log(self._data) as connection:
            zones, subjects, digest = load_zones(connection), load_subjects(connection), table_digest(connection)
            newest = [find_newest(connection, device) for device in find_devices(connection)]
        owners, cards, late = Owners(subjects, zones), {}, []
        self._owners = owners
        now_s = datetime.now(UTC).timestamp()
        for one in newest:
            listed = owners.listed(one.device, one.cage)
            animals = [name for name in listed if owners.lives_in(name, one.device, one.cage, now_s)]
            made_of = (one.at, digest)
            known, ages = self._ages.get(one.device, (None, ()))
            if known != made_of and one.at is not None:
                late.append((one.device, made_of, one.at))
            status = (self._status or {}).get(one.device)
            own = self._own_problems(one.device)
            cards[one.device] = make_card(one, status, animals, ages, zones.of(one.device), own)
        self._publish(cards)
        for device, what, at in late[:AGES_A_LOOK]:
            if self._stop.is_set():
                return
            curves: list[Curve] = load_some_curves(self._data, [device], at.timestamp() - AGE_DAYS * 86400)
            self._ages[device] = (what, tuple(ages_of(curves)))
            cards[device] = replace(cards[device], ages=self._ages[device][1])
        if late:
            self._publish(cards)
        self._bring_status()

    def _bring_status(self) -> None:
        began_s, as_of_s = time.monotonic(), time.time()
        new = self._status is not None and any(name not in self._status for name in self.cards)
        if began_s < (self._soon_s if new else self._status_due_s):
            return
        self._status_due_s = began_s + STATUS_EVERY_S
        with log(self._data) as connection:
            found = load_status(connection, datetime.now(UTC))
            self._sampler.look(connection)
        took_s = time.monotonic() - began_s
        self._status_due_s = max(self._status_due_s, time.monotonic() + STATUS_SHARE * took_s)
        self._soon_s = time.monotonic() + took_s  # a cage that has just appeared need not wait as long
        self._status = {status.device: status for status in found}
        self._look_for_unseen()
        cards = {
            name: make_card(
                card.newest, self._status.get(name), card.animals, card.ages, card.zone, self._own_problems(name)
            )
            for name, card in self.cards.items()
        }
        self._publish(cards)
        self._keep_alarms(found, as_of_s)

    def _look_for_unseen(self) -> None:
        if time.monotonic() < self._unseen_due_s or self._owners is None:
            return
        self._unseen_due_s = time.monotonic() + UNSEEN_EVERY_S
        with log(self._data) as connection:
            cards, now_s = self.cards.values(), datetime.now(UTC).timestamp()
            self._unseen = find_unseen(connection, cards, self._owners, self._not_seen_hours, now_s)

    def _keep_alarms(self, found: list[DeviceStatus], as_of_s: float) -> None:
        troubles = [
            Trouble(status.device, code, said, code in status.known)
            for status in found
            for code, said in status.problems.items()
        ]
        troubles += [Trouble(device, NOT_SEEN, said, None) for device, said in self._unseen.items()]
        troubles += [Trouble(one.device, one.kind, one.text, None) for one in find_fleet_alarms(self._data)]
        with page_database(self._data) as connection:
            keep_alarms(connection, troubles, as_of_s, time.time())
            self.alarms = load_open(connection)

    def _own_problems(self, device: str) -> tuple[Problem, ...]:
        """Return what the page itself finds wrong with a cage."""
        known = {alarm.kind for alarm in self.alarms if alarm.device == device and alarm.state == ACKNOWLEDGED}
        found = {NOT_SEEN: self._unseen.get(device)}
        return tuple(Problem(kind, found[kind] or "", kind in known) for kind in OWN_KINDS if found[kind])

    def _publish(self, cards: dict[str, Card]) -> None:
        with self._lock:
            changed = [name for name, card in cards.items() if self.cards.get(name) != card]
            gone = [name for name in self.cards if name not in cards]
            if not changed and not gone:
                return
            self.version += 1
            self.cards = dict(cards)
            for name in changed:
                self._changed[name] = self.version
                picture, before = cards[name].newest.picture, self._shown.get(name, ())
                if picture is not None and picture not in before:
                    self._shown[name] = (picture, *before)[:PICTURES_SHOWN]
            for name in gone:
                self._changed.pop(name, None)
                self._shown.pop(name, None)
        self._tell()

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            with self._lock:
                self.version += 1
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            listeners, version = dict(self._listeners), self.version
        for queue, loop in listeners.items():
            tell: Callable[[], None] = _putter(queue, version)
            try:
                loop.call_soon_threadsafe(tell)
            except RuntimeError:
                self.leave(queue)  # its loop is closed


def _putter(queue: asyncio.Queue[int], version: int) -> Callable[[], None]:
    def put() -> None:
        while not queue.empty():  # only the newest version matters
            queue.get_nowait()
        queue.put_nowait(version)

    return put
