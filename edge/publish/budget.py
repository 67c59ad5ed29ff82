"""How long one cycle of publish may take while everything keeps to its bounds: what the unit's watchdog must allow."""

from __future__ import annotations

from edge.config.tree import Config
from edge.errors import OperatorError
from edge.outbox.database import BUSY_MS
from edge.publish.connection import CONNECT_TIMEOUT_S

RESOLVE_S = 30.0
"""glibc's resolver at its worst: three name servers, two tries of 5 s each (resolv.conf(5))."""
ADDRESSES = 2
"""A name with one IPv4 and one IPv6 address; each is tried in turn."""
DATABASE_WAITS = 8
"""Calls of one cycle that may each wait for another process's lock."""
TOOL_S = 3.0
"""`vcgencmd`, for the health record."""


def worst_cycle_s(config: Config) -> float:
    """Return the sum of the bounded waits of one cycle: resolve, connect, TLS, databases, health.

    The TLS handshake is bounded by the keep-alive, which is paho's socket timeout.
    """
    handshake_s = float(config.mqtt.keepalive_s)
    waits_s = DATABASE_WAITS * BUSY_MS / 1000
    return RESOLVE_S + ADDRESSES * CONNECT_TIMEOUT_S + handshake_s + waits_s + TOOL_S


def check_watchdog(config: Config, limit_s: float | None) -> None:
    """Compare with the unit's WatchdogSec, if there is one.

    Raises:
        OperatorError: a slow network alone would get the process killed.
    """
    worst_s = worst_cycle_s(config)
    if limit_s is not None and worst_s >= limit_s:
        raise OperatorError(
            f"mqtt.keepalive_s: {config.mqtt.keepalive_s} lets one cycle take {worst_s:.0f} s, but the unit's "
            f"WatchdogSec is {limit_s:.0f} s; lower it or raise WatchdogSec"
        )
