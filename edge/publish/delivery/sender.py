"""Hands stored records and thumbnails to the connection, and takes in what became of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from edge.config.tree import Config
from edge.contract.command import ReplayRequest
from edge.contract.delivery import Committed
from edge.contract.topics import DeviceTopics
from edge.outbox.delivery import Delivery, Doubts
from edge.publish.connection import NO_SUBSCRIBERS, NOT_AUTHORISED, Link
from edge.publish.delivery.naming import Named, Naming
from edge.publish.delivery.source import Shelf, ranges_held
from edge.publish.delivery.stream import Stream
from edge.publish.delivery.watermark import Watermark
from edge.publish.delivery.window import Held, Key
from edge.publish.log import Journal
from edge.publish.replay.requests import Replays

QUOTA = 0x97
_THUMBNAILS = 20
_DENIED_PAUSE_S = 30.0
_GRACE_S = 2.0


def jitter() -> float:
    """Return a factor from 0.5 to 1.5."""
    return random.uniform(0.5, 1.5)


class Sender:
    """Both streams of one device over whatever connection there is."""

    def __init__(self, config: Config, delivery: Delivery, journal: Journal) -> None:
        """Begin where `delivery.db` says that the last process ended."""
        mqtt = config.mqtt
        self.shelf = Shelf(Path(config.state_dir))
        self._delivery, self._journal = delivery, journal
        self._topics = DeviceTopics(config.device_id)
        self._station = mqtt.station
        self.station_online = mqtt.station is None
        self.records = Stream("record", mqtt.in_flight, mqtt.resend_after_s, jitter)
        self.thumbnails = Stream("thumbnail", min(_THUMBNAILS, mqtt.in_flight), mqtt.resend_after_s, jitter)
        self._watermark = Watermark(self.shelf, self.records, self.thumbnails, delivery, journal)
        self._mids: dict[int, tuple[Stream, Key]] = {}
        self.replays = Replays(self._topics, mqtt.resend_after_s, jitter)
        self._user = f"the user {mqtt.username}" if mqtt.username is not None else f"this device ({config.device_id})"
        self._denied: set[str] = set()
        self._live_above: dict[str, int] = {}
        self._fresh_above: dict[str, int] = {}
        self._highest_sent: dict[str, int] = {}
        self._latest: Key | None = None
        self._doubts: Doubts = {}
        self._naming = Naming()
        self._current: set[str] = set()
        self.naming_due = False
        self._restore()

    def refresh(self) -> bool:
        """Look for new records; return whether there are any.

        Raises:
            StorageError: a database is there and cannot be read.
        """
        new, replaced = self.shelf.refresh()
        if replaced:
            for stream in (self.records, self.thumbnails):
                stream.take_up()
        self._look_for_a_start()
        return new

    def _look_for_a_start(self) -> None:
        """Let `info` name an epoch as soon as it begins: of the first one of a file no record says so."""
        current = {epochs[-1].epoch for epochs in (self.shelf.epochs, self.shelf.own_epochs) if epochs}
        if current != self._current:
            self._current, self.naming_due = current, True

    def connected(self, fits: Callable[[int], bool]) -> None:
        """A new connection: what is newer than now is live, the rest of the backlog is a replay.

        fits: whether the broker and the settings allow a message of so many bytes.
        """
        self._mids.clear()
        self._latest = None
        for stream in (self.records, self.thumbnails):
            stream.connected(fits)
        self.station_online = self._station is None
        self._naming.begin()
        self._live_above = self.shelf.last()
        self._fresh_above = self.shelf.last()

    def lost_link(self, *, suspicious: bool, now_s: float) -> None:
        """Take back what was unacknowledged; what keeps ending connections waits."""
        self._mids.clear()
        self.replays.lose_link()
        for stream in (self.records, self.thumbnails):
            report = stream.lose_link(suspicious=suspicious, now_s=now_s)
            if report is not None:
                self._report(stream, report, "the connection ended each time it was sent alone")
        self._save_doubts()

    def station_said(self, online: bool, now_s: float) -> None:
        """Take in the station's availability; when it comes back it may have missed all that is in flight."""
        if online and not self.station_online:
            self._naming.begin()
            self.naming_due = True
            self.records.window.hurry(now_s, _GRACE_S)
            self.thumbnails.window.hurry(now_s, _GRACE_S)
            self._fresh_above = self.shelf.last()
        self.station_online = online

    def named(self) -> list[Named]:
        """Return the epochs that `info` names now."""
        return self._naming.choose(
            {"capture": self.shelf.epochs, "publish": self.shelf.own_epochs}, self._watermark.confirmed
        )

    def name_next(self) -> None:
        """Let `info` name the next epochs in turn."""
        self._naming.turn()

    def committed(self, message: Committed) -> None:
        """Take in the releasing station's watermark."""
        self._watermark.take(message)
        self.naming_due = self._naming.answered(of.epoch for of in message.epochs) or self.naming_due

    def save(self) -> None:
        """Write the watermarks where capture's retention reads them, and what is under suspicion."""
        self._save_doubts()
        self._watermark.save()

    def _save_doubts(self) -> None:
        doubts = {
            (*key, stream.name): strikes
            for stream in (self.records, self.thumbnails)
            for key, strikes in stream.doubts().items()
        }
        if doubts != self._doubts:
            self._delivery.set_doubts(doubts)
            self._doubts = doubts

    def send(self, link: Link, now_s: float) -> int:
        """Hand over what may go now and return how many messages that were."""
        sent = 0
        newest, version = self.shelf.newest_key, self.shelf.version
        held = self.records.open_epochs(ranges_held(self.shelf.all_epochs()), version)
        online, fresh = self.station_online, self._fresh_above
        for key in self.records.choose(held, newest, station_online=online, now_s=now_s, fresh_above=fresh):
            sent += self._send_record(link, key, newest, now_s)
        pictures = self.thumbnails.open_epochs(ranges_held(self.shelf.epochs), version)
        row = self.shelf.newest
        newest_picture = newest if row is not None and row.thumbnail is not None else None
        for key in self.thumbnails.choose(
            pictures, newest_picture, station_online=online, now_s=now_s, fresh_above=fresh
        ):
            sent += self._send_thumbnail(link, key, now_s)
        sent += self._show_latest(link)
        return sent + self.replays.send(link, partial(self._send_again, link), now_s, taken=online)

    def replay(self, request: ReplayRequest) -> int:
        """Queue held records to be sent again and return how many."""
        return self.replays.begin(request, self._wanted(request))

    def _wanted(self, request: ReplayRequest) -> list[Held]:
        """Return what is held of what a request names."""
        if isinstance(request.since, datetime) or isinstance(request.until, datetime):
            return self.shelf.between(_column(request.since), _column(request.until))
        held = ranges_held(self.shelf.all_epochs())
        if request.all is True:
            return held
        first, last = int(request.first_seq or 0), int(request.last_seq or 0)  # the contract has seen that they are set
        found = [Held(of.epoch, max(first, of.first), min(last, of.last)) for of in held if of.epoch == request.epoch]
        return [of for of in found if of.first <= of.last]

    def acked(self, mid: int, code: int, now_s: float) -> None:
        """Take in the broker's answer to one message."""
        if self.replays.acked(mid, well=code < 0x80 and code != NO_SUBSCRIBERS):
            return
        stream, key = self._mids.pop(mid, (None, None))
        if stream is None or key is None:
            return
        if code < 0x80:
            stream.taken(key)
        else:
            stream.acked(key)
        if code == NOT_AUTHORISED:
            stream.paused_until_s = now_s + _DENIED_PAUSE_S * jitter()
            self._say_denied(stream)
        elif code == QUOTA:
            stream.paused_until_s = now_s + _DENIED_PAUSE_S * jitter()
        elif code >= 0x80:
            reason = f"the broker refused it with reason 0x{code:02x}"
            if stream.refused(key, reason, now_s):
                self._report(stream, key, reason)
        elif self._station is None and code != NO_SUBSCRIBERS:
            self._watermark.commit(stream, key)
        if code < 0x80:
            self._denied.discard(stream.name)

    def _say_denied(self, stream: Stream) -> None:
        """Say it once for both streams: their topics stand in the same rule."""
        if not self._denied:
            root = self._topics.root
            self._journal.say(
                "denied",
                f"mqtt: the broker denies {self._user} the topic {root}/{stream.name}; give it write access to "
                f"{root}/# in the broker's access list. It is tried again; nothing is lost",
            )
        self._denied.add(stream.name)

    def unreleased(self) -> int:
        """Return how many records are held that nobody else has."""
        return self._watermark.unreleased()

    def close(self) -> None:
        """Keep what is known and let go of the files."""
        self.save()
        self.shelf.close()

    def _send_record(self, link: Link, key: Key, newest: Key | None, now_s: float) -> int:
        row = self.shelf.row(key)
        if row is None:
            self._doubt_record(self.records, key)
            return 0
        replayed = key[1] <= self._highest_sent.get(key[0], 0) or not (
            key == newest or key[1] > self._live_above.get(key[0], 0)
        )
        payload = self.shelf.payload(row, replayed)
        topic = self._topics.of(row.kind)
        if not link.fits(topic, payload):
            self._keep_too_large(self.records, key, len(payload))
            return 0
        mid = link.publish(topic, payload)
        if mid is None:
            return 0
        self._mids[mid] = (self.records, key)
        self.records.window.sent(key, now_s)
        self._highest_sent[key[0]] = max(key[1], self._highest_sent.get(key[0], 0))
        return 1

    def _send_thumbnail(self, link: Link, key: Key, now_s: float) -> int:
        row = self.shelf.row(key)
        if row is None:
            self._doubt_record(self.thumbnails, key)
            return 0
        content = self.shelf.picture(row)
        if content is None:
            if row.thumbnail is None or self.shelf.row(key) != row:  # it never had one, or retention has just taken it
                self.thumbnails.skip(key)
            else:
                self._lose_thumbnail(key)
            return 0
        topic = self._topics.of("thumbnail")
        if not link.fits(topic, content):
            self._keep_too_large(self.thumbnails, key, len(content))
            return 0
        mid = link.publish(topic, content, marks=_marks(key))
        if mid is None:
            return 0
        self._mids[mid] = (self.thumbnails, key)
        self.thumbnails.window.sent(key, now_s)
        return 1

    def _show_latest(self, link: Link) -> int:
        """Keep the retained newest reading and picture right for dashboards; a replay never touches them."""
        row = self.shelf.newest
        if row is None or (row.epoch, row.seq) == self._latest:
            return 0
        self._latest = (row.epoch, row.seq)
        payload = self.shelf.payload(row, False)
        if link.fits(self._topics.of("latest"), payload):
            link.publish(self._topics.of("latest"), payload, retain=True)
        content = self.shelf.picture(row)
        topic = self._topics.of("thumbnail/latest")
        if content is not None and link.fits(topic, content):
            link.publish(topic, content, retain=True, marks=_marks(self._latest))
        return 1

    def _send_again(self, link: Link, key: Key) -> list[int] | None:
        """Return the ids of what was handed over; none where the record is gone or too large by now."""
        row = self.shelf.row(key)
        if row is None:
            return []
        parts: list[tuple[str, bytes, dict[str, str]]] = [
            (self._topics.of(row.kind), self.shelf.payload(row, True), {})
        ]
        content = self.shelf.picture(row)
        if content is not None:
            parts.append((self._topics.of("thumbnail"), content, _marks(key)))
        mids = []
        for topic, payload, marks in parts:
            if link.fits(topic, payload):
                mid = link.publish(topic, payload, marks=marks)
                if mid is None:
                    return None
                mids.append(mid)
        return mids

    def _doubt_record(self, stream: Stream, key: Key) -> None:
        """Pass over a number whose row is not what was written; capture is asked to check its file and replace it.

        A row that retention has just dropped is passed over too, without a word.
        """
        stream.put_off(key)
        if self.shelf.holds(key):
            self._delivery.doubt(key)
            self._journal.say(
                "doubt",
                f"outbox.db: record {key[1]} of epoch {key[0][:8]} is not what was written (a worn card?); capture "
                "checks the file, saves what is readable and names the rest as lost",
            )

    def refusals(self) -> tuple[int, str]:
        """Return how many records and thumbnails the broker does not take, and why; they are kept and tried again."""
        streams = (self.records, self.thumbnails)
        reasons = [
            f"{stream.refusals.count()} of the {stream.name}s: {'; '.join(stream.refusals.reasons())}"
            for stream in streams
            if stream.refusals.count()
        ]
        return sum(stream.refusals.count() for stream in streams), "; ".join(reasons)

    def _keep_too_large(self, stream: Stream, key: Key, size: int) -> None:
        stream.too_large(key, size)
        self._journal.say(
            f"too large {stream.name}",
            f"mqtt: {stream.name} {key[1]} of epoch {key[0][:8]} stays on the device: {size} bytes are more than the "
            "broker or mqtt.max_packet_kb allow; raise both, or lower thumbnail.max_kb. The others are sent",
            state="too large",
        )

    def _report(self, stream: Stream, key: Key, reason: str) -> None:
        """Tell the lab, at most once a day, that one record is refused while others are taken.

        Never of an event of this process: the report would be refused as well, and reported in its turn.
        """
        if key[0] in {of.epoch for of in self.shelf.own_epochs}:
            return
        self._delivery.report_refused(key, stream.name, reason)
        self._journal.say(
            f"refused {stream.name}",
            f"mqtt: {stream.name} {key[1]} of epoch {key[0][:8]} stays on the device: {reason}. The others are sent; "
            "this one is tried again, at least daily",
            state=reason,
        )

    def _lose_thumbnail(self, key: Key) -> None:
        """Name a thumbnail as lost whose file is gone or is not what was written."""
        reason = "its file is gone or is not what was written"
        self._delivery.lose_thumbnail(key, reason)
        self.thumbnails.skip(key)
        self._journal.say("lost thumbnail", f"thumbnail {key[1]} of epoch {key[0][:8]} is lost: {reason}", state=reason)

    def _restore(self) -> None:
        self._doubts = self._delivery.doubts()
        for key in self._delivery.lost_thumbnails():
            self.thumbnails.skip(key)
        for stream in (self.records, self.thumbnails):
            mine = {(epoch, seq): n for (epoch, seq, name), n in self._doubts.items() if name == stream.name}
            stream.restore_doubts(mine, time.monotonic())


def _column(time: object) -> str:
    """Return a time as the column `recorded_at` has it, "" for none."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(time, datetime) else ""


def _marks(key: Key) -> dict[str, str]:
    return {"epoch": key[0], "seq": str(key[1])}
