"""`info` names few epochs of many, always those that matter, and each of the others in its turn."""

from __future__ import annotations

from edge.contract.status import MAX_EPOCHS_IN_INFO
from edge.outbox.reader import HeldEpoch
from edge.publish.delivery.naming import UNCONFIRMED, Naming


def held(count: int, prefix: str = "a") -> list[HeldEpoch]:
    return [HeldEpoch(f"{prefix}{number}", 1, 3) for number in range(count)]


def names(naming: Naming, capture: list[HeldEpoch], own: list[HeldEpoch], confirmed=lambda _of: True) -> list[str]:
    return [one.held.epoch for one in naming.choose({"capture": capture, "publish": own}, confirmed)]


def test_few_epochs_are_all_named_in_their_order():
    naming = Naming()
    naming.begin()
    assert names(naming, held(20), held(5, "b")) == [f"a{n}" for n in range(20)] + [f"b{n}" for n in range(5)]
    assert not naming.answered([f"a{n}" for n in range(20)] + [f"b{n}" for n in range(5)]), "there are no others"


def test_thousands_take_turns_as_fast_as_the_station_answers_and_the_important_ones_are_always_there():
    naming, capture, own = Naming(), held(2_000), held(3, "b")
    naming.begin()
    confirmed = lambda of: int(of.epoch[1:]) >= 100  # noqa: E731
    seen: set[str] = set()
    for _ in range(2_003 // (MAX_EPOCHS_IN_INFO - UNCONFIRMED - 2) + 1):
        named = names(naming, capture, own, confirmed)
        assert len(named) == MAX_EPOCHS_IN_INFO
        assert {"a1999", "b2", *(f"a{n}" for n in range(UNCONFIRMED))} <= set(named)
        seen.update(named)
        assert not naming.answered(named[1:]), "one of them was not answered"
        if not naming.answered(named):
            break
    assert len(seen) == 2_003


def test_without_an_answer_they_take_turns_too():
    naming, capture = Naming(), held(1000)
    seen: set[str] = set()
    for _ in range(20):
        seen.update(names(naming, capture, []))
        naming.turn()
    assert len(seen) == 1000


def test_epochs_without_records_are_not_named_but_for_the_one_that_is_written_now():
    capture = [HeldEpoch("gone", 4, 3), HeldEpoch("here", 2, 3), HeldEpoch("now", 1, 0)]
    assert names(Naming(), capture, []) == ["here", "now"]
