"""The answers to commands, on their way until the broker has them."""

from __future__ import annotations

from edge.contract import jsontext
from edge.contract.command import Result
from edge.publish.connection import Connection

KEPT = 100
"""Answers that wait for a connection; older ones give way."""


class Answers:
    """What was not acknowledged on one connection goes again on the next."""

    def __init__(self, topic: str) -> None:
        """Nothing is to be answered yet."""
        self._topic = topic
        self._connection: Connection | None = None
        self._waiting: list[Result] = []
        self._in_flight: dict[int, Result] = {}

    def connect(self, connection: Connection) -> None:
        """Send what waits on a new connection."""
        self._connection = connection
        waiting, self._waiting = [*self._in_flight.values(), *self._waiting], []
        self._in_flight.clear()
        for result in waiting[-KEPT:]:
            self.send(result)

    def disconnect(self) -> None:
        """Let answers wait for the next connection."""
        self._connection = None

    def send(self, result: Result) -> None:
        """Publish a result, on the next connection again if this one ends before the broker has it."""
        mid = None if self._connection is None else self._connection.publish(self._topic, jsontext.encode(result))
        if mid is None:
            self._waiting.append(result)
        else:
            self._in_flight[mid] = result

    def acked(self, mid: int) -> bool:
        """Take in the broker's acknowledgement; return whether it was one of an answer."""
        return self._in_flight.pop(mid, None) is not None
