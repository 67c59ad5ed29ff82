"""Nothing is sent before the station has answered, but a station that never answers does not stop the sending."""

from __future__ import annotations

from edge.contract.delivery import Committed, CommittedEpoch
from edge.publish.answer import LONGEST_PATIENCE_S, PATIENCE_S, Answer

EPOCH, OTHER = "ab" * 16, "cd" * 16
DIGEST = "0" * 64


def _tell(*numbers: int, epoch: str = EPOCH) -> Committed:
    known = tuple((seq, "") for seq in sorted(numbers))
    return Committed(station_db="db", epochs=(CommittedEpoch(epoch=epoch, through=3, known=((3, DIGEST), *known)),))


def test_only_a_watermark_that_names_the_number_answers():
    answer = Answer()
    answer.ask(10.0)
    for stale in (_tell(), _tell(answer.number - 1), _tell(answer.number + 1)):
        for retained in (True, False):
            answer.take(stale, [EPOCH], retained)
            assert answer.awaited(11.0)
    answer.take(_tell(answer.number), [EPOCH, OTHER], False)
    assert not answer.awaited(11.0)


def test_each_asking_has_a_number_of_its_own():
    answer = Answer()
    answer.ask(1.0)
    first = answer.number
    answer.ask(2.0)
    assert answer.number != first
    answer.take(_tell(first), [EPOCH], False)
    assert answer.awaited(3.0)


def test_a_station_that_knows_nothing_of_the_card_answers_by_speaking_but_not_by_what_was_retained():
    answer = Answer()
    for message in (
        Committed(station_db="db", epochs=()),
        _tell(epoch=OTHER),
        Committed(station_db="db", epochs=(CommittedEpoch(epoch=EPOCH, through=3),)),
    ):
        answer.ask(1.0)
        answer.take(message, [EPOCH], True)
        assert answer.awaited(2.0)
        answer.take(message, [EPOCH], False)
        assert not answer.awaited(2.0)


def test_patience_ends_and_is_longer_with_a_station_that_told_digests():
    answer = Answer()
    answer.ask(0.0)
    assert answer.awaited(PATIENCE_S - 0.1)
    assert not answer.awaited(PATIENCE_S)
    answer.ask(20.0)
    assert not answer.awaited(20.0), "it did not answer the last time"
    answer.take(_tell(), [EPOCH], True)
    answer.ask(30.0)
    assert answer.awaited(30.0 + LONGEST_PATIENCE_S - 0.1)
    assert not answer.awaited(30.0 + LONGEST_PATIENCE_S)
