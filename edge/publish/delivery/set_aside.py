"""What is not sent for now, or never: what a broker refuses, thumbnails that are gone, rows that cannot be read."""

from __future__ import annotations

import time

from edge.outbox.publish_file import PublishFile, Suspects
from edge.publish.delivery.source import RecordSource
from edge.publish.delivery.stream import Stream
from edge.publish.delivery.window import Key
from edge.publish.log import StateLog

GONE = "its file is gone or is not what was written"


class SetAside:
    """Kept in `delivery.db`, so that a restart does not send again at once what ended connections."""

    def __init__(
        self, source: RecordSource, records: Stream, thumbnails: Stream, delivery: PublishFile, log: StateLog
    ) -> None:
        """Begin where `delivery.db` says that the last process ended."""
        self._source, self._thumbnails, self._delivery, self._log = source, thumbnails, delivery, log
        self._streams = (records, thumbnails)
        self._suspects: Suspects = delivery.suspects()
        for key in delivery.lost_thumbnails():
            thumbnails.skip(key)
        for stream in self._streams:
            mine = {(epoch, seq): n for (epoch, seq, name), n in self._suspects.items() if name == stream.name}
            stream.restore_suspects(mine, time.monotonic())

    def save(self) -> None:
        """Store what is under suspicion, where it has changed.

        Raises:
            StorageError: `delivery.db` cannot be written; so below.
        """
        suspects = {(*key, stream.name): times for stream in self._streams for key, times in stream.suspected().items()}
        if suspects != self._suspects:
            self._delivery.set_suspects(suspects)
            self._suspects = suspects

    def refusals(self) -> tuple[int, str]:
        """Return how many records and thumbnails the broker does not take, and why; they are kept and tried again."""
        reasons = [
            f"{stream.refusals.count()} of the {stream.name}s: {'; '.join(stream.refusals.reasons())}"
            for stream in self._streams
            if stream.refusals.count()
        ]
        return sum(stream.refusals.count() for stream in self._streams), "; ".join(reasons)

    def keep_too_large(self, stream: Stream, key: Key, size: int) -> None:
        """Let a record wait for a broker that takes a message of so many bytes."""
        stream.too_large(key, size)
        self._log.report(
            f"too large {stream.name}",
            f"mqtt: {stream.name} {key[1]} of epoch {key[0][:8]} stays on the device: {size} bytes are more than the "
            "broker or mqtt.max_packet_kb allow; raise both, or lower thumbnail.max_kb. The others are sent",
            state="too large",
        )

    def report(self, stream: Stream, key: Key, reason: str) -> None:
        """Report to the lab, at most once a day, that one record is refused while others are taken.

        Never an event of this process: the report would be refused as well, and reported in its turn.
        """
        if key[0] in {of.epoch for of in self._source.own_epochs}:
            return
        self._delivery.report_refused(key, stream.name, reason)
        self._log.report(
            f"refused {stream.name}",
            f"mqtt: {stream.name} {key[1]} of epoch {key[0][:8]} stays on the device: {reason}. The others are sent; "
            "this one is tried again, at least daily",
            state=reason,
        )

    def lose_thumbnail(self, key: Key) -> None:
        """Name a thumbnail as lost whose file is gone or is not what was written."""
        self._delivery.lose_thumbnail(key, GONE)
        self._thumbnails.skip(key)
        self._log.report("lost thumbnail", f"thumbnail {key[1]} of epoch {key[0][:8]} is lost: {GONE}", state=GONE)

    def put_off_unreadable(self, stream: Stream, key: Key) -> None:
        """Pass over a number whose row is not what was written; capture is asked to check its file and replace it.

        A row that retention has just dropped is passed over too, in silence.
        """
        stream.put_off(key)
        if self._source.holds(key):
            self._delivery.request_check(key)
            self._log.report(
                "unreadable",
                f"outbox.db: record {key[1]} of epoch {key[0][:8]} is not what was written (a worn card?); capture "
                "checks the file, saves what is readable and names the rest as lost",
            )
