"""The publishing process: one loop, one thread; connect, read, hand over, say how things are."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.config.load import config_sha256
from edge.config.state_folder import outbox_path
from edge.config.tree import Config
from edge.contract import jsontext
from edge.contract.base import Scalar
from edge.contract.command import Result
from edge.contract.delivery import Committed
from edge.contract.record import EventCode
from edge.contract.status import Info, OpenEpoch
from edge.contract.topics import ROOT, DeviceTopics, station_availability
from edge.errors import MessageError, NetworkError, OperatorError, StorageError
from edge.host.board import board_serial
from edge.outbox.delivery import Delivery
from edge.publish.commands import Commands
from edge.publish.connection import NOT_AUTHORISED, TAKEN_OVER, Link
from edge.publish.delivery.naming import Named
from edge.publish.delivery.sender import Sender, jitter
from edge.publish.delivery.source import ranges_held
from edge.publish.log import Journal
from edge.publish.reconnect import Ends
from edge.publish.status.announced import Announced
from edge.publish.status.capture_status import Captured, capture_has_begun, capture_runs, read_captured
from edge.publish.status.health import Backlog, Surroundings, make_health
from edge.publish.status.home_assistant import birth_topic, discovery_topic, make_discovery
from edge.publish.status.machine import look_at_machine, machine_name
from edge.publish.status.recent import Recent
from edge.publish.status.status_file import StatusFile
from edge.publish.status.summary import Glance, summarise
from edge.timing.clock import SystemClock
from edge.version import VERSION

IDLE_S = 0.25
SAVE_S = 5.0
SETTLE_S = 0.3
"""After connecting, the retained watermark is given so long to come, so that less is sent twice."""
RESUBSCRIBE_S = 30.0
TIDY_S = 600.0
_FAILURE = 0x80
"""From this reason code on the broker refuses (MQTT 5, section 2.4)."""
REFUSED = (
    "the broker refuses what this device publishes; give it write access to its topics in the broker's access list"
)


class Publisher:
    """Everything between the outbox and the broker."""

    def __init__(self, config: Config, delivery: Delivery) -> None:
        """Nothing is connected before the first cycle."""
        self._config, self._delivery = config, delivery
        self._state_dir = Path(config.state_dir)
        self._topics = DeviceTopics(config.device_id)
        self._journal = Journal()
        self._sender = Sender(config, delivery, self._journal)
        self._commands = Commands(delivery, self._sender, self._answer)
        self._ailing: dict[str, str] = {}
        self._answers: dict[int, Result] = {}
        self._unanswered: list[Result] = []
        self._link: Link | None = None
        self._clock = SystemClock()
        self._started_at, self._started_s = datetime.now(UTC), time.monotonic()
        self._announced, self._clearing = Announced(self._state_dir), dict[int, str]()
        self._station_heard = self._files_were_right = False
        self._ready_at_s: float | None = None
        self._denied, self._resubscribe_at_s, self._refused_at_s = "", 0.0, float("-inf")
        self._save_at_s = self._health_at_s = self._tidy_at_s = 0.0
        self._connections = 0
        self._ends = Ends()
        self._status = StatusFile(config)
        self._status.note(connected=False, said="it has only just begun")
        self._info = b""
        self._recent = Recent(self._sender.shelf.outbox)
        self._summaries: dict[str, bytes] = {}
        self._summarised: tuple[str, int] | None = None
        self._station_topic = None if config.mqtt.station is None else station_availability(config.mqtt.station)

    def cycle(self) -> None:
        """Do one round; it takes at most a connection attempt's time-out."""
        now_s = time.monotonic()
        self._refresh()
        if self._link is None and self._ends.due(now_s):
            self._connect(now_s)
        if self._link is None:
            time.sleep(IDLE_S)
        else:
            self._serve(self._link)
        if now_s >= self._save_at_s:
            self._save_at_s = now_s + SAVE_S
            self._guard("save", self._sender.save)
        if now_s >= self._tidy_at_s:
            self._tidy_at_s = now_s + TIDY_S
            self._guard("tidy", lambda: self._delivery.tidy(self._config.outbox))

    def tell(self, code: EventCode, text: str) -> None:
        """Append an event of the process itself."""
        self._guard("save", lambda: self._delivery.event(code, text))

    def describe(self) -> str:
        """Return in one line for a person at a terminal how delivery stands."""
        connected = self._link is not None and self._link.connected
        waiting, sent = self._sender.unreleased(), len(self._sender.records.window.in_flight)
        where = "connected" if connected else "not connected"
        station = self._config.mqtt.station
        who = "the broker" if station is None else f"station {station}"
        there = "" if station is None or self._sender.station_online or not connected else f"; {who} is not there"
        return f"{where}{there}; {waiting} records not yet stored by {who}, {sent} of them on the way"

    def close(self) -> None:
        """Say offline, which a clean goodbye would not (it cancels the last will), and let go of everything."""
        link = self._link
        if link is not None and link.connected:
            link.publish(self._topics.of("availability"), b"offline", retain=True)
            deadline_s = time.monotonic() + 2.0
            while link.unfinished() and link.ended is None and time.monotonic() < deadline_s:
                link.turn(0.05)
            link.close()
        self._guard("close", self._sender.close)

    def _refresh(self) -> None:
        def look() -> None:
            if self._sender.refresh():
                self._commands.notice(self._sender.shelf.newest)

        self._guard("look", look)

    def _guard(self, what: str, work: Callable[[], object]) -> None:
        """Do something that needs a database; trouble is said once, whoever meets it, and tried again."""
        try:
            work()
            self._ailing.pop(what, None)
            if not self._ailing:
                self._journal.forget("storage")
        except StorageError as error:
            self._ailing[what] = str(error)
            self._journal.say("storage", f"{error}. It is tried again; nothing is lost", state=type(error).__name__)

    def _connect(self, now_s: float) -> None:
        try:
            self._link = Link(
                self._config.mqtt,
                f"cageclock-{self._config.device_id}",
                self._topics.of("availability"),
                self._arrived,
                self._acked,
            )
            self._ready_at_s, self._files_were_right = None, True
        except (NetworkError, OperatorError) as error:
            # At the start a wrong file is a person's to correct; later it is one that is being replaced just now.
            if isinstance(error, OperatorError) and not self._files_were_right:
                raise
            self._files_were_right = self._files_were_right or isinstance(error, NetworkError)
            self._journal.say("connection", f"{error}. It is tried again; nothing is lost")
            self._status.note(connected=False, said=str(error))
            self._ends.unreachable(now_s)

    def _serve(self, link: Link) -> None:
        """Work the connection: the network first, then what may be sent."""
        link.turn(IDLE_S)
        now_s = time.monotonic()
        if link.connected and self._ready_at_s is None:
            self._begin(link, now_s)
        if link.ended is not None:
            self._end(link, now_s)
            return
        if self._ready_at_s is None or now_s < self._ready_at_s + SETTLE_S:
            return
        self._look_at_subscriptions(link, now_s)
        self._ends.lives(now_s - self._ready_at_s)
        self._guard("send", lambda: self._sender.send(link, now_s))
        self._commands.finish()
        if now_s >= self._health_at_s:
            self._health_at_s = now_s + self._config.mqtt.health_interval_s
            self._sender.name_next()
            self._guard("state", lambda: self._say_state(link))
        if self._sender.naming_due:
            self._sender.naming_due = False
            self._say_info(link, read_captured(self._state_dir))

    def _begin(self, link: Link, now_s: float) -> None:
        """The broker accepted: renew subscriptions and what dashboards need."""
        self._ready_at_s = now_s
        self._connections += 1
        self._journal.say("connection", f"mqtt: connected to {self._config.mqtt.host}:{self._config.mqtt.port}")
        self._sender.connected(link.takes)
        topics = [self._topics.command("+")]
        if self._config.mqtt.station is not None and self._station_topic is not None:
            topics += [self._topics.committed(self._config.mqtt.station), self._station_topic]
        if self._config.mqtt.home_assistant:
            topics.append(birth_topic(self._config))
        link.subscribe(topics)
        link.publish(self._topics.of("availability"), b"online", retain=True)
        self._info, self._summaries, self._summarised = b"", {}, None
        self._health_at_s, self._refused_at_s = 0.0, float("-inf")
        self._clearing.clear()
        self._discover(link)
        unanswered, self._unanswered = [*self._answers.values(), *self._unanswered], []
        self._answers.clear()
        for result in unanswered[-100:]:
            self._answer(result)

    def _look_at_subscriptions(self, link: Link, now_s: float) -> None:
        """Say what the broker does not let this device hear, and ask for it again: the access list may be corrected."""
        denied = _describe_denied(link.denied, self._config.mqtt.username or self._config.device_id)
        if denied != self._denied:
            self._denied, self._health_at_s = denied, now_s
            self._resubscribe_at_s = now_s + RESUBSCRIBE_S * jitter()
        refused = now_s - self._refused_at_s < 1.5 * self._config.mqtt.health_interval_s  # health is sent anew
        self._status.note(connected=True, said=denied or (REFUSED if refused else ""))
        if denied == "":
            self._journal.forget("subscriptions")
            return
        self._journal.say("subscriptions", f"mqtt: {denied}")
        if now_s >= self._resubscribe_at_s:
            self._resubscribe_at_s = now_s + RESUBSCRIBE_S * jitter()
            link.subscribe(list(link.denied))

    def _end(self, link: Link, now_s: float) -> None:
        """The connection is over: say why once, look for a double, come back later."""
        assert link.ended is not None
        ended, lived_s = link.ended, None if self._ready_at_s is None else now_s - self._ready_at_s
        link.drop()
        self._link = None
        suspicious = lived_s is not None and ended.kind != "silent"
        self._guard("save", lambda: self._sender.lost_link(suspicious=suspicious, now_s=now_s))
        self._journal.say("connection", f"{ended.text}. It is tried again; nothing is lost")
        self._status.note(connected=False, said=ended.text)
        if self._ends.ended(ended, lived_s, now_s):
            self._name_double(told=ended.code == TAKEN_OVER)

    def _name_double(self, *, told: bool) -> None:
        text = (
            f"{'another client' if told else 'perhaps another client'} connects as {self._config.device_id}: a copied "
            "card or settings file? Give each device its own device_id"
        )
        self._journal.say("double", f"mqtt: {text}")
        detail: dict[str, Scalar] = {"ends": self._ends.quick, "told": told}
        self._guard("save", lambda: self._delivery.event("duplicate_client", text, **detail))

    def _arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take in a message; one that cannot be read is said and passed over."""
        try:
            if topic.startswith(f"{ROOT}/station/"):
                station, online, now_s = topic.split("/")[-2], payload == b"online", time.monotonic()
                if topic == self._station_topic:
                    self._hear_station()
                    self._sender.station_said(online, now_s)
                self._sender.replays.station_said(station, online, now_s)
            elif topic.startswith(self._topics.of("command/")):
                self._commands.take(topic.rpartition("/")[2], payload, retained)
            elif topic.startswith(self._topics.of("committed/")):
                self._take_watermark(topic.rpartition("/")[2], jsontext.decode(payload, Committed))
            elif self._config.mqtt.home_assistant and payload == b"online" and self._link is not None:
                self._discover(self._link)
        except (MessageError, StorageError) as error:
            self._journal.say(f"message {topic}", f"mqtt: {topic}: passed over: {error}")

    def _hear_station(self) -> None:
        """Note that the station of the settings exists; what doctor reads says so too."""
        self._station_heard = True
        self._status.hear_station()

    def _take_watermark(self, station: str, message: Committed) -> None:
        """Only the station named in the settings releases records; another's steers a replay that is for it."""
        if station == self._config.mqtt.station:
            self._hear_station()
            self._sender.committed(message)
        self._sender.replays.committed(station, message)

    def _answer(self, result: Result) -> None:
        """Publish a result, on the next connection again if this one ends before the broker has it."""
        mid = None if self._link is None else self._link.publish(self._topics.of("result"), jsontext.encode(result))
        if mid is None:
            self._unanswered.append(result)
        else:
            self._answers[mid] = result

    def _acked(self, mid: int, code: int) -> None:
        cleared = self._clearing.pop(mid, None)
        if cleared is not None and code < _FAILURE:
            self._announced.remove(cleared)
        if code == NOT_AUTHORISED:
            self._refused_at_s = time.monotonic()
        if self._answers.pop(mid, None) is None:
            self._sender.acked(mid, code, time.monotonic())

    def _discover(self, link: Link) -> None:
        """Describe the device to Home Assistant, or take back what is retained where it is not to be described."""
        wanted = discovery_topic(self._config) if self._config.mqtt.home_assistant else None
        for topic in self._announced.topics - {wanted}:
            mid = link.publish(topic, b"", retain=True)
            if mid is not None:
                self._clearing[mid] = topic
        if wanted is not None:
            self._announced.add(wanted)
            link.publish(wanted, jsontext.encode(make_discovery(self._config)), retain=True)

    def _say_state(self, link: Link) -> None:
        """Publish health, and info and summaries where they changed."""
        now, captured = datetime.now(UTC), read_captured(self._state_dir)
        machine = look_at_machine(self._state_dir)
        glances: list[Glance] = []
        self._guard("glance", lambda: glances.extend(self._newest_readings()))
        around = self._surroundings()
        health = make_health(self._config, machine, captured, self._backlog(), around, glances, now)
        link.publish(self._topics.of("health"), jsontext.encode(health), retain=True)
        self._say_info(link, captured)
        self._say_summaries(link)

    def _say_info(self, link: Link, captured: Captured) -> None:
        """Publish `info` where it has changed: it names other epochs in turn where there are many."""
        info = jsontext.encode(self._make_info(captured))
        if info != self._info:
            self._info = info
            link.publish(self._topics.of("info"), info, retain=True)

    def _newest_readings(self) -> Sequence[Glance]:
        newest = self._sender.shelf.newest
        return () if newest is None else self._recent.until(datetime.fromisoformat(newest.recorded_at))

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            watched_s=time.monotonic() - self._started_s,
            capture_running=capture_runs(self._state_dir),
            capture_begun=capture_has_begun(self._state_dir),
            station_heard=self._station_heard,
            station_online=self._sender.station_online,
            clock_synced=self._clock.synced(),
            storage="; ".join(sorted(set(self._ailing.values()))),
        )

    def _backlog(self) -> Backlog:
        sender, newest = self._sender, self._sender.shelf.newest
        path = outbox_path(self._state_dir)
        refused, reasons = sender.refusals()
        return Backlog(
            records=sum(of.last - of.first_held + 1 for of in sender.shelf.epochs),
            unreleased=sender.unreleased(),
            bytes=path.stat().st_size if path.exists() else 0,
            in_flight=len(sender.records.window.in_flight),
            quarantined=refused,
            refused=reasons,
            last_record_at=None if newest is None else datetime.fromisoformat(newest.recorded_at),
            reconnects=max(0, self._connections - 1),
            ends=self._ends.counts,
            denied=self._denied,
        )

    def _make_info(self, captured: Captured) -> Info:
        sender = self._sender
        oldest = [
            next((of.epoch for of in ranges_held(all_)), None)
            for all_ in (sender.shelf.epochs, sender.shelf.own_epochs)
        ]
        return Info(
            device_id=self._config.device_id,
            cage_id=self._config.cage.id,
            version=VERSION,
            python=platform.python_version(),
            machine=f"{machine_name()}, {os.uname().release}",
            serial=board_serial(),
            boot_id=self._clock.boot_id,
            started_at=self._started_at,
            config_sha256=captured.config_sha256 or config_sha256(self._config),
            camera=captured.camera,
            model=captured.model,
            epochs=tuple(_describe_epoch(named) for named in sender.named()),
            oldest_held=tuple(epoch for epoch in oldest if epoch is not None),
        )

    def _say_summaries(self, link: Link) -> None:
        newest = self._sender.shelf.newest
        if newest is None or (newest.epoch, newest.seq) == self._summarised:
            return
        self._summarised = (newest.epoch, newest.seq)
        glances = self._recent.until(datetime.fromisoformat(newest.recorded_at))
        cage = self._config.cage
        for name, summary in summarise(self._config.device_id, cage.id, cage.subject, glances).items():
            payload = jsontext.encode(summary)
            if payload != self._summaries.get(name):
                self._summaries[name] = payload
                link.publish(self._topics.summary(name), payload, retain=True)


def _describe_epoch(named: Named) -> OpenEpoch:
    of = named.held
    return OpenEpoch(
        epoch=of.epoch,
        publisher=named.publisher,
        first_held=of.first_held,
        last=of.last,
        starts=of.starts or msgspec.UNSET,
        before=of.before or msgspec.UNSET,
        before_last=of.before_last if of.before else msgspec.UNSET,
    )


def _describe_denied(denied: Mapping[str, str], user: str) -> str:
    """Return one sentence on the subscriptions that the broker refuses, "" while it refuses none."""
    if not denied:
        return ""
    topics = ", ".join(f"{topic} ({words})" for topic, words in sorted(denied.items()))
    return (
        f"the broker denies {user} the subscription to {topics}; give it read access to these topics in the broker's "
        "access list. It is tried again; readings are kept"
    )
