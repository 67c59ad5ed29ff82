"""What the device listens to, and what of it the broker denies."""

from __future__ import annotations

from collections.abc import Mapping

from edge.config.tree import Config
from edge.contract.topics import DeviceTopics, station_availability
from edge.publish.connection import Connection
from edge.publish.jitter import jitter
from edge.publish.log import StateLog
from edge.publish.status.home_assistant import birth_topic

RESUBSCRIBE_S = 30.0


class Subscriptions:
    """Asked for on each connection, and again where they were denied: the access list may be corrected meanwhile."""

    def __init__(self, config: Config, log: StateLog) -> None:
        """Nothing is asked for before the first connection."""
        self._mqtt, self._log = config.mqtt, log
        self._user = config.mqtt.username or config.device_id
        self._again_at_s = 0.0
        self.denied = ""
        """A sentence on what the broker denies, "" while it denies nothing."""
        topics = DeviceTopics(config.device_id)
        self._topics = [topics.command("+"), topics.of("model/desired"), topics.of("model/trust")]
        if config.mqtt.station is not None:
            self._topics += [topics.committed(config.mqtt.station), station_availability(config.mqtt.station)]
        if config.mqtt.home_assistant:
            self._topics.append(birth_topic(config))

    def ask(self, connection: Connection) -> None:
        """Subscribe to everything on a new connection."""
        connection.subscribe(self._topics)

    def look(self, connection: Connection, now_s: float) -> bool:
        """Report what the broker denies and ask for it again; return whether that has changed."""
        denied = _describe_denied(connection.denied, self._user)
        changed = denied != self.denied
        if changed:
            self.denied = denied
            self._again_at_s = now_s + RESUBSCRIBE_S * jitter()
        if denied == "":
            self._log.forget("subscriptions")
            return changed
        self._log.report("subscriptions", f"mqtt: {denied}")
        if now_s >= self._again_at_s:
            self._again_at_s = now_s + RESUBSCRIBE_S * jitter()
            connection.subscribe(list(connection.denied))
        return changed


def _describe_denied(denied: Mapping[str, str], user: str) -> str:
    """Return one sentence on the subscriptions that the broker refuses, "" while it refuses none."""
    if not denied:
        return ""
    topics = ", ".join(f"{topic} ({reason})" for topic, reason in sorted(denied.items()))
    return (
        f"the broker denies {user} the subscription to {topics}; give it read access to these topics in the broker's "
        "access list. It is tried again; readings are kept"
    )
