"""Why a connection ended, or none came about: the kind of it for the program, and a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from paho.mqtt.reasoncodes import ReasonCode

from edge.config.tree import Mqtt
from edge.contract.unreachable import DEVICE_KEYS, why_unreachable

NOT_AUTHORISED, NO_SUBSCRIBERS, TAKEN_OVER, TOO_LARGE = 0x87, 0x10, 0x8E, 0x95
KEEP_ALIVE_TIMEOUT, PROTOCOL_ERROR, UNSPECIFIED = 0x8D, 0x82, 0x80
FAILURE = 0x80
"""From this reason code on the broker refuses (MQTT 5, section 2.4)."""

EndKind = Literal["refused", "unanswered", "silent", "unreadable", "broken", "closed"]


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a connection ended, in words; `code` is MQTT 5's reason where the broker gave one.

    kind: `refused`, `unanswered` (no answer to CONNECT), `silent` (an accepted connection whose other side stopped
    answering, whichever side then ended it: that speaks against the network, not against a message), `unreadable`
    (paho failed on what came, or one side found it against the protocol), `broken` (by the broker or on the way),
    `closed` (by this side).
    """

    text: str
    kind: EndKind
    code: int = 0


def why_not_reached(settings: Mqtt, error: BaseException) -> str:
    """Return one sentence on an error that ended an attempt to connect."""
    ca = None if settings.tls is None else settings.tls.ca
    return f"mqtt: {why_unreachable(error, settings.host, settings.port, DEVICE_KEYS, ca=ca)}"


def describe_refusal(settings: Mqtt, code: ReasonCode) -> str:
    """Return one sentence on a broker that answered and did not accept the connection."""
    secret = settings.password_file or "none is named"
    if code.value in (0x86, NOT_AUTHORISED):
        return (
            f"mqtt: the broker at {address(settings)} refused the login of {_who(settings)}: {code}; "
            f"correct mqtt.username, or the password in mqtt.password_file ({secret})"
        )
    return f"mqtt: the broker at {address(settings)} refused the connection: {code}; look into its log"


def address(settings: Mqtt) -> str:
    """Return host and port of the broker."""
    return f"{settings.host}:{settings.port}"


def _who(settings: Mqtt) -> str:
    return "an anonymous client" if settings.username is None else f"user {settings.username}"
