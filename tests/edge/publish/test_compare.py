"""Two histories under one epoch are told apart by their contents, and the place where they part is found exactly."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contract.delivery import MAX_ASKED, Committed, CommittedEpoch
from edge.contract.ranges import RangeSet
from edge.outbox.parting import Parting
from edge.outbox.reader import HeldEpoch
from edge.publish.compare import Comparison

EPOCH = "ab" * 16


def _digest(seq: int, common: int, whose: str) -> str:
    return hashlib.sha256(f"{seq} {'both' if seq <= common else whose}".encode()).hexdigest()


def _ask(common: int, mine: HeldEpoch, theirs: set[int]) -> tuple[Parting | None, int]:
    """Let device and station talk until the device asks nothing more; return what was found, and the rounds."""
    comparison, known, rounds = Comparison({}), {}, 0
    newest = max(theirs)
    while True:
        rounds += 1
        known[newest] = _digest(newest, common, "other")
        of = CommittedEpoch(epoch=EPOCH, through=newest, known=tuple(sorted(known.items())))
        message = Committed(station_db="db", epochs=(of,))
        claims = {EPOCH: RangeSet([(1, newest)])}

        def own(_epoch: str, seq: int) -> str | None:
            return _digest(seq, common, "mine") if mine.first_held <= seq <= mine.last else None

        found, refused = comparison.judge(message, [mine], own, claims, {EPOCH: RangeSet()})
        if found:
            return found[EPOCH], rounds
        if not refused:
            return None, rounds
        (question,) = comparison.questions()
        assert 1 <= len(question.seqs) <= MAX_ASKED
        known = {seq: _digest(seq, common, "other") if seq in theirs else "" for seq in question.seqs}


@settings(max_examples=300, deadline=None)
@given(
    common=st.integers(0, 5000),
    mine=st.integers(1, 3000),
    theirs=st.integers(1, 3000),
    dropped=st.integers(0, 4000),
    holes=st.sets(st.integers(1, 8000), max_size=40),
)
def test_the_first_record_of_ones_own_is_found_whoever_is_ahead(common, mine, theirs, dropped, holes):
    """Both have `common` records of one past; then each goes on alone. The station lacks some."""
    held = HeldEpoch(EPOCH, min(dropped, common) + 1, common + mine)
    stored = {seq for seq in range(1, common + theirs + 1) if seq not in holes} | {common + theirs}
    found, rounds = _ask(common, held, stored)
    assert found is not None
    # A number that the station does not hold cannot be compared; it is told anew rather than left out.
    unknown = held.last if found.first > held.last else common
    assert found.first <= common + 1
    assert all(seq not in stored for seq in range(found.first, unknown + 1) if seq >= held.first_held and seq <= common)
    assert rounds <= 6


@given(common=st.integers(1, 500), ahead=st.integers(0, 500))
def test_a_card_whose_records_the_station_holds_is_never_in_question(common, ahead):
    held = HeldEpoch(EPOCH, 1, common + ahead)
    assert _ask(common, held, set(range(1, common + 1))) == (None, 1)


def test_a_station_of_an_earlier_version_is_believed_as_before():
    comparison = Comparison({})
    message = Committed(station_db="db", epochs=(CommittedEpoch(epoch=EPOCH, through=9),))
    claims = {EPOCH: RangeSet([(1, 9)])}
    found, refused = comparison.judge(message, [HeldEpoch(EPOCH, 1, 9)], lambda *_: "x", claims, {EPOCH: RangeSet()})
    assert (found, refused, comparison.questions()) == ({}, set(), ())
    assert list(claims[EPOCH]) == [(1, 9)]


def test_after_a_parting_only_what_is_common_is_released():
    comparison = Comparison({EPOCH: Parting(6, 9)})
    of = CommittedEpoch(epoch=EPOCH, through=9, thumbnails_through=9)
    claims, pictures = {EPOCH: RangeSet([(1, 9)])}, {EPOCH: RangeSet([(1, 9)])}
    comparison.judge(
        Committed(station_db="db", epochs=(of,)), [HeldEpoch(EPOCH, 1, 5)], lambda *_: "x", claims, pictures
    )
    assert list(claims[EPOCH]) == list(pictures[EPOCH]) == [(1, 5)]
    comparison.look([HeldEpoch(EPOCH, 1, 7)])
    assert comparison.held_back == {EPOCH}, "capture has not moved the tail yet"
    comparison.look([HeldEpoch(EPOCH, 1, 5)])
    assert comparison.held_back == set()
