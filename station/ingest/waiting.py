"""Messages between the network's thread and the store: bounded in number and in bytes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

MOST_WAITING_BYTES = 64 << 20
"""Of messages that wait for the disk; beyond it the network thread waits too, and with it the sender."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as paho gave it, and what is needed to acknowledge it on the connection that brought it."""

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]
    received_at: float
    connection: int
    message_id: int
    qos: int


class Waiting:
    """A queue between two threads; a full one holds the giver: back-pressure instead of memory."""

    def __init__(self, most: int) -> None:
        """Hold at most so many messages."""
        self._queue: queue.Queue[Delivery] = queue.Queue(most)
        self._bytes, self._room = 0, threading.Condition()

    def put(self, delivery: Delivery, given_up: Callable[[], bool]) -> None:
        """Add a message, as soon as there is room for it; not at all once `given_up` says so."""
        with self._room:
            while self._bytes > MOST_WAITING_BYTES and not given_up():
                self._room.wait(0.5)
            self._bytes += len(delivery.payload)
        while not given_up():
            try:
                self._queue.put(delivery, timeout=0.5)
                return
            except queue.Full:
                continue

    def take(self, most: int, timeout_s: float) -> list[Delivery]:
        """Return what has arrived, at least one message unless the time runs out.

        Nothing waits for a batch to fill: while one is committed the next one gathers.
        """
        batch: list[Delivery] = []
        try:
            batch.append(self._queue.get(timeout=timeout_s))
            while len(batch) < most:
                batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        if batch:
            with self._room:
                self._bytes -= sum(len(delivery.payload) for delivery in batch)
                self._room.notify()
        return batch
