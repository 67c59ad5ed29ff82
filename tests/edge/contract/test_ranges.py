"""A set of ranges behaves as the set of numbers that it stands for."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.ranges import RangeSet

pairs = st.tuples(st.integers(1, 60), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(st.lists(pairs, max_size=20))
def test_it_holds_what_was_added_and_nothing_else(ranges: list[tuple[int, int]]) -> None:
    found, expected = RangeSet(ranges), numbers(ranges)
    assert numbers(list(found)) == expected
    assert found.count() == len(expected)
    assert bool(found) == bool(expected)
    assert all((number in found) == (number in expected) for number in range(72))


@given(st.lists(pairs, max_size=20))
def test_ranges_are_sorted_disjoint_and_never_adjacent(ranges: list[tuple[int, int]]) -> None:
    found = list(RangeSet(ranges))
    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))


@given(st.lists(pairs, max_size=20), st.integers(0, 4))
def test_a_watermark_never_claims_what_is_not_there(ranges: list[tuple[int, int]], cap: int) -> None:
    found = RangeSet(ranges)
    through, holes = found.watermark(cap)
    assert len(holes) <= cap
    assert numbers(list(RangeSet.from_watermark(through, holes))) <= numbers(ranges)


@given(st.lists(pairs, max_size=20))
def test_a_watermark_with_room_for_all_holes_says_everything(ranges: list[tuple[int, int]]) -> None:
    assert RangeSet.from_watermark(*RangeSet(ranges).watermark(1000)) == RangeSet(ranges)


@given(st.integers(0, 60), st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), max_size=8))
def test_a_hole_is_never_released_however_the_holes_lie(through: int, drawn: list[tuple[int, int]]) -> None:
    holes = [(first, first + length) for first, length in drawn]
    missing = {number for first, last in holes for number in range(first, last + 1)}
    found = RangeSet.from_watermark(through, holes)
    assert {number for number in range(1, 200) if number in found} == set(range(1, through + 1)) - missing


def test_a_hole_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match=r"5\.\.3"):
        RangeSet.from_watermark(9, [(5, 3)])


@given(st.lists(pairs, max_size=20), pairs)
def test_what_is_missing_are_the_numbers_that_are_not_there(
    ranges: list[tuple[int, int]], asked: tuple[int, int]
) -> None:
    assert numbers(RangeSet(ranges).missing(*asked)) == set(range(asked[0], asked[1] + 1)) - numbers(ranges)


@given(st.lists(pairs, max_size=20))
def test_a_copy_is_another_set_with_the_same_numbers(ranges: list[tuple[int, int]]) -> None:
    found = RangeSet(ranges)
    copy = found.copy()
    copy.add(1000)
    assert found == RangeSet(ranges)
    assert copy == RangeSet([*ranges, (1000, 1000)])


def test_a_range_of_all_numbers_costs_no_more_than_one_of_three() -> None:
    whole = RangeSet([(1, 2**53 - 1)])
    assert list(whole) == [(1, 2**53 - 1)]
    assert whole.count() == 2**53 - 1
    assert whole.missing(1, 2**53 - 1) == []
    assert list(RangeSet(whole).up_to(2**52)) == [(1, 2**52)]
