"""A cage's setup follows its seed, and its view maps millimetres to pixels and back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.simulate import CageSetup, View


@given(st.integers(0, 5000))
@settings(max_examples=60, deadline=None)
def test_nest_and_shelter_stand_inside_and_apart(seed: int) -> None:
    setup = CageSetup.from_seed(seed)
    assert setup == CageSetup.from_seed(seed)
    width, height = setup.field_mm
    assert (width, height) == (240.0, 180.0)
    for x, y in (setup.nest_mm, setup.shelter_mm):
        assert 20 < x < width - 20
        assert 20 < y < height - 20
    assert np.hypot(*np.subtract(setup.nest_mm, setup.shelter_mm)) > 40


def test_the_same_seed_at_another_scale_is_the_same_cage() -> None:
    one = CageSetup.from_seed(7)
    other = CageSetup.from_seed(7, width_px=1600, height_px=1200, px_per_mm=1600 / 240)
    assert np.allclose((*one.nest_mm, *one.shelter_mm), (*other.nest_mm, *other.shelter_mm))
    assert (one.bedding, one.shelter, one.lamp_direction) == (other.bedding, other.shelter, other.lamp_direction)


@given(
    x=st.floats(-50, 300),
    y=st.floats(-50, 250),
    dx=st.floats(-30, 30),
    dy=st.floats(-30, 30),
    angle=st.floats(-180, 180),
)
def test_a_view_can_be_inverted(x: float, y: float, dx: float, dy: float, angle: float) -> None:
    view = View(960, 720, 4.0, (dx, dy), angle)
    place = np.array([x, y], np.float32)
    assert np.allclose(view.to_mm(view.to_px(place)), place, atol=1e-2)


def test_an_undisturbed_view_is_a_plain_scale() -> None:
    assert View(960, 720, 4.0).to_px(np.array([10.0, 20.0], np.float32)).tolist() == [40.0, 80.0]
