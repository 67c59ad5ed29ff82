"""Simulated mice sleep in the nest by day and are about at night."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.simulate import CageSetup, activity_share_at, draw_activity

SETUP = CageSetup.from_seed(3)


@given(st.integers(-480, 720).map(lambda tenths: tenths / 10 + 0.01))
def test_the_active_share_is_a_share_and_repeats_every_day(hour: float) -> None:
    assert 0.0 < activity_share_at(hour) < 1.0
    assert abs(activity_share_at(hour) - activity_share_at(hour + 24.0)) < 1e-9


def test_mice_are_mostly_in_the_nest_in_the_light_and_out_in_the_dark() -> None:
    rng = np.random.default_rng(1)
    share = {}
    for hour in (6.0, 14.0):
        placements = [placement for _ in range(300) for placement in draw_activity(rng, SETUP, 1, hour).placements]
        share[hour] = np.mean([placement.in_nest for placement in placements])
    assert share[6.0] > 0.6
    assert share[14.0] < 0.3


def test_several_sleepers_huddle_and_one_alone_curls_up() -> None:
    rng = np.random.default_rng(2)
    asleep = [
        {placement.posture for placement in draw_activity(rng, SETUP, count, 6.0).placements} & {"curled", "huddled"}
        for count in (1, 1, 1, 1, 1, 1)
    ]
    assert set().union(*asleep) == {"curled"}
    several = [placement.posture for _ in range(50) for placement in draw_activity(rng, SETUP, 5, 6.0).placements]
    assert several.count("huddled") > several.count("curled")


@given(seed=st.integers(0, 1000), count=st.integers(0, 5), hour=st.floats(0, 24))
def test_every_place_heading_and_bend_is_settled(seed: int, count: int, hour: float) -> None:
    activity = draw_activity(np.random.default_rng(seed), SETUP, count, hour)
    assert len(activity.placements) == count
    for placement in activity.placements:
        assert placement.position_mm is not None
        assert placement.heading_rad is not None
        assert placement.bend is not None
        assert -1.0 <= placement.bend <= 1.0
