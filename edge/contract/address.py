"""Whether a text can be a broker's host, or a part of a topic: what a person mistypes is said, not tried for ever."""

from __future__ import annotations

import ipaddress
import re

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def wrong_host(text: str) -> str | None:
    """Return what was expected where the text is no host's name or address; None where it is one."""
    if text != text.strip() or any(one.isspace() for one in text):
        return "a host's name or address without blanks"
    if not text:
        return "a host's name or address, such as broker.lab"
    if "://" in text:
        return f"only the host, without the scheme: {text.partition('://')[2].partition(':')[0] or 'broker.lab'}"
    if text.startswith("[") and text.endswith("]"):
        return "an IPv6 address without brackets"
    try:
        ipaddress.ip_address(text.partition("%")[0])
        return None
    except ValueError:
        pass
    if "/" in text:
        return "only the host, without a path"
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit():
        return f"only the host ({host}), with the port in the setting `port` ({port})"
    if re.fullmatch(r"[0-9.]+", text):
        return "an address of four numbers 0-255, such as 192.168.1.20"
    try:
        ascii_name = text.encode("idna").decode() if not text.isascii() else text
    except UnicodeError:
        return "a host's name or address, such as broker.lab"
    labels = ascii_name.removesuffix(".").split(".")
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return "a host's name or address, such as broker.lab"
    return None


def wrong_topic_prefix(text: str) -> str | None:
    """Return what was expected where messages cannot be published below the text; None where they can."""
    if not text or text.startswith("/") or text.endswith("/") or "//" in text:
        return "levels of a topic, such as homeassistant or lab/homeassistant, without a `/` at an end or twice"
    if any(one in text for one in "+#"):
        return "a topic without the wildcards + and #, which cannot be published to"
    if text.startswith("$"):
        return "a topic that does not begin with $, which is the broker's own"
    if not text.isprintable() or any(one.isspace() for one in text) or len(text.encode()) > 200:
        return "a topic of at most 200 bytes without blanks or control characters"
    return None
