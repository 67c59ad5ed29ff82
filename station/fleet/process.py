"""`cageclock-station fleet`: hear the devices, look at the rollouts, publish what is due; for ever, one at a time."""

from __future__ import annotations

import logging
import signal
import sqlite3
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from edge.contract import jsontext, topics
from edge.contract.bundle.freshness import Freshness, sign_freshness
from edge.contract.command import Result
from edge.contract.model_trust import model_trust
from edge.contract.reported import Reported
from edge.contract.service.credential import secret_path
from edge.contract.service.systemd_notify import notify
from edge.contract.service.unexpected import Unexpected
from edge.errors import BundleError, CageclockError, DatabaseDamaged, MessageError, OperatorError
from station.fleet.files import FileServer
from station.fleet.keep.commands import OPEN, hear_result, load_commands, mark
from station.fleet.keep.database import BUSY_S, open_fleet
from station.fleet.keep.devices import hear_availability, hear_health, hear_report, keep_said, load_heard, load_said
from station.fleet.keep.groups import load_pins
from station.fleet.keep.lease import Lease, LeaseLost
from station.fleet.keep.rollouts import LIVE, load_rollouts
from station.fleet.keep.trust import load_trust
from station.fleet.link import ACK_S, JOIN_S, Heard, Link
from station.fleet.looking import Looking
from station.fleet.rollout.state import Phase, Status
from station.fleet.settings import FleetSettings
from station.fleet.wishes import NOTHING, as_time, wishes
from station.printable import printable
from station.transaction import transaction

LOG = logging.getLogger("station.fleet")
PATIENCE_S = 1.0
WATCHDOG_S = 5.0
MOST_PER_CYCLE = 200
WORST_CYCLE_S = 4 * BUSY_S + 2 * ACK_S + JOIN_S + PATIENCE_S
"""The sum of one cycle's bounded waits: the lease, what was heard, a look, a message that nobody acknowledges."""


def run(settings: FleetSettings) -> int:
    """Work until SIGTERM or SIGINT and return 0.

    Raises:
        OperatorError: a setting, a path or a permission is wrong.
        NetworkError: the port for the files is taken.
        DatabaseDamaged: the database is damaged.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with closing(open_fleet(Path(settings.data))) as connection:
        return Process(settings, connection, stop).run()


class Process:
    """The main loop. The database is used by this thread only."""

    def __init__(
        self,
        settings: FleetSettings,
        fleet: sqlite3.Connection,
        stop: threading.Event,
        unexpected: Unexpected | None = None,
    ) -> None:
        """Check the settings; nothing runs yet. unexpected: with other pauses, for tests."""
        self._settings, self._fleet, self._stop = settings, fleet, stop
        self._unexpected = unexpected or Unexpected("fleet")
        self._data = Path(settings.data)
        self._lease = Lease.new(settings.lease_s)
        self._looking = Looking(self._data, self._lease)
        Link(settings)  # what is wrong with a setting is said at once
        self._link: Link | None = None
        self._files: FileServer | None = None
        self._look_at = self._fed_at = self._fresh_at = float("-inf")
        self._fresh: tuple[int, bytes | None] = (0, None)
        self._waits_for = self._said = ""

    def run(self) -> int:
        """Work until the end is asked for."""
        notify("READY=1")
        try:
            while not self._stop.is_set():
                self._guarded_cycle()
        finally:
            notify("STOPPING=1")
            self._end()
        return 0

    def _guarded_cycle(self) -> None:
        try:
            self._cycle()
        except DatabaseDamaged:
            raise  # only a person can put that right
        except LeaseLost as error:
            LOG.warning("%s", error)
            self._end()
        except (sqlite3.Error, CageclockError) as error:
            self._complain(f"{error} (trying again)")
            self._feed(str(error))
            self._stop.wait(PATIENCE_S)
        except Exception as error:  # noqa: BLE001 - what is due stands in the database, and is taken up again
            text, _ = self._unexpected.note(error)
            self._complain(f"{text} (trying again)")
            self._end()
            self._feed(text)
            self._unexpected.wait(self._stop.is_set)

    def _cycle(self) -> None:
        other = self._lease.take(self._fleet, time.time())
        if other:
            if other != self._waits_for:
                LOG.info("waiting: another fleet process works, on %s", other)
            self._waits_for = other
            self._feed(f"waiting for {other}")
            self._stop.wait(min(PATIENCE_S, self._settings.lease_s / 4))
            return
        link = self._begun()
        heard = link.take(0.5)
        if heard:
            self._hear(heard)
        now = time.monotonic()
        if now >= self._look_at or any("model/reported" in one.topic for one in heard):
            self._look_at = now + self._settings.look_s
            self._looking.look(self._fleet, time.time())
        if link.renewed():
            # A broker that forgot its retained messages must not leave a device with an old wish, or none.
            self._publish_all(link, again=True)
        self._publish_all(link, again=False)
        self._send_commands(link)
        self._feed(link.complaint or "working")

    def _begun(self) -> Link:
        """Return the connection, made where this process has just got the lease."""
        if self._link is not None and not self._link.alive():
            LOG.error("the network thread has ended unexpectedly: making a new connection")
            self._link.stop()
            self._link = None
        if self._files is None and self._settings.files is not None:
            self._files = FileServer(self._data, self._settings.files)
            self._files.start()
        if self._link is None:
            self._waits_for = ""
            LOG.info("this is the fleet process now")
            self._link = Link(self._settings)
            self._link.start()
        return self._link

    def _end(self) -> None:
        if self._link is not None:
            self._link.stop()
            self._link = None
        if self._files is not None:
            self._files.stop()
            self._files = None
        try:
            self._lease.give_back(self._fleet)
        except sqlite3.Error as error:
            LOG.warning("the lease runs out by itself: %s", error)

    def _hear(self, messages: list[Heard]) -> None:
        now_s = time.time()
        with transaction(self._fleet):
            self._lease.check(self._fleet)
            for message in messages:
                try:
                    device, suffix = topics.parse_topic(message.topic)
                    self._hear_one(device, suffix, message.payload, now_s)
                except MessageError as error:
                    # One device's message costs itself.
                    self._complain(f"passed over {message.topic}: {error}")

    def _hear_one(self, device: str, suffix: str, payload: bytes, now_s: float) -> None:
        if not payload:
            return
        if suffix == "availability":
            hear_availability(self._fleet, device, payload == b"online", now_s)
        elif suffix == "model/reported":
            reported = jsontext.decode(payload, Reported)
            if reported.device_id != device:
                raise MessageError(f"device_id: expected {device!r}, got {reported.device_id[:64]!r}")
            hear_report(self._fleet, device, payload, reported, now_s)
        elif suffix == "health":
            hear_health(self._fleet, device, _problems(jsontext.parse(payload)), now_s)
        elif suffix == "result":
            hear_result(self._fleet, now_s, device, jsontext.decode(payload, Result))

    def _publish_all(self, link: Link, *, again: bool) -> None:
        """Publish what differs from what the broker was given last; `again`: all of it."""
        if not link.connected:
            return
        for what, wanted in (("trust", self._trust_messages()), ("desired", self._wishes())):
            said = load_said(self._fleet, what)
            due = [name for name, payload in wanted.items() if again or said.get(name) != payload]
            for name in due[:MOST_PER_CYCLE] if not again else due:
                why = link.publish(topics.DeviceTopics(name).of(f"model/{what}"), wanted[name], retain=True)
                if why:
                    self._complain(f"model/{what} of {name}: {why} (trying again)")
                    return
                keep_said(self._fleet, name, what, wanted[name], time.time())
                self._feed("publishing")

    def _wishes(self) -> dict[str, bytes]:
        rollouts, pins = load_rollouts(self._fleet, LIVE), load_pins(self._fleet)
        found = wishes(self._fleet, rollouts, pins, self._settings.urls)
        over = {name for name, pin in pins.items() if not pin.sha256}
        for one in rollouts:
            ended = (Phase.SKIPPED, Phase.FAILED)
            over |= {name for name, member in one.members.items() if member.phase in ended and member.asked_s}
        said = load_said(self._fleet, "desired")
        return found | {name: NOTHING for name in over if name not in found and said.get(name)}

    def _trust_messages(self) -> dict[str, bytes]:
        trust = load_trust(self._fleet)
        if trust is None:
            return {}
        content, fresh, found = trust.content(), self._freshness(), {}
        for name, heard in load_heard(self._fleet).items():
            held = (
                heard.reported.trust.version if heard.reported is not None and heard.reported.trust is not None else 0
            )
            try:
                found[name] = model_trust(content, fresh, held=held)
            except (MessageError, BundleError) as error:
                self._complain(f"model/trust of {name}: {error}")
        return found

    def _freshness(self) -> bytes | None:
        """Return the online key's word, signed anew after a quarter of its time and with each new statement."""
        trust = load_trust(self._fleet)
        if self._settings.online_key is None or trust is None or not hasattr(trust.newest.online, "keys"):
            return None
        version, hours = trust.newest.version, self._settings.fresh_hours
        if self._fresh[0] != version or time.monotonic() >= self._fresh_at:
            now = as_time(time.time())
            done: dict[str, int] = {}
            for one in load_rollouts(self._fleet, (Status.DONE,)):
                done[one.plan.channel] = max(one.plan.release, done.get(one.plan.channel, 0))
            word = Freshness(
                lab=trust.newest.lab,
                trust_version=version,
                releases=done,
                signed_at=now,
                expires_at=now + timedelta(hours=hours),
            )
            self._fresh = (version, sign_freshness(word, _online_key(self._settings.online_key)))
            self._fresh_at = time.monotonic() + 900.0 * hours
        return self._fresh[1]

    def _send_commands(self, link: Link) -> None:
        """Send what is queued for devices that are connected: a request is not retained, another would not hear it."""
        queued = load_commands(self._fleet, states=OPEN[:1], most=MOST_PER_CYCLE)
        if not queued or not link.connected:
            return
        heard = load_heard(self._fleet)
        for command in queued:
            if command.device not in heard or not heard[command.device].online:
                continue
            why = link.publish(topics.DeviceTopics(command.device).command(command.name), command.payload, retain=False)
            if why:
                self._complain(f"command of {command.device}: {why} (trying again)")
                return
            with transaction(self._fleet):
                # The answer may have been kept by an earlier run of this process.
                (state,) = self._fleet.execute("SELECT state FROM commands WHERE id = ?", (command.id,)).fetchone()
                if state == "queued":
                    mark(self._fleet, time.time(), command.id, "sent")

    def _complain(self, text: str) -> None:
        if text != self._said:
            LOG.error("%s", printable(text))
        self._said = text

    def _feed(self, state: str) -> None:
        now = time.monotonic()
        if now - self._fed_at >= WATCHDOG_S:
            self._fed_at = now
            notify(f"WATCHDOG=1\nSTATUS={printable(state)[:200]}")


def _online_key(place: str) -> bytes:
    path = secret_path(place, "online_key")
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"online_key: {path}: cannot be read: {error.strerror}") from error


def _problems(health: Any) -> dict[str, str]:
    """Return codes and advice of a health message, read leniently: a later version's may hold more."""
    if not isinstance(health, dict):
        return {}
    codes, advice = health.get("problems"), health.get("advice")
    if not isinstance(codes, list) or not isinstance(advice, list):
        return {}
    return {str(code)[:64]: str(text)[:500] for code, text in zip(codes[:64], advice, strict=False)}
