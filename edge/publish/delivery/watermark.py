"""What the releasing station has of this card's records, and where capture's retention reads it."""

from __future__ import annotations

from edge.contract.committed import Committed
from edge.contract.ranges import RangeSet
from edge.outbox.publish_file import PublishFile
from edge.outbox.reader import HeldEpoch
from edge.outbox.watermarks import Released
from edge.publish.delivery.source import RecordSource
from edge.publish.delivery.stream import Stream
from edge.publish.delivery.window import Key
from edge.publish.log import StateLog


class Watermark:
    """What the releasing station has accounted for, of both streams.

    No number is ever written twice, so that a copied card, or one that was set back, holds the same record as the
    station under each number that both have: what the station has is released, whichever card has sent it.
    """

    def __init__(
        self, source: RecordSource, records: Stream, thumbnails: Stream, delivery: PublishFile, log: StateLog
    ) -> None:
        """Begin where `delivery.db` says that the last process ended."""
        self._source, self._records, self._thumbnails = source, records, thumbnails
        self._delivery, self._log = delivery, log
        self._station_db = delivery.station_db or ""
        self._unsaved = False
        released = delivery.released()
        records.set_committed({epoch: held.records for epoch, held in released.items()})
        thumbnails.set_committed({epoch: held.thumbnails for epoch, held in released.items()})

    def apply(self, message: Committed) -> None:
        """Take in the releasing station's watermark.

        Another database has nothing but what it names. Of the same one, an epoch that is not named stays as it is.
        """
        records = {of.epoch: RangeSet.from_watermark(of.through, of.holes) for of in message.epochs}
        pictures = {
            of.epoch: RangeSet.from_watermark(of.thumbnails_through, of.thumbnail_holes) for of in message.epochs
        }
        if message.station_db != self._station_db:
            if self._station_db:
                text = f"the station has another database ({message.station_db}): sending again"
                self._log.report("station", text)
            self._station_db = message.station_db
            self._records.set_committed(records)
            self._thumbnails.set_committed(pictures)
        else:
            self._records.note_committed(records)
            self._thumbnails.note_committed(pictures)
        self._unsaved = True
        self._look_beyond(records, pictures)

    def _look_beyond(self, records: dict[str, RangeSet], pictures: dict[str, RangeSet]) -> None:
        """Report a card that was copied or set back: the station has more of an epoch than was ever written here."""
        last = self._source.last()
        for epoch, ranges in records.items():
            station_has = max(ranges.highest, pictures[epoch].highest)
            if station_has > last.get(epoch, station_has):
                self._delivery.note_restored(epoch, last[epoch], station_has)
                self._log.report(
                    f"restored {epoch}",
                    f"mqtt: the station holds records of epoch {epoch[:8]} up to {station_has}, this card "
                    f"{last[epoch]}: a copied card, or an older copy put back? Nothing is lost by it",
                )

    def confirmed(self, held: HeldEpoch) -> bool:
        """Return whether the station has all that is held of an epoch, as far as its records go."""
        committed = self._records.committed.get(held.epoch)
        return committed is not None and not committed.missing(held.first_held, held.last)

    def commit(self, stream: Stream, key: Key) -> None:
        """Count one record as delivered, where the broker's acknowledgement is all there is."""
        stream.commit(key)
        self._unsaved = True

    def unreleased(self) -> int:
        """Return how many records are held that nobody else has."""
        count = 0
        for held in self._source.epochs:
            committed = self._records.committed.get(held.epoch, RangeSet())
            below = sum(
                min(last, held.last) - max(first, held.first_held) + 1
                for first, last in committed
                if last >= held.first_held and first <= held.last
            )
            count += held.last - held.first_held + 1 - below
        return max(0, count)

    def save(self) -> None:
        """Write the watermarks where capture's retention reads them; those of epochs that are gone are forgotten."""
        if not self._unsaved:
            return
        held = self._source.last()
        if self._source.epochs:  # until capture's file has been read, nobody knows what it holds
            self._records.forget_epochs(held)
            self._thumbnails.forget_epochs(held)
        records, pictures, nothing = self._records.committed, self._thumbnails.committed, RangeSet()
        released = {
            epoch: Released(
                records.get(epoch, nothing), _with(pictures.get(epoch, nothing), self._thumbnails.given_up(epoch))
            )
            for epoch in sorted(set(records) | set(pictures))
        }
        self._delivery.set_released(released, self._station_db)
        self._unsaved = False


def _with(committed: RangeSet, given_up: RangeSet) -> RangeSet:
    """Return what capture may drop: a thumbnail that can never be sent must not keep the ring from moving on."""
    found = committed.copy()
    for first, last in given_up:
        found.add(first, last)
    return found
