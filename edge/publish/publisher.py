"""The publishing process: one loop, one thread; connect, read, hand over, report the state."""

from __future__ import annotations

import time
from pathlib import Path

from edge.config.tree import Config
from edge.contract.base import Scalar
from edge.contract.committed import Committed, read_committed
from edge.contract.record import EventCode
from edge.contract.topics import ROOT, DeviceTopics, station_availability
from edge.errors import MessageError, NetworkError, OperatorError, StorageError
from edge.outbox.publish_file import PublishFile
from edge.publish.answers import Answers
from edge.publish.commands import Commands
from edge.publish.connection import Connection
from edge.publish.delivery.sender import Sender
from edge.publish.delivery.source import RecordSource
from edge.publish.ended import NOT_AUTHORISED, TAKEN_OVER
from edge.publish.log import StateLog
from edge.publish.models import Models
from edge.publish.reconnect import Reconnects
from edge.publish.status.announced import Announced
from edge.publish.status.discovery import Discovery
from edge.publish.status.recent import Recent
from edge.publish.status.reporter import Network, Reporter
from edge.publish.status.status_file import StatusFile
from edge.publish.storage_guard import StorageGuard
from edge.publish.subscriptions import Subscriptions
from edge.timing.clock import SystemClock

IDLE_S = 0.25
SAVE_S = 5.0
MODEL_S = 2.0
SETTLE_S = 0.3
"""After connecting, the retained watermark is given so long to come, so that less is sent twice."""
TIDY_S = 600.0
REFUSED = (
    "the broker refuses what this device publishes; give it write access to its topics in the broker's access list"
)


class Publisher:
    """Everything between the outbox and the broker."""

    def __init__(self, config: Config, delivery: PublishFile) -> None:
        """Nothing is connected before the first cycle."""
        self._config, self._delivery = config, delivery
        state_dir = Path(config.state_dir)
        self._topics = DeviceTopics(config.device_id)
        self._log = StateLog()
        self._guard = StorageGuard(self._log)
        self._source = RecordSource(state_dir)
        self._sender = Sender(config, delivery, self._source, self._log)
        self._answers = Answers(self._topics.of("result"))
        self._commands = Commands(delivery, self._sender, self._answers.send)
        self._models = Models(config)
        self._subscriptions = Subscriptions(config, self._log)
        self._discovery = Discovery(config, Announced(state_dir))
        recent = Recent(self._source.outbox)
        self._reporter = Reporter(config, self._source, self._sender, self._guard, recent, SystemClock())
        self._reconnects = Reconnects()
        self._status = StatusFile(config)
        self._status.note(connected=False, said="it has only just begun")
        self._connection: Connection | None = None
        self._station_heard = self._files_were_right = False
        self._ready_at_s: float | None = None
        self._refused_at_s = float("-inf")
        self._save_at_s = self._health_at_s = self._tidy_at_s = self._model_at_s = 0.0
        self._connections = 0
        self._station_topic = None if config.mqtt.station is None else station_availability(config.mqtt.station)

    def cycle(self) -> None:
        """Do one round; it takes at most a connection attempt's time-out."""
        now_s = time.monotonic()
        self._refresh()
        if self._connection is None and self._reconnects.due(now_s):
            self._connect(now_s)
        if self._connection is None:
            time.sleep(IDLE_S)
        else:
            self._serve(self._connection)
        if now_s >= self._save_at_s:
            self._save_at_s = now_s + SAVE_S
            self._guard.run("save", self._sender.save)
        if now_s >= self._tidy_at_s:
            self._tidy_at_s = now_s + TIDY_S
            self._guard.run("tidy", lambda: self._delivery.tidy(self._config.outbox))

    def append_event(self, code: EventCode, text: str) -> None:
        """Append an event of the process itself."""
        self._guard.run("save", lambda: self._delivery.event(code, text))

    def describe(self) -> str:
        """Return in one line for a person at a terminal how delivery stands."""
        connected = self._connection is not None and self._connection.connected
        waiting, sent = self._sender.unreleased(), self._sender.in_flight
        where = "connected" if connected else "not connected"
        station = self._config.mqtt.station
        who = "the broker" if station is None else f"station {station}"
        there = "" if station is None or self._sender.station_online or not connected else f"; {who} is not there"
        return f"{where}{there}; {waiting} records not yet stored by {who}, {sent} of them on the way"

    def close(self) -> None:
        """Publish `offline`, which a clean goodbye would not (it cancels the last will), and let go of everything."""
        connection = self._connection
        if connection is not None and connection.connected:
            connection.publish(self._topics.of("availability"), b"offline", retain=True)
            deadline_s = time.monotonic() + 2.0
            while connection.unfinished() and connection.ended is None and time.monotonic() < deadline_s:
                connection.turn(0.05)
            connection.close()
        self._guard.run("close", self._sender.save)
        self._source.close()

    def _refresh(self) -> None:
        def look() -> None:
            if self._sender.refresh():
                self._commands.notice(self._source.newest)

        self._guard.run("look", look)

    def _connect(self, now_s: float) -> None:
        try:
            self._connection = Connection(
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
            self._log.report("connection", f"{error}. It is tried again; nothing is lost")
            self._status.note(connected=False, said=str(error))
            self._reconnects.unreachable(now_s)

    def _serve(self, connection: Connection) -> None:
        """Work the connection: the network first, then what may be sent."""
        connection.turn(IDLE_S)
        now_s = time.monotonic()
        if connection.connected and self._ready_at_s is None:
            self._begin(connection, now_s)
        if connection.ended is not None:
            self._end(connection, now_s)
            return
        if self._ready_at_s is None or now_s < self._ready_at_s + SETTLE_S:
            return
        self._look_at_access(connection, now_s)
        self._reconnects.lives(now_s - self._ready_at_s)
        self._guard.run("send", lambda: self._sender.send(connection, now_s))
        self._commands.finish()
        if now_s >= self._health_at_s:
            self._health_at_s = now_s + self._config.mqtt.health_interval_s
            self._sender.name_next()
            self._guard.run("state", lambda: self._reporter.report(connection, self._network()))
        if now_s >= self._model_at_s:
            self._model_at_s = now_s + MODEL_S
            self._guard.run("model", lambda: self._reporter.report_model(connection, self._models.unreadable))
        if self._sender.naming_due:
            self._sender.naming_due = False
            self._reporter.report_info(connection)

    def _begin(self, connection: Connection, now_s: float) -> None:
        """The broker accepted: renew subscriptions and what dashboards need."""
        self._ready_at_s = now_s
        self._connections += 1
        self._log.report("connection", f"mqtt: connected to {self._config.mqtt.host}:{self._config.mqtt.port}")
        self._sender.connected(connection.takes)
        self._subscriptions.ask(connection)
        connection.publish(self._topics.of("availability"), b"online", retain=True)
        self._reporter.connect()
        self._health_at_s, self._refused_at_s = 0.0, float("-inf")
        self._discovery.connect(connection)
        self._answers.connect(connection)

    def _look_at_access(self, connection: Connection, now_s: float) -> None:
        """Note what the broker lets this device neither hear nor publish."""
        if self._subscriptions.look(connection, now_s):
            self._health_at_s = now_s
        refused = now_s - self._refused_at_s < 1.5 * self._config.mqtt.health_interval_s  # health is sent anew
        self._status.note(connected=True, said=self._subscriptions.denied or (REFUSED if refused else ""))

    def _end(self, connection: Connection, now_s: float) -> None:
        """The connection is over: report why once, look for a double, come back later."""
        assert connection.ended is not None
        ended, lived_s = connection.ended, None if self._ready_at_s is None else now_s - self._ready_at_s
        connection.drop()
        self._connection = None
        self._answers.disconnect()
        suspicious = lived_s is not None and ended.kind != "silent"
        self._guard.run("save", lambda: self._sender.lost_connection(suspicious=suspicious, now_s=now_s))
        self._log.report("connection", f"{ended.text}. It is tried again; nothing is lost")
        self._status.note(connected=False, said=ended.text)
        if self._reconnects.ended(ended, lived_s, now_s):
            self._name_double(is_reported=ended.code == TAKEN_OVER)

    def _name_double(self, *, is_reported: bool) -> None:
        text = (
            f"{'another client' if is_reported else 'perhaps another client'} connects as {self._config.device_id}: a "
            "copied card or settings file? Give each device its own device_id"
        )
        self._log.report("double", f"mqtt: {text}")
        # The keys of the detail are those of version 0.1.0; what reads the log goes on reading them.
        detail: dict[str, Scalar] = {"ends": self._reconnects.quick, "told": is_reported}
        self._guard.run("save", lambda: self._delivery.event("duplicate_client", text, **detail))

    def _arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take in a message; one that cannot be read is reported and passed over."""
        try:
            if topic.startswith(f"{ROOT}/station/"):
                station, online = topic.split("/")[-2], payload == b"online"
                if topic == self._station_topic:
                    self._hear_station()
                self._sender.note_availability(station, online, time.monotonic())
            elif topic.startswith(self._topics.of("command/")):
                self._commands.execute(topic.rpartition("/")[2], payload, retained)
            elif topic.startswith(self._topics.of("committed/")):
                self._note_watermark(topic.rpartition("/")[2], read_committed(payload))
            elif topic == self._topics.of("model/desired"):
                self._models.desire(payload)
            elif topic == self._topics.of("model/trust"):
                self._models.learn(payload)
            elif self._config.mqtt.home_assistant and payload == b"online" and self._connection is not None:
                self._discovery.publish(self._connection)
        except (MessageError, StorageError) as error:
            self._log.report(f"message {topic}", f"mqtt: {topic}: passed over: {error}")

    def _hear_station(self) -> None:
        """Note that the station of the settings exists; what doctor reads says so too."""
        self._station_heard = True
        self._status.hear_station()

    def _note_watermark(self, station: str, message: Committed) -> None:
        """Only the station named in the settings releases records; another's steers a replay that is for it."""
        if station == self._config.mqtt.station:
            self._hear_station()
        self._sender.committed(station, message)

    def _acked(self, mid: int, code: int) -> None:
        self._discovery.acked(mid, code)
        if code == NOT_AUTHORISED:
            self._refused_at_s = time.monotonic()
        if not self._answers.acked(mid):
            self._sender.acked(mid, code, time.monotonic())

    def _network(self) -> Network:
        return Network(
            reconnects=max(0, self._connections - 1),
            connection_ends=self._reconnects.counts,
            denied=self._subscriptions.denied,
            station_heard=self._station_heard,
        )
