"""A cut and its affine map invert each other, and show what they say they show."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.bundle.bundle import Bundle
from edge.vision.preprocess import age_input, centres_input, parts_input, small_view, to_int8

PICTURE = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
inside_x, inside_y = st.floats(0, 640), st.floats(0, 480)
SCALES = st.floats(0.5, 12)


@given(x=inside_x, y=inside_y, scale=SCALES, u=st.floats(-50, 150), v=st.floats(-50, 150))
def test_a_parts_crop_maps_to_the_picture_and_back(tiny_bundle: Bundle, x, y, scale, u, v) -> None:
    crop = parts_input(PICTURE, (x, y), scale, tiny_bundle.manifest.parts)
    assert math.dist(crop.point_in_crop(*crop.point_in_main(u, v)), (u, v)) < 1e-6


@given(x0=inside_x, y0=inside_y, x1=inside_x, y1=inside_y, scale=SCALES)
def test_an_age_crop_has_the_snout_to_the_right_and_the_middle_in_its_middle(
    tiny_bundle: Bundle, x0, y0, x1, y1, scale
) -> None:
    if math.dist((x0, y0), (x1, y1)) < 1:
        return
    spec = tiny_bundle.manifest.age
    crop = age_input(PICTURE, (x0, y0), (x1, y1), scale, spec)
    snout, tail = crop.point_in_crop(x0, y0), crop.point_in_crop(x1, y1)
    length = math.dist((x0, y0), (x1, y1)) / scale * spec.px_per_mm
    assert math.dist(snout, (spec.width / 2 + length / 2, spec.height / 2)) < 1e-6
    assert math.dist(tail, (spec.width / 2 - length / 2, spec.height / 2)) < 1e-6
    assert crop.pixels.shape == (spec.height, spec.width, spec.channels)


def test_a_crop_at_the_pictures_own_scale_holds_its_pixels(tiny_bundle: Bundle) -> None:
    grey = np.repeat(PICTURE[..., :1], 3, axis=2)
    spec = tiny_bundle.manifest.parts
    crop = parts_input(grey, (300.0, 200.0), spec.px_per_mm, spec)
    assert (crop.pixels[..., 0] == grey[200 - 48 : 200 + 48, 300 - 48 : 300 + 48, 0]).all()


def test_without_a_scale_the_crop_is_cut_at_native_pixels(tiny_bundle: Bundle) -> None:
    spec = tiny_bundle.manifest.parts
    one = parts_input(PICTURE, (300.0, 200.0), None, spec)
    assert (one.pixels == parts_input(PICTURE, (300.0, 200.0), spec.px_per_mm, spec).pixels).all()


def test_a_crop_outside_the_picture_is_black_and_says_so(tiny_bundle: Bundle) -> None:
    crop = parts_input(PICTURE, (5000.0, 5000.0), 1.0, tiny_bundle.manifest.parts)
    assert crop.inside == 0
    assert not crop.pixels.any()


def test_the_networks_see_pixel_minus_128() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert (to_int8(levels).astype(int) == np.arange(256) - 128).all()


def test_the_first_stage_sees_the_whole_small_view(tiny_bundle: Bundle) -> None:
    spec = tiny_bundle.manifest.centres
    seen = centres_input(small_view(PICTURE, 320), spec)
    assert seen.shape == (spec.height, spec.width, spec.channels)
    assert abs(float(seen.mean()) - float(PICTURE.mean())) < 1.5
