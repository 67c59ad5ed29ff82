"""Hands stored records and thumbnails to the connection, and takes in what became of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edge.config.tree import Config
from edge.contract.command import ReplayRequest
from edge.contract.committed import Committed
from edge.contract.topics import DeviceTopics
from edge.outbox.publish_file import PublishFile
from edge.publish.connection import Connection
from edge.publish.delivery.access import Access
from edge.publish.delivery.latest import Latest, properties_of
from edge.publish.delivery.naming import Named, Naming
from edge.publish.delivery.set_aside import SetAside
from edge.publish.delivery.source import RecordSource, ranges_held
from edge.publish.delivery.stream import Stream
from edge.publish.delivery.watermark import Watermark
from edge.publish.delivery.window import Key
from edge.publish.ended import FAILURE, NO_SUBSCRIBERS, NOT_AUTHORISED
from edge.publish.jitter import jitter
from edge.publish.log import StateLog
from edge.publish.replay.for_station import Addressed
from edge.publish.replay.queued import Replay
from edge.publish.replay.requests import Replays
from edge.publish.replay.send_again import send_again
from edge.publish.replay.wanted import find_wanted

QUOTA = 0x97
_THUMBNAILS = 20
_GRACE_S = 2.0


class Sender:
    """Both streams of one device over whatever connection there is."""

    def __init__(self, config: Config, delivery: PublishFile, source: RecordSource, log: StateLog) -> None:
        """Begin where `delivery.db` says that the last process ended."""
        mqtt = config.mqtt
        self._source = source
        self._topics = DeviceTopics(config.device_id)
        self._station, self.station_online = mqtt.station, mqtt.station is None
        self.records = Stream("record", mqtt.in_flight, mqtt.resend_after_s, jitter)
        self.thumbnails = Stream("thumbnail", min(_THUMBNAILS, mqtt.in_flight), mqtt.resend_after_s, jitter)
        self._watermark = Watermark(source, self.records, self.thumbnails, delivery, log)
        self._mids: dict[int, tuple[Stream, Key, str]] = {}
        self._replays = Replays(self._topics, mqtt.resend_after_s, jitter)
        self._access = Access(config, log, jitter)
        self._live_above, self._fresh_above, self._highest_sent = (dict[str, int]() for _ in range(3))
        self._latest = Latest(source, self._topics)
        self._set_aside = SetAside(source, self.records, self.thumbnails, delivery, log)
        self._naming = Naming()
        self._current: set[str] = set()
        self.naming_due = False

    def refresh(self) -> bool:
        """Look for new records; return whether there are any.

        Raises:
            StorageError: a database is there and cannot be read.
        """
        new, replaced = self._source.refresh()
        if replaced:
            for stream in (self.records, self.thumbnails):
                stream.take_up()
        self._look_for_a_start()
        return new

    def _look_for_a_start(self) -> None:
        """Let `info` name an epoch as soon as it begins: of the first one of a file no record says so."""
        current = {epochs[-1].epoch for epochs in (self._source.epochs, self._source.own_epochs) if epochs}
        if current != self._current:
            self._current, self.naming_due = current, True

    def connected(self, fits: Callable[[int], bool]) -> None:
        """A new connection: what is newer than now is live, the rest of the backlog is a replay.

        fits: whether the broker and the settings allow a message of so many bytes.
        """
        self._mids.clear()
        self._latest.connect()
        for stream in (self.records, self.thumbnails):
            stream.connected(fits)
        self.station_online = self._station is None
        self._naming.begin()
        self._live_above = self._source.last()
        self._fresh_above = self._source.last()

    def lost_connection(self, *, suspicious: bool, now_s: float) -> None:
        """Take back what was unacknowledged; what keeps ending connections waits."""
        self._mids.clear()
        self._replays.lose_connection()
        for stream in (self.records, self.thumbnails):
            report = stream.lose_connection(suspicious=suspicious, now_s=now_s)
            if report is not None:
                self._set_aside.report(stream, report, "the connection ended each time it was sent alone")
        self._set_aside.save()

    def note_availability(self, station: str, online: bool, now_s: float) -> None:
        """Take in a station's availability; when it comes back it may have missed all that is in flight."""
        self._replays.note_availability(station, online, now_s)
        if station != self._station:
            return
        if online and not self.station_online:
            self._naming.begin()
            self.naming_due = True
            self.records.window.hurry(now_s, _GRACE_S)
            self.thumbnails.window.hurry(now_s, _GRACE_S)
            self._fresh_above = self._source.last()
        self.station_online = online

    def named(self) -> list[Named]:
        """Return the epochs that `info` names now."""
        return self._naming.choose(
            {"capture": self._source.epochs, "publish": self._source.own_epochs}, self._watermark.confirmed
        )

    def name_next(self) -> None:
        """Let `info` name the next epochs in turn."""
        self._naming.turn()

    def committed(self, station: str, message: Committed) -> None:
        """Take in a station's watermark; only that of the settings' station releases records."""
        self._replays.committed(station, message)
        if station != self._station:
            return
        self._watermark.apply(message)
        self.naming_due = self._naming.answered(of.epoch for of in message.epochs) or self.naming_due

    def save(self) -> None:
        """Write the watermarks where capture's retention reads them, and what is under suspicion.

        Raises:
            StorageError: `delivery.db` cannot be written.
        """
        self._set_aside.save()
        self._watermark.save()

    def send(self, connection: Connection, now_s: float) -> int:
        """Hand over what may go now and return how many messages that were."""
        sent = 0
        newest, version = self._source.newest_key, self._source.version
        held = self.records.open_epochs(ranges_held(self._source.all_epochs()), version)
        online, fresh = self.station_online, self._fresh_above
        for key in self.records.choose(held, newest, station_online=online, now_s=now_s, fresh_above=fresh):
            sent += self._send_record(connection, key, newest, now_s)
        pictures = self.thumbnails.open_epochs(ranges_held(self._source.epochs), version)
        row = self._source.newest
        newest_picture = newest if row is not None and row.thumbnail is not None else None
        for key in self.thumbnails.choose(
            pictures, newest_picture, station_online=online, now_s=now_s, fresh_above=fresh
        ):
            sent += self._send_thumbnail(connection, key, now_s)
        sent += self._latest.publish(connection)
        return sent + self._replays.send(
            connection, partial(send_again, connection, self._source, self._topics), now_s, taken=online
        )

    @property
    def in_flight(self) -> int:
        """How many records were sent that the station has not confirmed."""
        return len(self.records.window.in_flight)

    def refusals(self) -> tuple[int, str]:
        """Return how many records and thumbnails the broker does not take, and why."""
        return self._set_aside.refusals()

    def finished_replay(self) -> Replay | Addressed | None:
        """Return a request to send again that has come to its end, and forget it; None while there is none."""
        return self._replays.finished()

    def replay(self, request: ReplayRequest) -> int:
        """Queue held records to be sent again and return how many."""
        return self._replays.begin(request, find_wanted(request, self._source))

    def acked(self, mid: int, code: int, now_s: float) -> None:
        """Take in the broker's answer to one message."""
        if self._replays.acked(mid, well=code < FAILURE and code != NO_SUBSCRIBERS):
            return
        found = self._mids.pop(mid, None)
        if found is None:
            return
        stream, key, topic = found
        if code < FAILURE:
            stream.taken(key)
        else:
            stream.acked(key)
        if code == NOT_AUTHORISED:
            self._access.deny(stream, topic, now_s)
        elif code == QUOTA:
            self._access.pause(stream, now_s)
        elif code >= FAILURE:
            reason = f"the broker refused it with reason 0x{code:02x}"
            if stream.refused(key, reason, now_s):
                self._set_aside.report(stream, key, reason)
        elif self._station is None and code != NO_SUBSCRIBERS:
            self._watermark.commit(stream, key)
        if code < FAILURE:
            self._access.allow(stream)

    def unreleased(self) -> int:
        """Return how many records are held that nobody else has."""
        return self._watermark.unreleased()

    def _send_record(self, connection: Connection, key: Key, newest: Key | None, now_s: float) -> int:
        row = self._source.row(key)
        if row is None:
            self._set_aside.put_off_unreadable(self.records, key)
            return 0
        replayed = key[1] <= self._highest_sent.get(key[0], 0) or not (
            key == newest or key[1] > self._live_above.get(key[0], 0)
        )
        payload = self._source.payload(row, replayed)
        topic = self._topics.of(row.kind)
        if not connection.fits(topic, payload):
            self._set_aside.keep_too_large(self.records, key, len(payload))
            return 0
        mid = connection.publish(topic, payload)
        if mid is None:
            return 0
        self._mids[mid] = (self.records, key, topic)
        self.records.window.sent(key, now_s)
        self._highest_sent[key[0]] = max(key[1], self._highest_sent.get(key[0], 0))
        return 1

    def _send_thumbnail(self, connection: Connection, key: Key, now_s: float) -> int:
        row = self._source.row(key)
        if row is None:
            self._set_aside.put_off_unreadable(self.thumbnails, key)
            return 0
        content = self._source.picture(row)
        if content is None:
            if (
                row.thumbnail is None or self._source.row(key) != row
            ):  # it never had one, or retention has just taken it
                self.thumbnails.skip(key)
            else:
                self._set_aside.lose_thumbnail(key)
            return 0
        topic = self._topics.of("thumbnail")
        if not connection.fits(topic, content):
            self._set_aside.keep_too_large(self.thumbnails, key, len(content))
            return 0
        mid = connection.publish(topic, content, marks=properties_of(key))
        if mid is None:
            return 0
        self._mids[mid] = (self.thumbnails, key, topic)
        self.thumbnails.window.sent(key, now_s)
        return 1
