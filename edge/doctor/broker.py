"""Does a message go to the broker and back, with the credentials of the settings?

While publish runs it is asked instead. The broker knows a device by its name alone and ends the older of two
connections of one name, so that a second connection of this device would push publish off.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.config.load import config_sha256
from edge.config.tree import Config, Mqtt
from edge.contract.service.credential import read_password
from edge.contract.service.tls import context_of_settings
from edge.contract.topics import DeviceTopics, station_availability
from edge.contract.unreachable import DEVICE_KEYS, why_unreachable
from edge.doctor.finding import Finding
from edge.errors import NetworkError, OperatorError
from edge.publish.status.status_file import PublishStatus, is_running, lock_path, read_publish_status

NAME = "broker"
PATIENCE_S = 8.0


class _RoundTrip:
    """What came back from the broker; callbacks only take notes."""

    def __init__(self, topic: str, payload: bytes, station_topic: str | None) -> None:
        """Nothing came back yet. station_topic: where the station of the settings says whether it is there."""
        self.topic, self.payload, self.station_topic = topic, payload, station_topic
        self.station_said: bytes | None = None
        self.socket_error: OSError | None = None
        self.ended = False
        self.connected: Any = None
        self.subscribed: Any = None
        self.published: Any = None
        self.returned = threading.Event()

    def on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.connected = reason
        if not reason.is_failure:
            client.subscribe(self.topic, 1)
            if self.station_topic is not None:
                client.subscribe(self.station_topic, 1)

    def on_subscribe(self, client: mqtt.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any) -> None:
        if self.subscribed is not None:
            return  # the station's
        self.subscribed = reasons[0]
        client.publish(self.topic, self.payload, qos=1)

    def on_publish(self, _client: mqtt.Client, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        self.published = reason

    def on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic == self.station_topic:
            self.station_said = bytes(message.payload)
        elif message.payload == self.payload:
            self.returned.set()

    def on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
        self.ended = True

    def on_log(self, _client: mqtt.Client, _data: Any, level: int, _text: str) -> None:
        """Keep the error that paho meets on the socket; it only logs it."""
        error = sys.exc_info()[1]
        if level == mqtt.MQTT_LOG_ERR and isinstance(error, OSError):
            self.socket_error = error


def check_broker(config: Config) -> Finding:
    """Return what publish says of its connection where it runs, else what `try_broker` finds.

    Raises:
        PermissionError: this user may not see whether publish runs.
    """
    state_dir = Path(config.state_dir)
    # Who may not see whether publish runs must not connect in its place: the broker would end publish's connection.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.close(os.open(lock_path(state_dir), os.O_RDONLY))
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
    if config.mqtt.station is not None and status.station_heard is False:
        return _no_station(config.mqtt.station, status.broker, said=False)
    text = f"{status.broker}, MQTT {config.mqtt.version}, publish is connected since {since}; {_releases(config.mqtt)}"
    return Finding(NAME, True, text)


def try_broker(config: Config) -> Finding:
    """Return whether a message on the device's own topic was accepted, and came back where it may be read.

    This connects under the device's name: not while publish is connected.
    """
    settings = config.mqtt
    where = f"{settings.host}:{settings.port}"
    station_topic = None if settings.station is None else station_availability(settings.station)
    trip = _RoundTrip(DeviceTopics(config.device_id).of("doctor"), os.urandom(8).hex().encode(), station_topic)
    try:
        client = _client(config, trip)
    except OperatorError as error:
        return Finding(NAME, False, str(error), "correct the mqtt section of the settings")
    except NetworkError as error:
        return Finding(NAME, False, str(error), "try again in a minute")
    try:
        client.connect(settings.host, settings.port, keepalive=settings.keepalive_s)
    except (OSError, ValueError) as error:
        return Finding(NAME, False, _why(settings, error), "readings are kept until it is there")
    client.loop_start()
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        while not _is_over(trip) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        if trip.published is not None and not trip.published.is_failure:
            trip.returned.wait(1.0)
            while settings.station is not None and trip.station_said is None and time.monotonic() < deadline_s - 5.0:
                time.sleep(0.02)
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
        client.username_pw_set(settings.username, read_password(settings.password_file, "mqtt.password_file"))
    if settings.tls is not None:
        tls = settings.tls
        client.tls_set_context(context_of_settings(tls.ca, tls.certificate, tls.key, DEVICE_KEYS))
    client.on_connect, client.on_subscribe = trip.on_connect, trip.on_subscribe
    client.on_publish, client.on_message = trip.on_publish, trip.on_message
    client.on_disconnect, client.on_log = trip.on_disconnect, trip.on_log
    return client


def _why(settings: Mqtt, error: BaseException) -> str:
    ca = None if settings.tls is None else settings.tls.ca
    return why_unreachable(error, settings.host, settings.port, DEVICE_KEYS, ca=ca)


def _is_over(trip: _RoundTrip) -> bool:
    refused = trip.connected is not None and trip.connected.is_failure
    return refused or trip.published is not None or (trip.ended and trip.connected is None)


def _judge(trip: _RoundTrip, where: str, settings: Mqtt) -> Finding:
    if trip.connected is None and trip.socket_error is not None:
        return Finding(NAME, False, _why(settings, trip.socket_error), "readings are kept until it is there")
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
    if settings.station is not None and trip.station_said != b"online":
        return _no_station(settings.station, where, said=trip.station_said is not None)
    station = _releases(settings)
    if trip.returned.is_set():
        return Finding(NAME, True, f"{where}, MQTT {settings.version}, a message went there and back; {station}")
    # An access list that lets a device read only its commands is right; the acknowledgement has to do then.
    if trip.subscribed is not None and trip.subscribed.is_failure:
        return Finding(NAME, True, f"{where}, MQTT {settings.version}, a message was accepted; {station}")
    advice = "the broker's access list may drop it silently; allow the device to write cageclock/v1/<device_id>/#"
    return Finding(NAME, False, f"{where} acknowledged a message on {trip.topic} but did not deliver it", advice)


def _no_station(station: str, where: str, *, said: bool) -> Finding:
    """Return that nobody would take the readings, though the broker is well."""
    if said:
        advice = "start it (systemctl status cageclock-station on the lab's server); readings are kept until then"
        return Finding(NAME, False, f"{where} is well, but the station {station} is offline", advice)
    advice = (
        f"is mqtt.station the station's name, does it run, may this device read {station_availability(station)}? "
        "Readings are kept until it is there"
    )
    return Finding(NAME, False, f"{where} is well, but a station named {station} was never seen there", advice)


def _releases(settings: Mqtt) -> str:
    return f"station {settings.station}" if settings.station is not None else "no station: the broker releases"
