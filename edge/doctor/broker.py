"""Does a message go to the broker and back, with the credentials of the settings?

While publish runs it is asked instead. The broker knows a device by its name alone and ends the older of two
connections of one name, so that a second connection of this device would push publish off.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.config.load import config_sha256
from edge.config.tree import Config, Mqtt
from edge.contract.service.credential import secret_path
from edge.contract.service.tls import client_context
from edge.contract.topics import DeviceTopics
from edge.doctor.finding import Finding
from edge.errors import OperatorError
from edge.publish.status.status_file import PublishStatus, is_running, read_publish_status

NAME = "broker"
PATIENCE_S = 8.0


class _RoundTrip:
    """What came back from the broker; callbacks only take notes."""

    def __init__(self, topic: str, payload: bytes) -> None:
        """Nothing came back yet."""
        self.topic, self.payload = topic, payload
        self.connected: Any = None
        self.subscribed: Any = None
        self.published: Any = None
        self.returned = threading.Event()

    def on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.connected = reason
        if not reason.is_failure:
            client.subscribe(self.topic, 1)

    def on_subscribe(self, client: mqtt.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        self.subscribed = reasons[0]
        client.publish(self.topic, self.payload, qos=1)

    def on_publish(self, _client: mqtt.Client, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        self.published = reason

    def on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.payload == self.payload:
            self.returned.set()


def check_broker(config: Config) -> Finding:
    """Return what publish says of its connection where it runs, else what `try_broker` finds."""
    state_dir = Path(config.state_dir)
    if is_running(state_dir):
        return _as_publish_says(config, read_publish_status(state_dir))
    return try_broker(config)


def _as_publish_says(config: Config, status: PublishStatus | None) -> Finding:
    if status is None:
        return Finding(NAME, False, "publish runs and has not said yet how it is connected", "try again in a minute")
    since = status.since.isoformat(timespec="seconds")
    if status.config_sha256 != config_sha256(config):
        advice = "systemctl restart cageclock-publish, then ask again; or stop it, then the doctor connects by itself"
        text = f"publish runs with other settings than these ({status.broker} since {since})"
        return Finding(NAME, False, text, advice)
    if not status.connected:
        text = f"publish is not connected since {since}: {status.said}"
        return Finding(NAME, False, text, "readings are kept until it is; `journalctl -u cageclock-publish` has more")
    if status.said:
        return Finding(
            NAME, False, f"publish is connected to {status.broker}, but {status.said}", "correct the access list"
        )
    text = f"{status.broker}, MQTT {config.mqtt.version}, publish is connected since {since}; {_releases(config.mqtt)}"
    return Finding(NAME, True, text)


def try_broker(config: Config) -> Finding:
    """Return whether a message on the device's own topic was accepted, and came back where it may be read.

    This connects under the device's name: not while publish is connected.
    """
    settings = config.mqtt
    where = f"{settings.host}:{settings.port}"
    trip = _RoundTrip(DeviceTopics(config.device_id).of("doctor"), os.urandom(8).hex().encode())
    try:
        client = _client(config, trip)
    except OperatorError as error:
        return Finding(NAME, False, str(error), "correct the mqtt section of the settings")
    try:
        client.connect(settings.host, settings.port, keepalive=settings.keepalive_s)
    except (OSError, ValueError) as error:
        advice = "check mqtt.host, mqtt.port and the network; readings are kept until it is there"
        return Finding(NAME, False, f"{where} cannot be reached: {error}", advice)
    client.loop_start()
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        while not _is_over(trip) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        if trip.published is not None and not trip.published.is_failure:
            trip.returned.wait(1.0)
    finally:
        client.disconnect()
        client.loop_stop()
    return _judge(trip, where, settings)


def _client(config: Config, trip: _RoundTrip) -> mqtt.Client:
    """Return a client with the device's credentials; it never connects a second time by itself."""
    settings = config.mqtt
    version = MQTTProtocolVersion.MQTTv5 if settings.version == "5" else MQTTProtocolVersion.MQTTv311
    name = f"{config.device_id}-doctor-{os.getpid()}"
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=version, reconnect_on_failure=False)
    if settings.username is not None:
        client.username_pw_set(settings.username, _password(settings))
    if settings.tls is not None:
        try:
            key = None if settings.tls.key is None else os.fspath(secret_path(settings.tls.key, "mqtt.tls.key"))
            client.tls_set_context(client_context(settings.tls.ca, settings.tls.certificate, key))
        except (OSError, ssl.SSLError, ValueError) as error:
            raise OperatorError(f"mqtt.tls: {error}") from error
    client.on_connect, client.on_subscribe = trip.on_connect, trip.on_subscribe
    client.on_publish, client.on_message = trip.on_publish, trip.on_message
    return client


def _password(settings: Mqtt) -> str | None:
    if settings.password_file is None:
        return None
    path = secret_path(settings.password_file, "mqtt.password_file")
    try:
        return path.read_text().strip()
    except OSError as error:
        raise OperatorError(f"mqtt.password_file: {path} cannot be read: {error.strerror}") from error


def _is_over(trip: _RoundTrip) -> bool:
    refused = trip.connected is not None and trip.connected.is_failure
    return refused or trip.published is not None


def _judge(trip: _RoundTrip, where: str, settings: Mqtt) -> Finding:
    if trip.connected is None:
        advice = "check mqtt.port and mqtt.tls: does that port speak MQTT, with or without TLS as set?"
        return Finding(NAME, False, f"{where} did not answer as a broker", advice)
    if trip.connected.is_failure:
        advice = "check mqtt.username and mqtt.password_file, or the client certificate, against the broker's"
        return Finding(NAME, False, f"{where} refused the connection: {trip.connected}", advice)
    if trip.published is None:
        return Finding(NAME, False, f"{where} acknowledged nothing for {PATIENCE_S:.0f} s", "look at the broker's log")
    if trip.published.is_failure:
        advice = (
            "allow this user to write its own subtree in the broker's access list (pattern write cageclock/v1/%u/#)"
        )
        return Finding(NAME, False, f"{where} refused a message on {trip.topic}: {trip.published}", advice)
    station = _releases(settings)
    if trip.returned.is_set():
        return Finding(NAME, True, f"{where}, MQTT {settings.version}, a message went there and back; {station}")
    # An access list that lets a device read only its commands is right; the acknowledgement has to do then.
    if trip.subscribed is not None and trip.subscribed.is_failure:
        return Finding(NAME, True, f"{where}, MQTT {settings.version}, a message was accepted; {station}")
    advice = "the broker's access list may drop it silently; allow the device to write cageclock/v1/<device_id>/#"
    return Finding(NAME, False, f"{where} acknowledged a message on {trip.topic} but did not deliver it", advice)


def _releases(settings: Mqtt) -> str:
    return f"station {settings.station}" if settings.station is not None else "no station: the broker releases"
