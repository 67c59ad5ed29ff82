"""Lost frames are found by their times, and nothing is taken for lost that is not."""

import itertools

import pytest

from edge.footage.order import FrameOrder


def played(order: FrameOrder, packets: list[tuple[int | None, bool]], shown: list[int | None]) -> list[object]:
    """Return frames and losses as they come: packets (time, refused) go in first, frames come out then."""
    found: list[object] = []
    for number, (pts, refused) in enumerate(packets):
        order.sent(pts, number, number == 0)
        if refused:
            order.refused(pts)
    for pts in shown:
        found += [("lost", one) for one in order.came(pts, False)]
        found.append(pts)
    return found + [("lost", one) for one in order.rest()]


def test_a_loss_stands_where_its_time_does() -> None:
    """Frames go in as they are coded, and come out as they are shown."""
    coded = [(0, False), (3, False), (1, False), (2, True), (5, True), (4, False)]
    assert played(FrameOrder(10), coded, [0, 1, 3, 4]) == [0, 1, ("lost", 2), 3, 4, ("lost", 5)]


@pytest.mark.parametrize("lost", [gone for n in (0, 1, 2, 6) for gone in itertools.combinations(range(6), n)])
def test_every_frame_has_one_place_whatever_is_lost(lost: tuple[int, ...]) -> None:
    packets = [(time, time in lost) for time in (0, 3, 1, 2, 5, 4)]
    found = played(FrameOrder(10), packets, [time for time in range(6) if time not in lost])
    assert [one[1] if isinstance(one, tuple) else one for one in found] == list(range(6))


def test_without_times_a_refused_packet_is_one_loss() -> None:
    order = FrameOrder(10)
    found: list[object] = []
    for number, refused in enumerate((False, True, False)):
        order.sent(None, None, number == 0)
        if refused:
            order.refused(None)
        else:
            found += [*order.came(None, False), number]
    assert found + order.rest() == [0, None, 2]


def test_times_of_another_clock_are_no_losses() -> None:
    """A decoder whose frames have none of the packets' times has lost nothing."""
    packets = [(time, False) for time in range(5)]
    assert played(FrameOrder(10), packets, [100, 101, 102, 103, 104]) == [100, 101, 102, 103, 104]


def test_a_clock_that_jumps_back_begins_anew() -> None:
    """As in recordings that were strung together; both stretches have a frame at 1000."""
    order = FrameOrder(10)
    found: list[object] = []
    for number, pts in enumerate((1000, 1001, 1002, 0, 1000, 1001)):
        order.sent(pts, pts, number == 0)
        found += [*order.came(pts, False), pts]
    assert found + order.rest() == [1000, 1001, 1002, 0, 1000, 1001]


def test_the_second_field_of_an_interlaced_frame_is_no_loss() -> None:
    order = FrameOrder(50)
    found: list[object] = []
    for pts in range(0, 12, 2):
        order.sent(pts, pts, pts == 0)
        found += [*order.came(pts, True), pts]
        order.sent(pts + 1, pts + 1, False)
    assert found == [0, 2, 4, 6, 8, 10]


def test_what_comes_before_the_first_whole_picture_is_no_frame() -> None:
    """A recording cut in the middle begins with packets that refer to what is not there."""
    order = FrameOrder(10)
    for pts in (0, 1, 2):
        order.sent(pts, pts, False)
        order.refused(pts)
    order.sent(3, 3, True)
    assert order.came(3, False) == []
    assert order.rest() == []
