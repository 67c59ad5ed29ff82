"""How connections end: counted by kind, tried again later and later, and a second client of the name is suspected."""

from __future__ import annotations

from edge.publish.ended import TAKEN_OVER, Ended
from edge.publish.reconnect import LAST_RETRY_S, Reconnects


def test_two_clients_that_take_the_connection_from_each_other_are_suspected_though_nobody_says_so():
    reconnects, now_s, named = Reconnects(), 0.0, []
    for number in range(8):  # each lives as long as the other one backs off
        now_s += min(LAST_RETRY_S, 0.5 * 2**number)
        named.append(reconnects.ended(Ended("reset", "broken"), min(LAST_RETRY_S, 0.5 * 2**number), now_s))
    assert named.index(True) == 4
    assert sum(named) == 1, "it is not said again at once"


def test_a_broker_that_says_so_is_believed_the_second_time():
    reconnects = Reconnects()
    assert [reconnects.ended(Ended("taken", "broken", TAKEN_OVER), 100.0, 100.0 * n) for n in range(3)] == [
        False,
        True,
        False,
    ]


def test_a_network_that_falls_silent_or_is_not_there_raises_no_suspicion_and_is_counted():
    reconnects = Reconnects()
    assert not any(reconnects.ended(Ended("silent", "silent"), 1.0, 1.0 * n) for n in range(20))
    assert not any(reconnects.ended(Ended("refused", "refused"), None, 30.0 + n) for n in range(20))
    reconnects.unreachable(60.0)
    assert reconnects.counts == {"refused": 20, "silent": 20, "unreachable": 1}


def test_the_next_attempt_waits_longer_until_a_connection_has_lived():
    reconnects = Reconnects()
    assert reconnects.due(0.0)
    for _ in range(10):
        reconnects.unreachable(0.0)
    assert not reconnects.due(5.0)
    assert reconnects.due(2 * LAST_RETRY_S)
    reconnects.lives(60.0)
    reconnects.unreachable(100.0)
    assert reconnects.due(101.0)
