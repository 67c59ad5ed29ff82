"""The retained newest reading and picture, for dashboards; a replay never touches them."""

from __future__ import annotations

from edge.contract.topics import DeviceTopics
from edge.publish.connection import Connection
from edge.publish.delivery.source import RecordSource
from edge.publish.delivery.window import Key


def properties_of(key: Key) -> dict[str, str]:
    """Return a record's identity as the user properties of its picture."""
    return {"epoch": key[0], "seq": str(key[1])}


class Latest:
    """Published on each connection, and whenever another reading is the newest."""

    def __init__(self, source: RecordSource, topics: DeviceTopics) -> None:
        """Nothing is published yet."""
        self._source, self._topics = source, topics
        self._published: Key | None = None

    def connect(self) -> None:
        """Publish it anew on a new connection."""
        self._published = None

    def publish(self, connection: Connection) -> int:
        """Publish the newest reading and its picture where it is another one; return how many that were, 0 or 1.

        Raises:
            StorageError: the picture's record cannot be read.
        """
        row = self._source.newest
        if row is None or (row.epoch, row.seq) == self._published:
            return 0
        self._published = (row.epoch, row.seq)
        payload = self._source.payload(row, False)
        if connection.fits(self._topics.of("latest"), payload):
            connection.publish(self._topics.of("latest"), payload, retain=True)
        content = self._source.picture(row)
        topic = self._topics.of("thumbnail/latest")
        if content is not None and connection.fits(topic, content):
            connection.publish(topic, content, retain=True, marks=properties_of(self._published))
        return 1
