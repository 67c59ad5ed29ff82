"""One connection to the broker: a paho client that lives as long as the connection does, run by the caller's thread.

No network thread: a callback that raises, or an answer that paho cannot parse (it expects no 0x95 in a PUBACK), kills
paho's thread while the client still says that it is connected. Here the same error ends the connection, and the caller
makes a new one. No reconnecting inside paho either: it would send its memory again, a poisonous message included.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.config.tree import Mqtt
from edge.contract.service.credential import read_password
from edge.contract.service.tls import context_of_settings
from edge.contract.unreachable import DEVICE_KEYS
from edge.errors import NetworkError
from edge.publish.ended import (
    KEEP_ALIVE_TIMEOUT,
    PROTOCOL_ERROR,
    TOO_LARGE,
    UNSPECIFIED,
    Ended,
    address,
    describe_refusal,
    why_not_reached,
)

CONNECT_TIMEOUT_S = 10.0
_LIBRARY_IN_FLIGHT = 20
_OVERHEAD_BYTES = 300
"""Room for the topic, the packet's head and its properties."""


class Connection:
    """Connects at once. `turn` does the network's work; `ended` says when to make a new one."""

    def __init__(
        self,
        settings: Mqtt,
        client_id: str,
        will_topic: str,
        on_message: Callable[[str, bytes, bool], None],
        on_acked: Callable[[int, int], None],
    ) -> None:
        """Open the connection; on_message gets topic, payload, retained; on_acked message id and reason code.

        Raises:
            NetworkError: nobody listens there, TLS failed, or a file cannot be read at the moment.
            OperatorError: a password or certificate file cannot be read.
        """
        self._settings, self._on_message, self._on_acked = settings, on_message, on_acked
        self._five = settings.version == "5"
        self.connected = False
        self.ended: Ended | None = None
        self.denied: dict[str, str] = {}
        """Topic -> the broker's words, of subscriptions that it refused and has not granted since."""
        self._asked: dict[int, list[str]] = {}
        self._unacknowledged = 0
        self._answered_at_s = 0.0
        self.max_packet_bytes = settings.max_packet_kb * 1024
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if self._five else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.connect_timeout = CONNECT_TIMEOUT_S
        self._client.max_inflight_messages_set(_LIBRARY_IN_FLIGHT)
        self._client.will_set(will_topic, b"offline", qos=1, retain=True)
        self._prepare_login()
        self._accepted = False
        self._socket_error: OSError | None = None
        self._client.on_log = self._logged
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._message
        self._client.on_publish = self._published
        self._client.on_subscribe = self._subscribed
        try:
            self._client.connect(settings.host, settings.port, keepalive=settings.keepalive_s)
        except (OSError, ValueError) as error:
            raise NetworkError(why_not_reached(settings, error)) from error

    def subscribe(self, topics: list[str]) -> None:
        """Subscribe with QoS 1; called after each connect, because the session begins empty. See `denied`."""
        _, mid = self._client.subscribe([(topic, 1) for topic in topics])
        if mid is not None:
            self._asked[mid] = topics

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, marks: dict[str, str] | None = None
    ) -> int | None:
        """Hand a message over with QoS 1 and return its id, or None when the connection does not take it.

        marks: user properties, on MQTT 5 only.
        """
        properties = None
        if marks and self._five:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.UserProperty = list(marks.items())
        info = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return None
        if self._unacknowledged == 0:
            self._answered_at_s = time.monotonic()
        self._unacknowledged += 1
        return info.mid

    def fits(self, topic: str, payload: bytes) -> bool:
        """Return whether the broker and the settings allow a message of this size."""
        return self.takes(len(payload) + len(topic.encode()))

    def takes(self, size: int) -> bool:
        """Return whether they allow so many bytes of topic and payload together."""
        return size + _OVERHEAD_BYTES <= self.max_packet_bytes

    def turn(self, timeout_s: float) -> None:
        """Read and write what there is, waiting at most so long; never raises, an error ends the connection."""
        if self.ended is not None:
            return
        try:
            code = self._client.loop(timeout_s)
        except Exception as error:  # noqa: BLE001 - whatever the library raises ends this connection, not the process
            self._end(Ended(f"mqtt: the library failed: {type(error).__name__}: {error}", "unreadable", TOO_LARGE))
            return
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and self.ended is None:
            self._end(self._broken(f"mqtt: the connection broke: {mqtt.error_string(code)}"))

    def unfinished(self) -> bool:
        """Return whether something was handed over that the broker has not acknowledged."""
        return self._unacknowledged > 0

    def close(self) -> None:
        """Say goodbye and close."""
        with contextlib.suppress(Exception):
            self._client.disconnect()
            self._client.loop(0.1)
        self._end(Ended("closed", "closed"))

    def drop(self) -> None:
        """Close without goodbye."""
        self._end(Ended("dropped", "closed"))

    def _prepare_login(self) -> None:
        settings = self._settings
        if settings.username is not None:
            self._client.username_pw_set(settings.username, read_password(settings.password_file, "mqtt.password_file"))
        if settings.tls is not None:
            tls = settings.tls
            context = context_of_settings(tls.ca, tls.certificate, tls.key, DEVICE_KEYS)
            self._client.tls_set_context(context)

    def _logged(self, _client: mqtt.Client, _data: object, level: int, _text: str) -> None:
        """Keep the error that paho meets on the socket: it only logs it, and reports a broken connection.

        A broker that refuses a certificate says so with TLS 1.3 in its first answer, long after the handshake.
        """
        error = sys.exc_info()[1]
        if level == mqtt.MQTT_LOG_ERR and isinstance(error, OSError):
            self._socket_error = error

    def _connected(
        self, _client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._end(Ended(describe_refusal(self._settings, code), "refused", code.value))
            return
        limit = getattr(properties, "MaximumPacketSize", None) if properties is not None else None
        if limit is not None:
            self.max_packet_bytes = min(self.max_packet_bytes, int(limit))
        self.connected = self._accepted = True
        self._client.on_log = None  # each message would be logged; from here on an error has no more to say

    def _disconnected(
        self, _client: mqtt.Client, _data: object, _flags: object, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if self.ended is None and code.value == KEEP_ALIVE_TIMEOUT:  # paho's own finding, on 3.1.1 too
            if self.connected:
                self.ended = Ended("mqtt: the broker no longer answers", "silent")
            else:
                self.ended = Ended(
                    f"mqtt: {address(self._settings)} takes connections and does not answer", "unanswered"
                )
        elif self.ended is None:
            words, number = f"mqtt: the broker ended the connection: {code}", code.value if self._five else 0
            if code.value == PROTOCOL_ERROR:
                self.ended = Ended(words, "unreadable", number)
            else:
                self.ended = self._broken(words, number)
        self.connected = False

    def _broken(self, words: str, code: int = 0) -> Ended:
        """Return the end of a connection whose other side is gone; `silent` where it had answered nothing for a while.

        The broker ends a connection on which it hears nothing one and a half keep-alives after the last it heard, which
        may be half a keep-alive after the first message that the network swallowed. Newer mosquittos do so before paho
        notices. A message that a broker cannot bear ends the connection at once.
        """
        if not self._accepted:
            return Ended(self._why_never_accepted(words), "broken", code)
        silent_s = time.monotonic() - self._answered_at_s if self._unacknowledged else 0.0
        if code in (0, UNSPECIFIED) and silent_s >= self._settings.keepalive_s / 2:
            return Ended(f"{words} (after {silent_s:.0f} s without an answer to what was sent)", "silent", code)
        return Ended(words, "broken", code)

    def _why_never_accepted(self, words: str) -> str:
        """Return why a connection ended before the broker had accepted it."""
        if self._socket_error is not None:
            return why_not_reached(self._settings, self._socket_error)
        hint = "does it want a certificate of this client (mqtt.tls.certificate)?"
        if self._settings.tls is None:
            hint = "does that port want TLS (mqtt.tls)?"
        return f"{words}, at {address(self._settings)}, before it had accepted it: {hint}"

    def _message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        self._on_message(message.topic, bytes(message.payload), bool(message.retain))

    def _published(
        self, _client: mqtt.Client, _data: object, mid: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._unacknowledged -= 1
        self._answered_at_s = time.monotonic()
        self._on_acked(mid, code.value)

    def _subscribed(
        self, _client: mqtt.Client, _data: object, mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        for topic, code in zip(self._asked.pop(mid, []), codes, strict=False):
            self.denied.pop(topic, None)
            if code.is_failure:
                self.denied[topic] = f"{code}, reason {code.value}"

    def _end(self, ended: Ended) -> None:
        self.connected = False
        if self.ended is None:
            self.ended = ended
        connection = self._client.socket()
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()
