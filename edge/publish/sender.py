"""Hands stored records and thumbnails to the connection, and takes in what became of them."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from edge.config.tree import Config
from edge.contract import identity
from edge.contract.command import ReplayRequest
from edge.contract.delivery import MAX_ASKED, Committed
from edge.contract.ranges import RangeSet
from edge.contract.status import Question
from edge.contract.topics import DeviceTopics
from edge.outbox.delivery import Delivery, Doubts
from edge.outbox.reader import HeldEpoch, Reader
from edge.outbox.released import Released
from edge.outbox.requests import DELIVERY, OUTBOX
from edge.outbox.sequence import Row
from edge.publish.answer import Answer
from edge.publish.compare import Comparison
from edge.publish.journal import Journal
from edge.publish.link import NO_SUBSCRIBERS, NOT_AUTHORISED, Link
from edge.publish.replays import Replays
from edge.publish.stream import Stream
from edge.publish.window import Held, Key

QUOTA = 0x97
_THUMBNAILS = 20
_DENIED_PAUSE_S = 30.0
_GRACE_S = 2.0
_EPOCHS = 16
"""The newest of each file, of which an answer is asked: a station tells of so many."""


def jitter() -> float:
    """Return a factor from 0.5 to 1.5."""
    return random.uniform(0.5, 1.5)


class Sender:
    """Both streams of one device over whatever connection there is."""

    def __init__(self, config: Config, delivery: Delivery, journal: Journal) -> None:
        """Begin where `delivery.db` says that the last process ended."""
        mqtt, state_dir = config.mqtt, Path(config.state_dir)
        self.outbox = Reader(state_dir / OUTBOX)
        self._own = Reader(state_dir / DELIVERY)
        self._delivery, self._journal = delivery, journal
        self._topics = DeviceTopics(config.device_id)
        self._station = mqtt.station
        self.station_online = mqtt.station is None
        self.records = Stream("record", mqtt.in_flight, mqtt.resend_after_s, jitter)
        self.thumbnails = Stream("thumbnail", min(_THUMBNAILS, mqtt.in_flight), mqtt.resend_after_s, jitter)
        self.epochs: list[HeldEpoch] = []
        self.own_epochs: list[HeldEpoch] = []
        self.newest: Row | None = None
        self._station_db = delivery.station_db or ""
        self._dirty = False
        self._mids: dict[int, tuple[Stream, Key]] = {}
        self.replays = Replays(self._topics, mqtt.resend_after_s, jitter)
        self._user = f"the user {mqtt.username}" if mqtt.username is not None else f"this device ({config.device_id})"
        self._denied: set[str] = set()
        self._live_above: dict[str, int] = {}
        self._fresh_above: dict[str, int] = {}
        self._highest_sent: dict[str, int] = {}
        self._latest: Key | None = None
        self._claims: dict[str, Released] = {}
        self._doubts: Doubts = {}
        self.comparison = Comparison(delivery.partings())
        self._answer = Answer()
        self._restore()

    def refresh(self) -> bool:
        """Look for new records; return whether there are any.

        Raises:
            StorageError: a database is there and cannot be read.
        """
        before = self.outbox.replaced
        outbox, own = self.outbox.changed(), self._own.changed()
        if self.outbox.replaced != before:
            for stream in (self.records, self.thumbnails):
                stream.take_up()
        if outbox:
            self.epochs = self.outbox.epochs()
            self.newest = self.outbox.newest_reading()
        if own:
            self.own_epochs = self._own.epochs()
        return outbox

    def connected(self, now_s: float) -> None:
        """A new connection: what is newer than now is live, the rest of the backlog is a replay."""
        self._mids.clear()
        self._latest = None
        for stream in (self.records, self.thumbnails):
            stream.paused_until_s = 0.0  # whoever denied it may have changed their mind with the connection
        self.station_online = self._station is None
        self._answer.ask(now_s)
        self._live_above = self._last()
        self._fresh_above = self._last()

    def lost_link(self, *, suspicious: bool) -> None:
        """Take back what was unacknowledged; quarantine what keeps ending connections."""
        self._mids.clear()
        self.replays.lose_link()
        for stream in (self.records, self.thumbnails):
            poison = stream.lose_link(suspicious=suspicious)
            if poison is not None:
                self._quarantine(stream, poison, "the connection ended each time it was sent alone")
        self._save_doubts()

    def station_said(self, online: bool, now_s: float) -> None:
        """Take in the station's availability; when it comes back it may have missed all that is in flight."""
        if online and not self.station_online:
            self._answer.ask(now_s)
            self.records.window.hurry(now_s, _GRACE_S)
            self.thumbnails.window.hurry(now_s, _GRACE_S)
            self._fresh_above = self._last()
        self.station_online = online

    def questions(self) -> tuple[Question, ...]:
        """Return what the station is asked in `info`: where two histories part, and for an answer at all."""
        wanted = {question.epoch: question.seqs for question in self.comparison.questions()}
        for epoch in self._asked_about() if self._station is not None and self._answer.number else ():
            wanted[epoch] = (*wanted.get(epoch, ()), self._answer.number)
        return tuple(Question(epoch=epoch, seqs=seqs) for epoch, seqs in sorted(wanted.items()))[:MAX_ASKED]

    def _asked_about(self) -> list[str]:
        return [of.epoch for of in _held(self.epochs)[-_EPOCHS:] + _held(self.own_epochs)[-_EPOCHS:]]

    def committed(self, message: Committed, *, retained: bool) -> None:
        """Take in the releasing station's watermark."""
        self._answer.take(message, self._asked_about(), retained)
        if message.station_db != self._station_db and self._station_db:
            self._journal.say("station", f"the station has another database ({message.station_db}): sending again")
        self._station_db = message.station_db
        records = {of.epoch: RangeSet.from_watermark(of.through, of.holes) for of in message.epochs}
        pictures = {
            of.epoch: RangeSet.from_watermark(of.thumbnails_through, of.thumbnail_holes) for of in message.epochs
        }
        refused = self._compare(message, records, pictures)
        self._doubt(records, pictures)
        for epoch in refused:
            records[epoch] = self.records.committed.get(epoch, RangeSet())
            pictures[epoch] = self.thumbnails.committed.get(epoch, RangeSet())
        self.records.set_committed(records)
        self.thumbnails.set_committed(pictures)
        self._dirty = True

    def _compare(self, message: Committed, records: dict[str, RangeSet], pictures: dict[str, RangeSet]) -> set[str]:
        """Find another history under one of this card's epochs; return the epochs of which no claim is taken now."""

        def digest(epoch: str, seq: int) -> str | None:
            row = self._row((epoch, seq))
            return None if row is None else row.digest

        self.comparison.look(self.epochs + self.own_epochs)
        before = self.comparison.held_back
        found, refused = self.comparison.judge(message, self.epochs + self.own_epochs, digest, records, pictures)
        for epoch, parting in found.items():
            self._delivery.part(epoch, parting)
            self.comparison.settle(epoch, parting)
            self._journal.say(
                f"restored {epoch}",
                f"mqtt: the station holds another history of epoch {epoch[:8]} (seen at {parting.seen}), this card's "
                f"own begins at {parting.first}: a copied card, or an older copy put back? It goes on under a new "
                "epoch; nothing is lost",
            )
        for epoch in self.comparison.held_back - before:
            self.records.hold_back(epoch)
            self.thumbnails.hold_back(epoch)
        for epoch in refused:  # cannot be judged by its numbers either
            records.pop(epoch), pictures.pop(epoch)
        return refused

    def _doubt(self, records: dict[str, RangeSet], pictures: dict[str, RangeSet]) -> None:
        """Take no claim for what a restored card has written anew under numbers that the station had before.

        A claim beyond the last number says that the card was set back. What it has held since is sent once; the station
        keeps another content under a known number as a conflict. Capture begins a new epoch when it reads the claim.
        """
        last = self._last()
        for epoch in [epoch for epoch, claim in records.items() if claim.highest > last.get(epoch, claim.highest)]:
            self._claims[epoch] = Released(records[epoch], pictures[epoch])
            records[epoch] = self.records.committed.get(epoch, RangeSet())
            pictures[epoch] = self.thumbnails.committed.get(epoch, RangeSet())
            self._journal.say(
                f"restored {epoch}",
                f"mqtt: the station holds records of epoch {epoch[:8]} up to {self._claims[epoch].claimed}, this card "
                f"{last[epoch]}: was an older copy of the card put back? What it holds is sent; a new epoch begins",
            )

    def save(self) -> None:
        """Write the watermarks where capture's retention reads them, and what is under suspicion."""
        self._save_doubts()
        if not self._dirty:
            return
        epochs = set(self.records.committed) | set(self.thumbnails.committed)
        nothing = RangeSet()
        released = {
            epoch: Released(self.records.committed.get(epoch, nothing), self.thumbnails.committed.get(epoch, nothing))
            for epoch in epochs
        }
        self._delivery.set_released(released | self._claims, self._station_db)
        self._dirty = False

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
        if self.station_online and self._station is not None and self._answer.awaited(now_s):
            return self._show_latest(link)
        sent = 0
        newest = (self.newest.epoch, self.newest.seq) if self.newest is not None else None
        self.comparison.look(self.epochs + self.own_epochs)
        wait = self.comparison.held_back
        if newest is not None and newest[0] in wait:
            newest = None
        held = _held([of for of in self.epochs + self.own_epochs if of.epoch not in wait])
        online, fresh = self.station_online, self._fresh_above
        for key in self.records.choose(held, newest, station_online=online, now_s=now_s, fresh_above=fresh):
            sent += self._send_record(link, key, newest, now_s)
        pictures = _held([of for of in self.epochs if of.epoch not in wait])
        newest_picture = newest if self.newest is not None and self.newest.thumbnail is not None else None
        for key in self.thumbnails.choose(
            pictures, newest_picture, station_online=online, now_s=now_s, fresh_above=fresh
        ):
            sent += self._send_thumbnail(link, key, now_s)
        sent += self._show_latest(link)
        return sent + self.replays.send(link, partial(self._send_again, link), now_s, taken=online)

    def replay(self, request: ReplayRequest) -> int:
        """Queue held records to be sent again and return how many."""
        held = _held([of for of in self.epochs + self.own_epochs if of.epoch == request.epoch])
        return self.replays.begin(request, held[0]) if held else 0

    def acked(self, mid: int, code: int, now_s: float) -> None:
        """Take in the broker's answer to one message."""
        if self.replays.acked(mid, well=code < 0x80 and code != NO_SUBSCRIBERS):
            return
        stream, key = self._mids.pop(mid, (None, None))
        if stream is None or key is None:
            return
        stream.acked(key)
        if code == NOT_AUTHORISED:
            stream.paused_until_s = now_s + _DENIED_PAUSE_S * jitter()
            self._say_denied(stream)
        elif code == QUOTA:
            stream.paused_until_s = now_s + _DENIED_PAUSE_S * jitter()
        elif code >= 0x80:
            if stream.strike(key):
                self._quarantine(stream, key, f"the broker refused it again and again with reason 0x{code:02x}")
        elif self._station is None and code != NO_SUBSCRIBERS:
            stream.commit(key)
            self._dirty = True
        elif key[0] in self._claims and code != NO_SUBSCRIBERS:
            stream.skip(key)  # the station cannot confirm what its claim already covers
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
        count = 0
        for held in self.epochs:
            committed = self.records.committed.get(held.epoch, RangeSet())
            below = sum(
                min(last, held.last) - max(first, held.first_held) + 1
                for first, last in committed
                if last >= held.first_held and first <= held.last
            )
            count += held.last - held.first_held + 1 - below
        return max(0, count)

    def close(self) -> None:
        """Keep what is known and let go of the files."""
        self.save()
        self.outbox.close()
        self._own.close()

    def _send_record(self, link: Link, key: Key, newest: Key | None, now_s: float) -> int:
        row = self._row(key)
        if row is None:
            self._doubt_record(self.records, key)
            return 0
        replayed = key[1] <= self._highest_sent.get(key[0], 0) or not (
            key == newest or key[1] > self._live_above.get(key[0], 0)
        )
        payload = self._payload(row, replayed)
        topic = self._topics.of(row.kind)
        if not link.fits(topic, payload):
            self._quarantine(
                self.records,
                key,
                _too_large(payload),
            )
            return 0
        mid = link.publish(topic, payload)
        if mid is None:
            return 0
        self._mids[mid] = (self.records, key)
        self.records.window.sent(key, now_s)
        self._highest_sent[key[0]] = max(key[1], self._highest_sent.get(key[0], 0))
        return 1

    def _send_thumbnail(self, link: Link, key: Key, now_s: float) -> int:
        row = self._row(key)
        if row is None:
            self._doubt_record(self.thumbnails, key)
            return 0
        content = self.outbox.picture(row.thumbnail) if row.thumbnail is not None else None
        if content is None:
            if row.thumbnail is None or self._row(key) != row:  # it never had one, or retention has just taken it
                self.thumbnails.skip(key)
            else:
                self._quarantine(self.thumbnails, key, "its file is gone or is not what was written")
            return 0
        topic = self._topics.of("thumbnail")
        if not link.fits(topic, content):
            self._quarantine(
                self.thumbnails,
                key,
                _too_large(content),
            )
            return 0
        mid = link.publish(topic, content, marks=_marks(key))
        if mid is None:
            return 0
        self._mids[mid] = (self.thumbnails, key)
        self.thumbnails.window.sent(key, now_s)
        return 1

    def _show_latest(self, link: Link) -> int:
        """Keep the retained newest reading and picture right for dashboards; a replay never touches them."""
        row = self.newest
        if row is None or (row.epoch, row.seq) == self._latest:
            return 0
        self._latest = (row.epoch, row.seq)
        payload = self._payload(row, False)
        if link.fits(self._topics.of("latest"), payload):
            link.publish(self._topics.of("latest"), payload, retain=True)
        content = self.outbox.picture(row.thumbnail) if row.thumbnail is not None else None
        topic = self._topics.of("thumbnail/latest")
        if content is not None and link.fits(topic, content):
            link.publish(topic, content, retain=True, marks=_marks(self._latest))
        return 1

    def _send_again(self, link: Link, key: Key) -> list[int] | None:
        """Return the ids of what was handed over; none where the record is gone or too large by now."""
        row = self._row(key)
        if row is None:
            return []
        parts: list[tuple[str, bytes, dict[str, str]]] = [(self._topics.of(row.kind), self._payload(row, True), {})]
        content = self.outbox.picture(row.thumbnail) if row.thumbnail is not None else None
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

    def _last(self) -> dict[str, int]:
        return {held.epoch: held.last for held in self.epochs + self.own_epochs}

    def _payload(self, row: Row, replayed: bool) -> bytes:
        first = next((held.first_held for held in self.epochs + self.own_epochs if held.epoch == row.epoch), row.seq)
        return identity.join(identity.Head(row.epoch, row.seq, min(first, row.seq), replayed), row.body)

    def _row(self, key: Key) -> Row | None:
        own = any(held.epoch == key[0] for held in self.own_epochs)
        return (self._own if own else self.outbox).row(*key)

    def _doubt_record(self, stream: Stream, key: Key) -> None:
        """Pass over a number whose row is not what was written; capture is asked to check its file and replace it.

        A row that retention has just dropped is passed over too, without a word.
        """
        stream.put_off(key)
        held = next((of for of in self.outbox.epochs() if of.epoch == key[0]), None)
        if held is not None and held.first_held <= key[1] <= held.last:
            self._delivery.doubt(key)
            self._journal.say(
                "doubt",
                f"outbox.db: record {key[1]} of epoch {key[0][:8]} is not what was written (a worn card?); capture "
                "checks the file, saves what is readable and names the rest as lost",
            )

    def _quarantine(self, stream: Stream, key: Key, reason: str) -> None:
        """Take one record out of the way for good: an event and a loss go out in its place."""
        self._delivery.quarantine(key, stream.name, reason)
        stream.skip(key)
        self._journal.say(
            f"quarantine {stream.name}",
            f"mqtt: {stream.name} {key[1]} of epoch {key[0][:8]} stays on the device: {reason}. The others are sent; "
            "the command replay sends this one again",
            state="quarantined",
        )

    def _restore(self) -> None:
        self._doubts = self._delivery.doubts()
        released = self._delivery.released()
        self.records.set_committed({epoch: held.records for epoch, held in released.items()})
        self.thumbnails.set_committed({epoch: held.thumbnails for epoch, held in released.items()})
        for epoch, seq, name in self._delivery.quarantined():
            (self.thumbnails if name == "thumbnail" else self.records).skip((epoch, seq))
        for stream in (self.records, self.thumbnails):
            mine = {(epoch, seq): n for (epoch, seq, name), n in self._doubts.items() if name == stream.name}
            stream.restore_doubts(mine)


def _held(epochs: list[HeldEpoch]) -> list[Held]:
    return [Held(of.epoch, of.first_held, of.last) for of in epochs if of.first_held <= of.last]


def _marks(key: Key) -> dict[str, str]:
    return {"epoch": key[0], "seq": str(key[1])}


def _too_large(payload: bytes) -> str:
    return (
        f"{len(payload)} bytes are more than the broker or mqtt.max_packet_kb allow; raise both, or lower "
        "thumbnail.max_kb"
    )
