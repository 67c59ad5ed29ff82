"""What waits after a refusal: never given up, longer each time, due again at the latest after a day."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.contract.ranges import RangeSet
from edge.publish.delivery.refused import IN_A_ROW, REPORT_AT, Refusals
from edge.publish.delivery.stream import Stream
from edge.publish.delivery.window import Held, Key

EPOCH = "ab" * 16
DAY_S = 86_400.0


def choose(stream: Stream, last: int, now_s: float) -> list[Key]:
    """Return what a stream that holds 1..last sends now, and note it as handed over."""
    found = stream.choose([Held(EPOCH, 1, last)], (EPOCH, last), station_online=True, now_s=now_s)
    for key in found:
        stream.window.sent(key, now_s)
    return found


def stream() -> Stream:
    return Stream("record", 100, 10.0, lambda: 1.0)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["refuse", "alone", "large", "take"]), st.integers(1, 6), st.floats(0, 2 * DAY_S))
    ),
    jitter=st.floats(0.5, 1.5),
)
def test_whatever_was_refused_is_due_again_within_a_day_and_on_a_connection_that_takes_it(steps, jitter):
    refusals, now_s, refused = Refusals(lambda: jitter), 0.0, set[int]()
    for what, seq, pause_s in steps:
        now_s += pause_s
        refusals.wake(now_s)
        if what == "take":
            refusals.note_taken((EPOCH, seq))
            refused.discard(seq)
        else:
            if what == "refuse":
                refusals.refuse((EPOCH, seq), "no", now_s)
            elif what == "alone":
                refusals.end_alone((EPOCH, seq), now_s)
            else:
                refusals.note_too_large((EPOCH, seq), 1000)
            refused.add(seq)
            assert seq in refusals.passed_over(EPOCH)
    refusals.connect(lambda size: size <= 1000)
    refusals.wake(now_s + DAY_S)
    assert not refusals.passed_over(EPOCH), "nothing waits longer than a day"


def test_a_refused_record_waits_fourfold_longer_each_time_and_the_others_go():
    one = stream()
    assert choose(one, 3, 0.0) == [(EPOCH, 1), (EPOCH, 2), (EPOCH, 3)]
    for key in ((EPOCH, 2), (EPOCH, 3)):
        one.taken(key)
    times, now_s = [], 0.0
    one.refused((EPOCH, 1), "no", now_s)
    for _ in range(5):
        while not (found := choose(one, 3, now_s)) or (EPOCH, 1) not in found:
            now_s += 0.5
        times.append(now_s)
        one.taken((EPOCH, 2))
        one.refused((EPOCH, 1), "no", now_s)
    waits = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    assert waits == [1.0, 4.0, 16.0, 64.0, 256.0]


def test_a_broker_that_refuses_everything_is_asked_with_one_and_then_gets_all_at_once():
    one = stream()
    for key in choose(one, 50, 0.0):
        assert not one.refused(key, "no", 0.0), "no report: nothing is taken, so no record is at fault"
    asked, now_s = 0, 0.0
    while now_s < 300.0:
        now_s += 0.25
        found = choose(one, 60, now_s)
        assert len(found) <= 1
        asked += len(found)
        for key in found:
            one.refused(key, "no", now_s)
    assert 1 <= asked <= 12, "five minutes of refusals cost few messages"
    while not (found := choose(one, 60, now_s)):
        now_s += 1.0
    one.taken(found[0])
    sent = {*found, *choose(one, 60, now_s)}
    assert sent == {(EPOCH, seq) for seq in range(1, 61)}


def test_one_record_at_fault_is_reported_once_where_others_are_taken():
    one, reports = stream(), 0
    for _ in range(3 * REPORT_AT):
        one.taken((EPOCH, 2))
        reports += one.refused((EPOCH, 1), "no", 0.0)
    assert reports == 1


def test_a_record_that_ends_connections_waits_while_the_others_go_and_a_restart_remembers_it():
    one = stream()
    choose(one, 3, 0.0)
    one.lose_connection(suspicious=True, now_s=0.0)
    now_s, gone = 1.0, set()
    for _ in range(20):
        now_s += 0.5
        for key in choose(one, 3, now_s):
            if key[1] == 1:
                one.lose_connection(suspicious=True, now_s=now_s)
                one.connected(lambda _size: True)
            else:
                one.taken(key)
                gone.add(key[1])
    assert gone == {2, 3}
    again = stream()
    again.restore_suspects(one.suspected(), now_s)
    found = choose(again, 4, now_s)
    assert found == [(EPOCH, 2), (EPOCH, 3), (EPOCH, 4)]
    for key in found:
        again.taken(key)
    assert choose(again, 4, now_s + DAY_S) == [(EPOCH, 1)], "alone, once its time has come"


def test_what_was_too_large_goes_when_a_connection_allows_it():
    one = stream()
    choose(one, 2, 0.0)
    one.too_large((EPOCH, 1), 5000)
    one.connected(lambda size: size <= 4000)
    assert (EPOCH, 1) not in choose(one, 2, 100.0)
    assert one.refusals.count() == 1
    one.connected(lambda size: size <= 6000)
    assert (EPOCH, 1) in choose(one, 2, 200.0)
    one.too_large((EPOCH, 1), 5000)
    one.note_committed({EPOCH: RangeSet([(1, 2)])})
    assert one.refusals.count() == 0
    assert one.refusals.reasons() == [], "what is delivered is no reason any more"


def test_a_record_that_had_to_go_alone_and_is_too_large_now_holds_nobody_up():
    one = stream()
    choose(one, 1, 0.0)
    one.lose_connection(suspicious=True, now_s=0.0)
    assert choose(one, 2, 1.0) == [(EPOCH, 1)], "alone, when its time has come"
    one.too_large((EPOCH, 1), 5000)
    assert choose(one, 2, 2.0) == [(EPOCH, 2)]


def test_a_general_refusal_begins_with_a_few_in_a_row():
    refusals = Refusals(lambda: 1.0)
    for seq in range(1, IN_A_ROW):
        refusals.refuse((EPOCH, seq), "no", 0.0)
    assert not refusals.general
    refusals.refuse((EPOCH, IN_A_ROW), "no", 0.0)
    assert refusals.general
