"""The station's connection to the broker; the station's only user of paho-mqtt.

The session is a clean one: what the broker might queue for an absent station is neither needed (a device sends again
until the station's database has committed) nor safe to lean on (a restart of the broker loses it, a limit truncates
it), and a flood of stale copies after an absence helps nobody.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.contract import topics
from edge.contract.service.credential import read_password
from edge.contract.service.tls import context_of_settings
from edge.contract.unreachable import STATION_KEYS, why_unreachable
from station.ingest.settings import Settings
from station.store.message import STATES

LOG = logging.getLogger("station")
T = TypeVar("T")
RECEIVE_MAXIMUM = 500
"""Messages that the broker may have on the way to the station."""
MOST_WAITING_BYTES = 64 << 20
"""Of messages that wait for the disk; beyond it the network thread waits too, and with it the sender."""
NOTED_BYTES = 4 << 20
"""A message over `max_payload_kb` is noted up to this size; what is larger the broker (MQTT 5) does not even send."""
TAKEN_OVER = 0x8E
ASK_AGAIN_S = 30.0
GOODBYE_S, JOIN_S = 2.0, 5.0
STOP_S = GOODBYE_S + JOIN_S
LOGGED = tuple(f"{topics.ROOT}/+/{stream}" for stream in ("reading", "record"))
"""What the station must be granted before it says `online`: a device that hears it sends, and waits for the answer."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as paho gave it, and what is needed to acknowledge it on the connection that brought it."""

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]
    received_at: float
    connection: int
    message_id: int
    qos: int


class Link:
    """Connects for ever with capped back-off; hands messages over by `next_batch`, acknowledges by hand."""

    def __init__(self, settings: Settings) -> None:
        """Prepare a client; `start` connects.

        Raises:
            OperatorError: the password file or a certificate is missing or wrong; it is named.
            NetworkError: one of them cannot be read at the moment.
        """
        self._settings = settings
        self._waiting: queue.Queue[Delivery] = queue.Queue(2 * RECEIVE_MAXIMUM)
        self._waiting_bytes, self._room = 0, threading.Condition()
        self._stopping = threading.Event()
        self._connections = 0
        self._connected = self._accepted = self._online = False
        self._socket_error: OSError | None = None
        self._renewed = threading.Event()
        self._complaint = ""
        self._denied: dict[str, str] = {}
        self._asked: dict[int, list[str]] = {}
        self._asking = threading.Lock()
        self._said_denied, self._ask_at_s = "", 0.0
        self._availability = topics.station_availability(settings.name)
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._loop, name="mqtt", daemon=True)

    def start(self) -> None:
        """Connect in the background."""
        self._client.connect_async(
            self._settings.host, self._settings.port, self._settings.keepalive_s, **self._connect_arguments()
        )
        self._thread.start()

    def alive(self) -> bool:
        """Return whether the network thread lives; paho says it is connected even when it does not."""
        return self._thread.is_alive()

    def connected(self) -> bool:
        """Return whether the broker accepted this station and nothing ended the connection since."""
        return self._connected

    def renewed(self) -> bool:
        """Return whether a connection was made since the last call: every promise is to be said again."""
        if not self._renewed.is_set():
            return False
        self._renewed.clear()
        return True

    def trouble(self) -> str:
        """Return one sentence on what keeps the station from hearing or answering the devices, "" for nothing."""
        return self._complaint or self.denied()

    def denied(self) -> str:
        """Return one sentence on the subscriptions that the broker refuses, "" while it refuses none."""
        denied = dict(self._denied)  # the network thread writes it
        if not denied:
            return ""
        listed = ", ".join(f"{topic} ({words})" for topic, words in sorted(denied.items()))
        return (
            f"the broker denies user {self._settings.username or 'anonymous'} the subscription to {listed}; give "
            "it read access to them in the broker's access list. It is tried again; the devices keep what it misses"
        )

    def ask_again(self) -> None:
        """Ask from time to time for what was denied: the access list may have been corrected."""
        now_s = time.monotonic()
        if self._denied and self._connected and now_s >= self._ask_at_s:
            self._subscribe(self._client, list(self._denied))

    def next_batch(self, most: int, timeout_s: float) -> list[Delivery]:
        """Return what has arrived, at least one message unless the time runs out.

        Nothing waits for a batch to fill: while one is committed the next one gathers.
        """
        batch: list[Delivery] = []
        try:
            batch.append(self._waiting.get(timeout=timeout_s))
            while len(batch) < most:
                batch.append(self._waiting.get_nowait())
        except queue.Empty:
            pass
        if batch:
            with self._room:
                self._waiting_bytes -= sum(len(delivery.payload) for delivery in batch)
                self._room.notify()
        return batch

    def acknowledge(self, delivery: Delivery) -> None:
        """Tell the broker that a message is safe; one from an earlier connection is passed over.

        A message's number is the connection's: on another connection it would name another message.
        """
        if delivery.qos and delivery.connection == self._connections:
            self._client.ack(delivery.message_id, delivery.qos)

    def say_committed(self, device: str, payload: bytes) -> bool:
        """Publish the retained promise; False while there is no connection (it is then said at the next one)."""
        if not self._connected:
            return False
        topic = topics.DeviceTopics(device).committed(self._settings.name)
        return self._client.publish(topic, payload, qos=1, retain=True).rc == mqtt.MQTT_ERR_SUCCESS

    def stop(self) -> None:
        """Say offline, disconnect, end the thread."""
        if self._client.is_connected():
            # A clean disconnect sends no last will.
            said = self._client.publish(self._availability, b"offline", qos=1, retain=True)
            try:
                said.wait_for_publish(GOODBYE_S)
            except (RuntimeError, ValueError):
                LOG.warning("could not say offline to the broker")
        self._stopping.set()
        self._client.disconnect()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        five = settings.mqtt_version == "5"
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"cageclock-station-{settings.name}",
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else True,
            manual_ack=True,
        )
        if settings.username is not None:
            client.username_pw_set(settings.username, read_password(settings.password_file, "password_file"))
        if settings.tls is not None:
            tls = settings.tls
            client.tls_set_context(context_of_settings(tls.ca_file, tls.cert_file, tls.key_file, STATION_KEYS))
        client.will_set(self._availability, b"offline", qos=1, retain=True)
        client.reconnect_delay_set(1, 30)
        client.on_log = self._guarded(self._on_log)
        client.on_connect = self._guarded(self._on_connect)
        client.on_connect_fail = self._guarded(self._on_connect_fail)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_subscribe = self._guarded(self._on_subscribe)
        client.on_publish = self._guarded(self._on_publish)
        client.on_message = self._guarded(self._on_message)
        return client

    def _connect_arguments(self) -> dict[str, Any]:
        if self._settings.mqtt_version != "5":
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = max(NOTED_BYTES, 2 * self._settings.max_payload_kb * 1024)
        return {"clean_start": True, "properties": properties}

    def _loop(self) -> None:
        try:
            self._client.loop_forever(retry_first_connection=True)
        except Exception as error:  # noqa: BLE001 - the thread must not die unnoticed; `alive` tells the main loop
            LOG.error("the network thread ended: %s: %s", type(error).__name__, error)
        self._connected = False

    def _guarded(self, callback: Callable[..., T]) -> Callable[..., T | None]:
        """Wrap a callback: an exception in one would kill paho's thread while it still says it is connected."""

        def call(*arguments: Any) -> T | None:
            try:
                return callback(*arguments)
            except Exception:
                LOG.exception("callback %s failed", callback.__name__)
                return None

        return call

    def _complain(self, text: str) -> None:
        """Log once per change: a broker that is away for a night is one line, not a thousand."""
        if text != self._complaint:
            LOG.error("%s", text)
        self._complaint = text

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _p: object) -> None:
        where = f"{self._settings.host}:{self._settings.port}"
        if code.is_failure:
            who = self._settings.username or "anonymous"
            self._complain(
                f"the broker {where} refuses user {who}: {code}; check username, password_file and the broker's "
                "list of users (trying again)"
            )
            return
        self._complaint = ""
        self._accepted = True
        client.on_log = None  # each message would be logged; an accepted connection has no more to say
        self._connections += 1
        self._denied.clear()
        self._asked.clear()
        self._online = False
        self._subscribe(client, [f"{topics.ROOT}/+/{suffix}" for suffix in (*topics.STREAMS, *STATES)])

    def _subscribe(self, client: mqtt.Client, wanted: list[str]) -> None:
        self._ask_at_s = time.monotonic() + ASK_AGAIN_S
        with self._asking:  # the answer may come, on the network's thread, before `subscribe` has returned here
            _, mid = client.subscribe([(topic, 1) for topic in wanted])
            if mid is not None:
                self._asked[mid] = wanted

    def _on_connect_fail(self, _client: mqtt.Client, _data: object) -> None:
        # paho calls this while it handles the error, and hands it on to nobody.
        error = sys.exc_info()[1]
        self._complain(f"{self._why(error)} (trying again; the devices keep their readings)")

    def _on_log(self, _client: mqtt.Client, _data: object, level: int, _text: str) -> None:
        """Keep the error that paho meets on the socket: it only logs it, and says no more than that the link broke."""
        error = sys.exc_info()[1]
        if level == mqtt.MQTT_LOG_ERR and isinstance(error, OSError):
            self._socket_error = error

    def _why(self, error: BaseException | None) -> str:
        """Return why there is no connection."""
        host, port = self._settings.host, self._settings.port
        if error is None:
            return f"no broker at {host}:{port}"
        ca = None if self._settings.tls is None else self._settings.tls.ca_file
        return why_unreachable(error, host, port, STATION_KEYS, ca=ca)

    def _on_disconnect(self, client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _p: object) -> None:
        accepted, self._connected = self._accepted, False
        self._accepted = False
        error, self._socket_error = self._socket_error, None
        client.on_log = self._guarded(self._on_log)
        if not accepted and not self._stopping.is_set():
            if error is not None:
                self._complain(f"{self._why(error)} (trying again; the devices keep their readings)")
            elif not self._complaint:
                hint = "does that port want TLS (tls)?" if self._settings.tls is None else "look at its log"
                where = f"{self._settings.host}:{self._settings.port}"
                self._complain(f"{where} ended the connection before it had accepted it: {hint} (trying again)")
        elif code.value == TAKEN_OVER:
            self._complain(f"another client connected as station {self._settings.name}: give each station its own name")
        elif code.is_failure and not self._stopping.is_set():
            LOG.warning("connection to the broker lost: %s (trying again)", code)

    def _on_subscribe(
        self, client: mqtt.Client, _data: object, mid: int, codes: list[ReasonCode], _properties: object
    ) -> None:
        with self._asking:
            wanted = self._asked.pop(mid, [])
        if not wanted:
            return  # the answer to an earlier connection's question
        for topic, code in zip(wanted, codes, strict=False):
            self._denied.pop(topic, None)
            if code.is_failure:
                self._denied[topic] = f"{code}, reason {code.value}"
        said = self._said_denied
        self._said_denied = self.denied()
        if self._said_denied and self._said_denied != said:
            LOG.error("%s", self._said_denied)
        elif said and not self._said_denied:
            LOG.info("the broker grants every subscription now")
        self._listens(client)

    def _listens(self, client: mqtt.Client) -> None:
        """Say whether the station logs what is sent, now that the broker has answered its subscriptions."""
        first, self._connected = not self._connected, True
        if first:
            LOG.info("connected to %s:%s as station %s", self._settings.host, self._settings.port, self._settings.name)
            self._renewed.set()
        online = not any(topic in self._denied for topic in LOGGED)
        if first or online != self._online:
            # `offline` is said too: a restored broker may keep the `online` of an earlier connection.
            client.publish(self._availability, b"online" if online else b"offline", qos=1, retain=True)
        self._online = online

    def _on_publish(self, _client: mqtt.Client, _data: object, _mid: int, code: ReasonCode, _p: object) -> None:
        if code.is_failure:
            who = self._settings.username or "anonymous"
            self._complain(
                f"the broker refuses what the station says ({code}); allow user {who} "
                f"to write {topics.ROOT}/+/committed/{self._settings.name} and {self._availability}; "
                "until then the devices release nothing"
            )

    def _on_message(self, client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        try:
            delivery = self._delivery(message)
        except (ValueError, TypeError) as error:
            # A topic that is no text: no device's, and it must not hold one of the places of what is on the way.
            LOG.warning("passed over a message: %s", error)
            client.ack(message.mid, message.qos)
            return
        # A full queue holds the network thread, and with it the sender: back-pressure instead of memory.
        with self._room:
            while self._waiting_bytes > MOST_WAITING_BYTES and not self._stopping.is_set():
                self._room.wait(0.5)
            self._waiting_bytes += len(delivery.payload)
        while not self._stopping.is_set():
            try:
                self._waiting.put(delivery, timeout=0.5)
                return
            except queue.Full:
                continue

    def _delivery(self, message: mqtt.MQTTMessage) -> Delivery:
        properties = getattr(message.properties, "UserProperty", None) or ()
        return Delivery(
            message.topic,
            bytes(message.payload),
            tuple((str(key), str(value)) for key, value in properties),
            time.time(),
            self._connections,
            message.mid,
            message.qos,
        )
