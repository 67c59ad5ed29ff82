"""Whether the station's records are this card's own: by the digests that it tells with its watermark.

A copied or restored card goes on under numbers that the station holds already, or will be sent by the other copy. Two
histories that agree at one number agree below it, so a search among 64 numbers at a time finds where they part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from edge.contract.delivery import MAX_ASKED, Committed
from edge.contract.ranges import RangeSet
from edge.contract.status import Question
from edge.outbox.parting import Parting
from edge.outbox.reader import HeldEpoch

Digest = Callable[[str, int], str | None]
ByEpoch = dict[str, RangeSet]


class Search:
    """Of one epoch: `agreed`, below which all is common (itself included), `differs`, from which on nothing is."""

    def __init__(self, agreed: int, differs: int) -> None:
        """Begin between the two."""
        self.agreed, self.differs, self.seen = agreed, differs, differs
        self._silent: set[int] = set()

    def learn(self, known: Mapping[int, str], digest: Callable[[int], str | None]) -> None:
        """Take in the station's digests; a number that one side does not hold says nothing."""
        for seq in sorted(known):
            own = digest(seq) if self.agreed < seq < self.differs else None
            if own is None or known[seq] == "":
                self._silent.add(seq)
            elif own == known[seq]:
                self.agreed = seq
            else:
                self.differs = seq
                break

    def numbers(self) -> tuple[int, ...]:
        """Return up to 63 numbers to ask for next, spread over what is open; none when the place is found."""
        open_ = [seq for seq in range(self.agreed + 1, self.differs) if seq not in self._silent]
        step = max(1, -(-len(open_) // (MAX_ASKED - 1)))  # one is left for `Answer`
        # The last one first: where nothing differs but the end, one answer is enough.
        return tuple(sorted(open_[::-1][::step]))


class Comparison:
    """Of all epochs. `partings` are found and told; an epoch in `held_back` is neither sent nor released."""

    def __init__(self, partings: Mapping[str, Parting]) -> None:
        """Take up what an earlier process found."""
        self.partings = dict(partings)
        self._searches: dict[str, Search] = {}
        self._unmoved: set[str] = set()

    @property
    def held_back(self) -> set[str]:
        """The epochs in question, and those whose tail is still to be moved."""
        return set(self._searches) | self._unmoved

    def questions(self) -> tuple[Question, ...]:
        """Return what the station is to be asked."""
        found = ((epoch, search.numbers()) for epoch, search in sorted(self._searches.items()))
        return tuple(Question(epoch=epoch, seqs=seqs) for epoch, seqs in found if seqs)

    def look(self, held: list[HeldEpoch]) -> None:
        """Take in how far each epoch goes: one whose tail was moved is in order again."""
        last = {of.epoch: of.last for of in held}
        self._unmoved = {epoch for epoch, (first, _) in self.partings.items() if last.get(epoch, 0) >= first}

    def judge(
        self, message: Committed, held: list[HeldEpoch], digest: Digest, records: ByEpoch, pictures: ByEpoch
    ) -> tuple[dict[str, Parting], set[str]]:
        """Return the partings that this message completes, and the epochs of which no claim may be taken.

        A claim on an epoch that parted in the past is cut, in place, to what is common.
        """
        found: dict[str, Parting] = {}
        refused: set[str] = set()
        by_epoch = {of.epoch: of for of in held}
        for of in message.epochs:
            mine = by_epoch.get(of.epoch)
            if mine is None:
                continue
            if of.epoch in self.partings:
                common = self.partings[of.epoch].first - 1
                records[of.epoch] = records[of.epoch].up_to(common)
                pictures[of.epoch] = pictures[of.epoch].up_to(common)
                continue
            if isinstance(of.known, msgspec.UnsetType):  # a station of an earlier version
                self._searches.pop(of.epoch, None)
                continue
            known = dict(of.known)
            search = self._searches.get(of.epoch) or _begin(mine, known, records[of.epoch].highest, digest)
            if search is None:
                continue
            refused.add(of.epoch)
            self._searches[of.epoch] = search
            search.learn(known, lambda seq, epoch=of.epoch: digest(epoch, seq))  # type: ignore[misc]
            if not search.numbers():
                found[of.epoch] = Parting(search.agreed + 1, search.seen)
        return found, refused

    def settle(self, epoch: str, parting: Parting) -> None:
        """Count a parting as told."""
        self.partings[epoch] = parting
        self._searches.pop(epoch, None)
        self._unmoved.add(epoch)


def _begin(mine: HeldEpoch, known: Mapping[int, str], claimed: int, digest: Digest) -> Search | None:
    """Return a search where the station holds more than this card, or another record; None where they agree."""
    newest = max((seq for seq, told in known.items() if told), default=0)
    search = Search(mine.first_held - 1, mine.last + 1)
    search.seen = claimed
    if newest > mine.last or claimed > mine.last:
        return search
    own = digest(mine.epoch, newest) if newest >= mine.first_held else None
    if own is None or own == known[newest]:
        return None
    search.seen = search.differs = newest
    return search
