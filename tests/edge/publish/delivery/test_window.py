"""The in-flight window: its laws."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.contract.ranges import RangeSet
from edge.publish.delivery.window import Held, InFlightWindow

EPOCH = "e" * 32
steps = st.lists(
    st.tuples(st.sampled_from(["append", "ack", "commit", "lose", "tick", "station"]), st.integers(0, 30)), max_size=80
)


@given(limit=st.integers(1, 8), script=steps)
def test_at_most_the_limit_is_in_flight_nothing_committed_is_sent_and_in_the_end_all_was_sent(limit, script):
    window = InFlightWindow(limit, 10.0, lambda: 1.0)
    last, now_s, online = 0, 0.0, True
    done = {EPOCH: RangeSet()}
    sent: set[int] = set()

    def turn() -> None:
        newest = (EPOCH, last) if last else None
        held = [Held(EPOCH, 1, last)] if last else []
        for key in window.choose(held, done, newest=newest, station_online=online, now_s=now_s):
            assert key[1] not in done[EPOCH]
            before = window.in_flight.get(key)
            assert before is None or (before.acked and online and before.resend_at_s <= now_s)
            window.sent(key, now_s)
            sent.add(key[1])
        assert len(window.in_flight) <= limit
        assert newest is None or last in sent, "the newest reading always passes"

    for what, number in script:
        if what == "append":
            last += 1
        elif what == "ack" and window.in_flight:
            window.acked(sorted(window.in_flight)[number % len(window.in_flight)])
        elif what == "commit" and sent:
            done[EPOCH].add(sorted(sent)[number % len(sent)])
            window.settle(done)
        elif what == "lose":
            window.lose_connection()
        elif what == "tick":
            now_s += number
        elif what == "station":
            online = not online
        turn()
    online = True
    for _ in range(2 * last + 1):
        now_s += 1000.0
        turn()
        for key in list(window.in_flight):
            window.acked(key)
            done[EPOCH].add(key[1])
        window.settle(done)
    assert sent == set(range(1, last + 1))
    assert done[EPOCH].count() == last


def test_what_is_acknowledged_but_not_committed_is_sent_again_later_and_later_and_only_to_a_station():
    window = InFlightWindow(5, 10.0, lambda: 1.0)
    held, done, now_s, times = [Held(EPOCH, 1, 1)], {}, 0.0, []
    while now_s < 100:
        for key in window.choose(held, done, newest=None, station_online=True, now_s=now_s):
            times.append(now_s)
            window.sent(key, now_s)
            window.acked(key)
        now_s += 1
    assert times == [0, 10, 30, 70]
    assert window.choose(held, done, newest=None, station_online=False, now_s=1e6) == []


def test_a_watermark_that_went_back_opens_the_ring_again():
    window = InFlightWindow(5, 10.0, lambda: 1.0)
    held = [Held(EPOCH, 1, 3)]
    full = {EPOCH: RangeSet([(1, 3)])}
    assert window.choose(held, full, newest=(EPOCH, 3), station_online=True, now_s=0) == []
    assert len(window.choose(held, {}, newest=(EPOCH, 3), station_online=True, now_s=0)) == 3


def test_what_was_appended_since_the_connection_goes_before_the_backlog_and_all_of_it_not_only_the_newest():
    window = InFlightWindow(4, 10.0, lambda: 1.0)
    done = {EPOCH: RangeSet()}
    first = window.choose([Held(EPOCH, 1, 900)], done, newest=None, station_online=True, now_s=0)
    assert [seq for _, seq in first] == [1, 2, 3, 4]
    for key in first:
        window.sent(key, 0)
        window.acked(key)
    done[EPOCH].add(1, 3)
    window.settle(done)
    chosen = window.choose(
        [Held(EPOCH, 1, 902)],
        done,
        newest=(EPOCH, 902),
        station_online=True,
        now_s=0.2,
        fresh_above={EPOCH: 900},
    )
    assert [seq for _, seq in chosen] == [901, 902, 5]


def test_a_record_that_later_ones_have_overtaken_is_sent_again_soon():
    window = InFlightWindow(5, 100.0, lambda: 1.0)
    held, done = [Held(EPOCH, 1, 4)], {EPOCH: RangeSet()}
    for key in window.choose(held, done, newest=None, station_online=True, now_s=0):
        window.sent(key, 0)
        window.acked(key)
    done[EPOCH].add(1)
    done[EPOCH].add(3)
    window.settle(done)
    assert window.choose(held, done, newest=None, station_online=True, now_s=5) == []
    assert window.choose(held, done, newest=None, station_online=True, now_s=6.1) == [(EPOCH, 2)], "4 is on its way"


@given(limit=st.integers(1, 20), every=st.integers(1, 4), backlog=st.integers(0, 400), fresh=st.integers(0, 60))
def test_a_watermark_that_cannot_name_all_holes_stops_nothing(limit, every, backlog, fresh):
    """Only every so many records have a picture; what came since the connection goes first and cannot be confirmed."""
    last = backlog + fresh
    window, stored = InFlightWindow(limit, 2.0, lambda: 1.0), RangeSet()
    for seq in range(1, last + 1):
        if seq % every:
            stored.add(seq)
    held, now_s = [Held(EPOCH, 1, last)], 0.0
    for _ in range(4 * last + 20):
        done = {EPOCH: RangeSet.from_watermark(*stored.watermark(3))}
        window.settle(done)
        if done[EPOCH].count() == last:
            break
        for key in window.choose(
            held, done, newest=None, station_online=True, now_s=now_s, fresh_above={EPOCH: backlog}
        ):
            window.sent(key, now_s)
            window.acked(key)
            stored.add(key[1])
        assert len(window.in_flight) <= limit + max(1, limit // 2)
        now_s += 0.25
    assert stored.count() == last


def test_what_no_watermark_can_confirm_leaves_room_for_what_it_waits_for():
    window, done = InFlightWindow(4, 2.0, lambda: 1.0), {EPOCH: RangeSet()}
    held, above = [Held(EPOCH, 1, 100)], {EPOCH: 90}

    def turn() -> list[int]:
        keys = window.choose(held, done, newest=None, station_online=False, now_s=0.0, fresh_above=above)
        for key in keys:
            window.sent(key, 0.0)
        return [seq for _, seq in keys]

    assert turn() == [91, 92, 1, 2]
    done[EPOCH].add(1, 2)
    window.settle(done)
    above[EPOCH] = 100  # the station came back: 91 and 92 are in flight, and still nobody can confirm them
    assert turn() == [3, 4]
    done[EPOCH].add(3, 4)
    window.settle(done)
    assert turn() == [5, 6]
