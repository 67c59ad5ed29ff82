"""Why there is no connection to the broker, in words that say what to do: the same words on device and station."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

_EXPIRED, _NOT_YET = 10, 9
_OTHER_NAME = (62, 64)
_REVOKED = 23
"""OpenSSL's X509_V_ERR_... numbers, which Python hands on as `verify_code`; most others mean an unknown authority."""
_ALERTS: Mapping[str, str] = {
    "CERTIFICATE_REQUIRED": "the broker wants a certificate of this client, and none was sent: set {certificate} and "
    "{key}",
    "CERTIFICATE_EXPIRED": "the broker says that this client's certificate has expired: make a new one ({certificate})",
    "CERTIFICATE_REVOKED": "the broker says that this client's certificate was revoked: make a new one ({certificate})",
    "UNKNOWN_CA": "the broker does not know the authority that signed this client's certificate ({certificate})",
    "BAD_CERTIFICATE": "the broker does not accept this client's certificate ({certificate}): is it for a client, and "
    "signed by the broker's authority?",
    "CERTIFICATE_UNKNOWN": "the broker does not accept this client's certificate ({certificate})",
    "ACCESS_DENIED": "the broker does not let this client's certificate in ({certificate})",
    "UNSUPPORTED_CERTIFICATE": "the broker cannot use this client's certificate ({certificate})",
    "DECRYPT_ERROR": "the broker could not check this client's certificate: do {certificate} and {key} fit?",
    "PROTOCOL_VERSION": "the broker and this machine have no TLS version in common: look at tls_version there",
    # Where a client certificate is required, TLS 1.2 says no more than that.
    "HANDSHAKE_FAILURE": "the broker ended the TLS handshake: does it want a certificate of this client? Set "
    "{certificate} and {key}",
}
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST")
_PASSING = frozenset(
    {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT}
    | {errno.EBUSY, errno.ENOBUFS, errno.ENOTCONN, errno.EHOSTDOWN, errno.EREMOTEIO}
)


@dataclass(frozen=True, slots=True)
class Keys:
    """How the settings of a program call what a person may have to correct."""

    host: str
    port: str
    ca: str
    certificate: str
    key: str


DEVICE_KEYS = Keys("mqtt.host", "mqtt.port", "mqtt.tls.ca", "mqtt.tls.certificate", "mqtt.tls.key")
STATION_KEYS = Keys("host", "port", "tls.ca_file", "tls.cert_file", "tls.key_file")


def why_unreachable(error: BaseException, host: str, port: int, keys: Keys, *, ca: str | None = None) -> str:
    """Return one sentence on an error that ended an attempt to connect.

    ca: the file of the authorities that were trusted, None for the system's.
    """
    where = f"{host}:{port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS with {where}: {_why_not_trusted(error, host, keys, ca)}"
    if isinstance(error, ssl.SSLError):
        return f"TLS with {where}: {_why_no_tls(error, keys)}"
    return f"no broker at {where}: {_why_no_connection(error, host, keys)}"


def _why_no_connection(error: BaseException, host: str, keys: Keys) -> str:
    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror):
        return f"the name {host!r} is unknown here ({error.strerror}): correct {keys.host}, or look at the name server"
    if isinstance(error, UnicodeError):
        return f"{host!r} is no host's name: correct {keys.host}"
    if isinstance(error, ConnectionRefusedError):
        return f"nobody listens there: is the broker running? Look at {keys.host} and {keys.port}"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return "it ended the connection at once: does that port speak TLS, or want a certificate of this client?"
    if isinstance(error, TimeoutError) or number == errno.ETIMEDOUT:
        return f"it does not answer: is it switched on, does a firewall stand between? Look at {keys.host}"
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
        return f"there is no way to it ({getattr(error, 'strerror', '')}): look at this machine's network"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{reason}; look at {keys.host}, {keys.port} and the network"


def is_passing(error: BaseException) -> bool:
    """Return whether a file's error may go by itself: a card or a file server that hiccups, too many open files."""
    return isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno in _PASSING


def _why_not_trusted(error: ssl.SSLCertVerificationError, host: str, keys: Keys, ca: str | None) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "the broker's certificate has expired, or this machine's clock is wrong: make a new one for the broker"
    if code == _NOT_YET:
        return "the broker's certificate is not valid yet: is this machine's clock right?"
    if code in _OTHER_NAME or "ostname mismatch" in error.verify_message or "IP address mismatch" in str(error):
        return (
            f"the broker's certificate is not for {host!r}: connect by the name that stands in it ({keys.host}), or "
            "make one with that name (subjectAltName)"
        )
    if code == _REVOKED:
        return "the broker's certificate was revoked"
    trusted = "this system's authorities" if ca is None else f"the authority in {ca}"
    return f"the broker's certificate is not signed by {trusted} ({error.verify_message}): look at {keys.ca}"


def _why_no_tls(error: ssl.SSLError, keys: Keys) -> str:
    reason = error.reason or str(error)
    if any(part in reason for part in _NO_TLS):
        return f"that port does not speak TLS: look at {keys.port} (8883 is usual with TLS, 1883 without)"
    for part, text in _ALERTS.items():
        if part in reason:
            return text.format(certificate=keys.certificate, key=keys.key)
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or "EOF" in reason:
        # A broker's last word may be lost when it closes at once.
        return (
            "it ended the handshake: does that port speak TLS, and does the broker accept a certificate of this client "
            f"such as {keys.certificate}?"
        )
    return f"it failed ({reason}): look at {keys.ca}, {keys.certificate} and the clock"
