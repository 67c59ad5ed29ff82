"""The paho client as the settings want it: identity, password, certificates, last will, limits."""

from __future__ import annotations

from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.contract.service.credential import read_password
from edge.contract.service.tls import context_of_settings
from edge.contract.unreachable import STATION_KEYS
from station.ingest.settings import Settings

RECEIVE_MAXIMUM = 500
"""Messages that the broker may have on the way to the station."""
NOTED_BYTES = 4 << 20
"""A message over `max_payload_kb` is noted up to this size; what is larger the broker (MQTT 5) does not even send."""


def make_client(settings: Settings, availability: str) -> mqtt.Client:
    """Return a client that is not connected. availability: the topic on which its last will says `offline`.

    Raises:
        OperatorError: the password file or a certificate is missing or wrong; it is named.
        NetworkError: one of them cannot be read at the moment.
    """
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
    client.will_set(availability, b"offline", qos=1, retain=True)
    client.reconnect_delay_set(1, 30)
    return client


def connect_arguments(settings: Settings) -> dict[str, Any]:
    """Return what `connect_async` is given beside the address: on MQTT 5 a clean start and what the broker may send."""
    if settings.mqtt_version != "5":
        return {}
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = max(NOTED_BYTES, 2 * settings.max_payload_kb * 1024)
    return {"clean_start": True, "properties": properties}
