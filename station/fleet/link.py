"""The fleet process's connection to the broker, under the `operator` certificate: hears and tells the devices."""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge.contract import topics
from edge.contract.service.credential import read_password
from edge.contract.service.tls import context_of_settings
from edge.contract.unreachable import STATION_KEYS, why_unreachable
from station.fleet.settings import FleetSettings

LOG = logging.getLogger("station.fleet")
HEARD = ("availability", "health", "model/reported", "result")
WAITING = 10_000
MAX_BYTES = 256 * 1024
ACK_S, JOIN_S = 10.0, 5.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Heard:
    """One message of a device. retained: the broker kept it; it may be old."""

    topic: str
    payload: bytes
    retained: bool


class Link:
    """Connects for ever with capped back-off; what arrives waits in `take`."""

    def __init__(self, settings: FleetSettings) -> None:
        """Prepare a client; `start` connects.

        Raises:
            OperatorError: the password file or a certificate is missing or wrong; it is named.
            NetworkError: one of them cannot be read at the moment.
        """
        self._settings = settings
        self._waiting: queue.Queue[Heard] = queue.Queue(WAITING)
        self._sent: dict[int, threading.Event] = {}
        self._refused: dict[int, str] = {}
        self._connected = False
        self._renewed = threading.Event()
        self.complaint = ""
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._loop, name="mqtt", daemon=True)

    def start(self) -> None:
        """Connect in the background."""
        arguments: dict[str, Any] = {"clean_start": True} if self._settings.mqtt_version == "5" else {}
        self._client.connect_async(self._settings.host, self._settings.port, self._settings.keepalive_s, **arguments)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether the broker accepted the process and nothing ended the connection since."""
        return self._connected

    def alive(self) -> bool:
        """Return whether the network thread lives."""
        return self._thread.is_alive()

    def renewed(self) -> bool:
        """Return whether a connection was made since the last call: a broker may have forgotten what it retained."""
        if not self._renewed.is_set():
            return False
        self._renewed.clear()
        return True

    def take(self, timeout_s: float, most: int = 1000) -> list[Heard]:
        """Return what has arrived, at least one message unless the time runs out."""
        found: list[Heard] = []
        try:
            found.append(self._waiting.get(timeout=timeout_s))
            while len(found) < most:
                found.append(self._waiting.get_nowait())
        except queue.Empty:
            pass
        return found

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> str:
        """Publish and return "" once the broker has it, else in words why not; no connection is a reason too."""
        if not self._connected:
            return "no connection to the broker"
        done = threading.Event()
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        if sent.rc != mqtt.MQTT_ERR_SUCCESS:
            return f"not sent: {mqtt.error_string(sent.rc)}"
        self._sent[sent.mid] = done
        if sent.is_published():  # it was acknowledged before the line above
            done.set()
        answered = done.wait(ACK_S)
        self._sent.pop(sent.mid, None)
        why = self._refused.pop(sent.mid, "")
        return why or ("" if answered else f"the broker did not acknowledge it within {ACK_S:g} s")

    def stop(self) -> None:
        """Disconnect, end the thread."""
        self._client.disconnect()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        five = settings.mqtt_version == "5"
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"cageclock-fleet-{settings.username or 'operator'}",
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if five else True,
        )
        if settings.username is not None:
            client.username_pw_set(settings.username, read_password(settings.password_file, "password_file"))
        if settings.tls is not None:
            tls = settings.tls
            client.tls_set_context(context_of_settings(tls.ca_file, tls.cert_file, tls.key_file, STATION_KEYS))
        client.reconnect_delay_set(1, 30)
        client.on_connect = self._guarded(self._on_connect)
        client.on_connect_fail = self._guarded(self._on_connect_fail)
        client.on_disconnect = self._guarded(self._on_disconnect)
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
        if text != self.complaint:
            LOG.error("%s", text)
        self.complaint = text

    def _on_connect(self, client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _p: object) -> None:
        where = f"{self._settings.host}:{self._settings.port}"
        if code.is_failure:
            who = self._settings.username or "anonymous"
            self._complain(f"the broker {where} refuses user {who}: {code}; check username and the broker's users")
            return
        self._complain("")
        client.subscribe([(f"{topics.ROOT}/+/{suffix}", 1) for suffix in HEARD])
        self._connected = True
        self._renewed.set()
        LOG.info("connected to the broker %s", where)

    def _on_connect_fail(self, _client: mqtt.Client, _data: object) -> None:
        settings = self._settings
        error = sys.exc_info()[1]  # paho hands it on to nobody
        ca = None if settings.tls is None else settings.tls.ca_file
        where = f"no broker at {settings.host}:{settings.port}"
        why = where if error is None else why_unreachable(error, settings.host, settings.port, STATION_KEYS, ca=ca)
        self._complain(f"{why} (trying again)")

    def _on_disconnect(self, _client: mqtt.Client, _d: object, _f: object, code: ReasonCode, _p: object) -> None:
        if self._connected:
            LOG.warning("the connection to the broker ended: %s", code)
        self._connected = False

    def _on_publish(self, _client: mqtt.Client, _data: object, mid: int, code: ReasonCode, _p: object) -> None:
        if code.is_failure:
            self._refused[mid] = f"the broker refuses it: {code}; may this certificate write there by the access list?"
        done = self._sent.get(mid)
        if done is not None:
            done.set()

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if len(message.payload) > MAX_BYTES:
            return
        try:
            self._waiting.put_nowait(Heard(message.topic, bytes(message.payload), message.retain))
        except queue.Full:
            # What is retained comes again with the next connection; a lost result leaves its request unanswered.
            LOG.warning("passed over a message on %s: too many wait", message.topic)
