"""The station's connection to the broker.

The session is a clean one: what the broker might queue for an absent station is neither needed (a device sends again
until the station's database has committed) nor safe to lean on (a restart of the broker loses it, a limit truncates
it), and a flood of stale copies after an absence helps nobody.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

from edge.contract import topics
from edge.contract.unreachable import STATION_KEYS, why_unreachable
from station.ingest.client import RECEIVE_MAXIMUM, connect_arguments, make_client
from station.ingest.settings import Settings
from station.ingest.subscriptions import Subscriptions
from station.ingest.waiting import Delivery, Waiting
from station.store.message import STATES

LOG = logging.getLogger("station")
T = TypeVar("T")
TAKEN_OVER = 0x8E
GOODBYE_S, JOIN_S = 2.0, 5.0
STOP_S = GOODBYE_S + JOIN_S
LOGGED = tuple(f"{topics.ROOT}/+/{stream}" for stream in ("reading", "record"))
"""What the station must be granted before it says `online`: a device that hears it sends, and waits for the answer."""


class Connection:
    """Connects for ever with capped back-off; hands messages over by `next_batch`, acknowledges by hand."""

    def __init__(self, settings: Settings) -> None:
        """Prepare a client; `start` connects.

        Raises:
            OperatorError: the password file or a certificate is missing or wrong; it is named.
            NetworkError: one of them cannot be read at the moment.
        """
        self._settings = settings
        self._waiting = Waiting(2 * RECEIVE_MAXIMUM)
        self._stopping = threading.Event()
        self._connections = 0
        self._connected = self._accepted = self._online = False
        self._socket_error: OSError | None = None
        self._renewed = threading.Event()
        self._complaint = ""
        self._subscriptions = Subscriptions()
        self._said_denied = ""
        self._availability = topics.station_availability(settings.name)
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._loop, name="mqtt", daemon=True)

    def start(self) -> None:
        """Connect in the background."""
        self._client.connect_async(
            self._settings.host, self._settings.port, self._settings.keepalive_s, **connect_arguments(self._settings)
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
        return self._subscriptions.denied(self._settings.username)

    def ask_again(self) -> None:
        """Ask from time to time for what was denied: the access list may have been corrected."""
        if self._connected:
            self._subscriptions.ask_again(self._client)

    def next_batch(self, most: int, timeout_s: float) -> list[Delivery]:
        """Return what has arrived, at least one message unless the time runs out."""
        return self._waiting.take(most, timeout_s)

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
        client = make_client(self._settings, self._availability)
        client.on_log = self._guarded(self._on_log)
        client.on_connect = self._guarded(self._on_connect)
        client.on_connect_fail = self._guarded(self._on_connect_fail)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_subscribe = self._guarded(self._on_subscribe)
        client.on_publish = self._guarded(self._on_publish)
        client.on_message = self._guarded(self._on_message)
        return client

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
        self._online = False
        self._subscriptions.ask(client, [f"{topics.ROOT}/+/{suffix}" for suffix in (*topics.STREAMS, *STATES)])

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
        if not self._subscriptions.answered(mid, codes):
            return  # the answer to an earlier connection's question
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
        online = self._subscriptions.granted(LOGGED)
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
        self._waiting.put(delivery, self._stopping.is_set)

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
