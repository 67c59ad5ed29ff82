"""systemd's notification protocol: one datagram to the socket that the unit's environment names."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> bool:
    """Send lines such as `READY=1` or `WATCHDOG=1`; return whether there was somebody to tell.

    A socket name that begins with `@` is abstract: its first byte is zero.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    name = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to_systemd:
            to_systemd.settimeout(1.0)
            to_systemd.sendto(message.encode(), name)
    except OSError:
        return False
    return True


def watchdog_limit_s() -> float | None:
    """Return the unit's WatchdogSec as systemd hands it over, None without one."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() else None
