"""Columns go with the animals: least total distance, whatever the order in which animals are found."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.footage.tracks import Tracks, least_assignment

COORDINATE = st.floats(0, 1000, allow_nan=False)


@given(
    st.integers(1, 5).flatmap(
        lambda columns: st.lists(st.lists(COORDINATE, min_size=columns, max_size=columns), min_size=0, max_size=columns)
    )
)
def test_no_other_assignment_costs_less(costs: list[list[float]]) -> None:
    columns = least_assignment(costs)
    assert len(columns) == len(costs) == len(set(columns))
    total = sum(row[column] for row, column in zip(costs, columns, strict=True))
    every = itertools.permutations(range(len(costs[0])), len(costs)) if costs else [()]
    least = min(sum(row[column] for row, column in zip(costs, way, strict=True)) for way in every)
    assert total == pytest.approx(least)


def test_the_near_neighbour_gives_way_where_the_sum_is_less() -> None:
    """Both are nearest to column 0; greedy would leave the second with a far place."""
    assert least_assignment([[1, 2], [0, 10]]) == [1, 0]


@given(st.integers(1, 5), st.randoms(use_true_random=False), st.integers(2, 12))
def test_far_apart_animals_keep_their_columns_in_whatever_order_they_are_found(
    animals: int, rng: random.Random, frames: int
) -> None:
    """Places 200 px apart, steps of up to 15 px a frame, some animals missed now and then."""
    places = [(200.0 * n, 100.0 + 40 * n) for n in range(animals)]
    tracks = Tracks(animals, reach_px=60, memory=frames)
    columns: dict[int, int] = dict(enumerate(tracks.columns_of(places)))
    for _ in range(frames):
        places = [(x + rng.uniform(-6, 6), y + rng.uniform(-6, 6)) for x, y in places]
        seen = [number for number in range(animals) if rng.random() < 0.8]
        rng.shuffle(seen)
        assert tracks.columns_of([places[number] for number in seen]) == [columns[number] for number in seen]


def test_what_appears_out_of_reach_takes_a_free_column() -> None:
    tracks = Tracks(2, reach_px=50, memory=30)
    assert tracks.columns_of([(10, 10)]) == [0]
    assert tracks.columns_of([(500, 10)]) == [1]
    assert tracks.columns_of([(490, 10), (20, 10)]) == [1, 0]


def test_the_longer_an_animal_is_lost_the_further_it_is_looked_for() -> None:
    """It runs up to 50 px a frame: after four frames 190 px away may be the same animal, after two it may not."""
    for lost, column in ((1, 1), (3, 0)):
        tracks = Tracks(2, reach_px=50, memory=30)
        assert tracks.columns_of([(10, 10)]) == [0]
        for _ in range(lost):
            assert tracks.columns_of([]) == []
        assert tracks.columns_of([(200, 10)]) == [column]


def test_without_a_free_column_the_nearest_is_taken() -> None:
    tracks = Tracks(1, reach_px=50, memory=30)
    assert tracks.columns_of([(10, 10)]) == [0]
    assert tracks.columns_of([(500, 10)]) == [0]


@pytest.mark.parametrize(("away", "column"), [(3, 0), (4, 1)])
def test_a_lost_animal_keeps_its_last_place_for_so_many_frames(away: int, column: int) -> None:
    """What comes nearer to where it was is the lost one while that is remembered, then the other one."""
    tracks = Tracks(2, reach_px=250, memory=4)
    assert tracks.columns_of([(10, 10), (300, 10)]) == [0, 1]
    for _ in range(away):
        assert tracks.columns_of([(300, 10)]) == [1]
    assert tracks.columns_of([(100, 10)]) == [column]


def test_nothing_found_is_no_column() -> None:
    assert Tracks(3, reach_px=50, memory=30).columns_of([]) == []
