"""What the releasing station claims to have, as far as it can be believed, and where capture's retention reads it."""

from __future__ import annotations

from edge.contract.delivery import Committed
from edge.contract.ranges import RangeSet
from edge.contract.status import Question
from edge.outbox.delivery import Delivery
from edge.outbox.watermarks import Released
from edge.publish.compare import Comparison
from edge.publish.delivery.source import Shelf
from edge.publish.delivery.stream import Stream
from edge.publish.delivery.window import Key
from edge.publish.log import Journal


class Claims:
    """The watermarks of both streams. A card that was copied or set back is told by them, and loses nothing by it."""

    def __init__(self, shelf: Shelf, records: Stream, thumbnails: Stream, delivery: Delivery, journal: Journal) -> None:
        """Begin where `delivery.db` says that the last process ended."""
        self._comparison = Comparison(delivery.partings())
        self._shelf, self._records, self._thumbnails = shelf, records, thumbnails
        self._delivery, self._journal = delivery, journal
        self._station_db = delivery.station_db or ""
        self._beyond: dict[str, Released] = {}
        self._unsaved = False
        released = delivery.released()
        records.set_committed({epoch: held.records for epoch, held in released.items()})
        thumbnails.set_committed({epoch: held.thumbnails for epoch, held in released.items()})

    def take(self, message: Committed) -> None:
        """Take in the releasing station's watermark."""
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
            self._keep(epoch, records, pictures)
        self._records.set_committed(records)
        self._thumbnails.set_committed(pictures)
        self._unsaved = True

    def commit(self, stream: Stream, key: Key) -> None:
        """Count one record as delivered, where the broker's word is all there is."""
        stream.commit(key)
        self._unsaved = True

    def beyond(self, epoch: str) -> bool:
        """Return whether the station claims more of that epoch than this card has, so that it can confirm no more."""
        return epoch in self._beyond

    def held_back(self) -> set[str]:
        """Return the epochs of which nothing may be sent before two histories are told apart."""
        self._comparison.look(self._shelf.all_epochs())
        return self._comparison.held_back

    def questions(self) -> tuple[Question, ...]:
        """Return what the station is to be asked to tell two histories apart."""
        return self._comparison.questions()

    def unreleased(self) -> int:
        """Return how many records are held that nobody else has."""
        count = 0
        for held in self._shelf.epochs:
            committed = self._records.committed.get(held.epoch, RangeSet())
            below = sum(
                min(last, held.last) - max(first, held.first_held) + 1
                for first, last in committed
                if last >= held.first_held and first <= held.last
            )
            count += held.last - held.first_held + 1 - below
        return max(0, count)

    def save(self) -> None:
        """Write the watermarks where capture's retention reads them."""
        if not self._unsaved:
            return
        records, pictures, nothing = self._records.committed, self._thumbnails.committed, RangeSet()
        released = {
            epoch: Released(records.get(epoch, nothing), pictures.get(epoch, nothing))
            for epoch in set(records) | set(pictures)
        }
        self._delivery.set_released(released | self._beyond, self._station_db)
        self._unsaved = False

    def _compare(self, message: Committed, records: dict[str, RangeSet], pictures: dict[str, RangeSet]) -> set[str]:
        """Find another history under one of this card's epochs; return the epochs of which no claim is taken now."""

        def digest(epoch: str, seq: int) -> str | None:
            row = self._shelf.row((epoch, seq))
            return None if row is None else row.digest

        before = self.held_back()
        found, refused = self._comparison.judge(message, self._shelf.all_epochs(), digest, records, pictures)
        for epoch, parting in found.items():
            self._delivery.part(epoch, parting)
            self._comparison.settle(epoch, parting)
            self._journal.say(
                f"restored {epoch}",
                f"mqtt: the station holds another history of epoch {epoch[:8]} (seen at {parting.seen}), this card's "
                f"own begins at {parting.first}: a copied card, or an older copy put back? It goes on under a new "
                "epoch; nothing is lost",
            )
        for epoch in self._comparison.held_back - before:
            self._records.hold_back(epoch)
            self._thumbnails.hold_back(epoch)
        for epoch in refused:  # cannot be judged by its numbers either
            records.pop(epoch), pictures.pop(epoch)
        return refused

    def _doubt(self, records: dict[str, RangeSet], pictures: dict[str, RangeSet]) -> None:
        """Take no claim for what a restored card has written anew under numbers that the station had before.

        A claim beyond the last number says that the card was set back. What it has held since is sent once; the station
        keeps another content under a known number as a conflict. Capture begins a new epoch when it reads the claim.
        """
        last = self._shelf.last()
        for epoch in [epoch for epoch, claim in records.items() if claim.highest > last.get(epoch, claim.highest)]:
            self._beyond[epoch] = Released(records[epoch], pictures[epoch])
            self._keep(epoch, records, pictures)
            self._journal.say(
                f"restored {epoch}",
                f"mqtt: the station holds records of epoch {epoch[:8]} up to {self._beyond[epoch].claimed}, this card "
                f"{last[epoch]}: was an older copy of the card put back? What it holds is sent; a new epoch begins",
            )

    def _keep(self, epoch: str, records: dict[str, RangeSet], pictures: dict[str, RangeSet]) -> None:
        """Let the epoch's claims be what they were before this message."""
        records[epoch] = self._records.committed.get(epoch, RangeSet())
        pictures[epoch] = self._thumbnails.committed.get(epoch, RangeSet())
