"""What the station has asked the broker to send it, and what of that the broker denies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode

ASK_AGAIN_S = 30.0


class Subscriptions:
    """Asked for by either thread, answered on the network's."""

    def __init__(self) -> None:
        """Begin with nothing asked for."""
        self._denied: dict[str, str] = {}
        self._asked: dict[int, list[str]] = {}
        self._asking = threading.Lock()
        self._ask_at_s = 0.0

    def ask(self, client: mqtt.Client, wanted: list[str]) -> None:
        """Ask for topics on a new connection, of which nothing is answered yet."""
        self._denied.clear()
        self._asked.clear()
        self._subscribe(client, wanted)

    def ask_again(self, client: mqtt.Client) -> None:
        """Ask from time to time for what was denied: the access list may have been corrected."""
        if self._denied and time.monotonic() >= self._ask_at_s:
            self._subscribe(client, list(self._denied))

    def answered(self, mid: int, codes: Sequence[ReasonCode]) -> bool:
        """Take in the broker's answer; return whether it is one to a question of this connection."""
        with self._asking:
            wanted = self._asked.pop(mid, [])
        for topic, code in zip(wanted, codes, strict=False):
            self._denied.pop(topic, None)
            if code.is_failure:
                self._denied[topic] = f"{code}, reason {code.value}"
        return bool(wanted)

    def granted(self, topics: Iterable[str]) -> bool:
        """Return whether the broker denies none of the topics."""
        return not any(topic in self._denied for topic in topics)

    def denied(self, username: str | None) -> str:
        """Return one sentence on the subscriptions that the broker refuses, "" while it refuses none."""
        denied = dict(self._denied)  # the network thread writes it
        if not denied:
            return ""
        listed = ", ".join(f"{topic} ({words})" for topic, words in sorted(denied.items()))
        return (
            f"the broker denies user {username or 'anonymous'} the subscription to {listed}; give "
            "it read access to them in the broker's access list. It is tried again; the devices keep what it misses"
        )

    def _subscribe(self, client: mqtt.Client, wanted: list[str]) -> None:
        self._ask_at_s = time.monotonic() + ASK_AGAIN_S
        with self._asking:  # the answer may come, on the network's thread, before `subscribe` has returned here
            _, mid = client.subscribe([(topic, 1) for topic in wanted])
            if mid is not None:
                self._asked[mid] = wanted
