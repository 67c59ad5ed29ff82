"""One record handed over again, with its picture."""

from __future__ import annotations

from edge.contract.topics import DeviceTopics
from edge.publish.connection import Connection
from edge.publish.delivery.latest import properties_of
from edge.publish.delivery.source import RecordSource
from edge.publish.delivery.window import Key


def send_again(connection: Connection, source: RecordSource, topics: DeviceTopics, key: Key) -> list[int] | None:
    """Return the message ids of what was handed over; none where the record is gone or too large by now.

    None where the connection takes no more.

    Raises:
        StorageError: a database cannot be read.
    """
    row = source.row(key)
    if row is None:
        return []
    parts: list[tuple[str, bytes, dict[str, str]]] = [(topics.of(row.kind), source.payload(row, True), {})]
    content = source.picture(row)
    if content is not None:
        parts.append((topics.of("thumbnail"), content, properties_of(key)))
    mids = []
    for topic, payload, properties in parts:
        if connection.fits(topic, payload):
            mid = connection.publish(topic, payload, marks=properties)
            if mid is None:
                return None
            mids.append(mid)
    return mids
