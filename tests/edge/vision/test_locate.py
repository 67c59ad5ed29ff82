"""A peak in a map becomes a position in the picture."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.bundle.bundle import Bundle
from edge.contract.reading import Keypoint
from edge.vision.locate import Located, decode_centres, decode_parts, distinct, parts_around, standard_name
from edge.vision.preprocess import Crop

LOW = -8.0


def bump(shape: tuple[int, int], x: float, y: float, height: float = 6.0) -> np.ndarray:
    """Return a logit map (h, w), float32, of one round peak at (x, y) in cells; a cell's middle is at one half."""
    v, u = np.mgrid[: shape[0], : shape[1]] + 0.5
    peak = LOW + (height - LOW) * np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 2.0**2))
    return peak.astype(np.float32)


def centres_of(bundle: Bundle, *peaks: tuple[float, float, float], most: int = 5):
    spec = bundle.manifest.centres
    shape = (spec.height // spec.stride, spec.width // spec.stride)
    heat = np.maximum.reduce([bump(shape, *peak) for peak in peaks]) if peaks else np.full(shape, LOW, np.float32)
    return decode_centres(heat[..., None], spec, most), spec


def test_an_empty_map_has_no_animal(tiny_bundle: Bundle) -> None:
    assert centres_of(tiny_bundle)[0] == []


@given(x=st.floats(4, 36), y=st.floats(4, 26))
def test_one_peak_is_one_animal_at_its_place(tiny_bundle: Bundle, x, y) -> None:
    """Between cells as well, and where four cells tie: within a third of a cell."""
    (((found_x, found_y), likelihood),), spec = centres_of(tiny_bundle, (x, y, 6.0))
    assert math.dist((found_x, found_y), (x * spec.stride, y * spec.stride)) < spec.stride / 3
    assert likelihood > 0.9


@given(x=st.floats(4, 36), y=st.floats(4, 26), height=st.floats(2, 40), step=st.floats(0.02, 0.2))
def test_a_sure_peak_keeps_its_place(tiny_bundle: Bundle, x, y, height, step) -> None:
    """A sigmoid of 20 and one of 40 are the same number; the place is read off the quantised logits all the same."""
    spec = tiny_bundle.manifest.centres
    heat = np.round(bump((spec.height // spec.stride, spec.width // spec.stride), x, y, height) / step) * step
    ((found, _),) = decode_centres(heat[..., None].astype(np.float32), spec, 5)
    assert math.dist(found, (x * spec.stride, y * spec.stride)) < spec.stride / 3


@given(dx=st.integers(-15, 15), dy=st.integers(-10, 10))
def test_a_moved_map_moves_its_animal_by_as_much(tiny_bundle: Bundle, dx, dy) -> None:
    (((x0, y0), _),), spec = centres_of(tiny_bundle, (20.3, 15.2, 6.0))
    (((x1, y1), _),), _ = centres_of(tiny_bundle, (20.3 + dx, 15.2 + dy, 6.0))
    assert (x1 - x0, y1 - y0) == pytest.approx((dx * spec.stride, dy * spec.stride), abs=1e-3)


def test_the_likeliest_come_first_and_no_more_than_asked(tiny_bundle: Bundle) -> None:
    peaks = ((8.5, 8.5, 2.0), (30.5, 8.5, 6.0), (20.5, 24.5, 4.0))
    found, spec = centres_of(tiny_bundle, *peaks, most=2)
    assert [round(x / spec.stride) for (x, _), _ in found] == pytest.approx([30, 20], abs=1)


def test_two_peaks_nearer_than_the_least_distance_are_one_animal(tiny_bundle: Bundle) -> None:
    spec = tiny_bundle.manifest.centres
    apart = spec.min_distance_px / spec.stride
    cells = max(3, math.ceil(apart) - 1)
    near = msgspec.structs.replace(spec, min_distance_px=(cells + 1.0) * spec.stride)
    heat = np.full((30, 40, 1), LOW, np.float32)
    heat[15, 10], heat[15, 10 + cells] = 6, 5
    assert len(decode_centres(heat, near, 5)) == 1
    assert len(decode_centres(heat, msgspec.structs.replace(near, min_distance_px=(cells - 1.0) * spec.stride), 5)) == 2


def part_maps(bundle: Bundle, places: list[tuple[float, float]], height: float = 14.0) -> np.ndarray:
    spec = bundle.manifest.parts
    cells = spec.size // spec.stride
    return np.stack([bump((cells, cells), x, y, height) for x, y in places], axis=-1)


@given(scale=st.floats(0.5, 4), shift_x=st.floats(-50, 400), shift_y=st.floats(-50, 400))
def test_parts_lie_where_their_maps_peak_through_the_crops_map(tiny_bundle: Bundle, scale, shift_x, shift_y) -> None:
    spec = tiny_bundle.manifest.parts
    cells = spec.size // spec.stride
    places = [(cells / 2 + index - 1.5, cells / 2 - 0.5 * index) for index in range(len(spec.keypoints))]
    to_main = np.array([[scale, 0.0, shift_x], [0.0, scale, shift_y]])
    crop = Crop(np.zeros((spec.size, spec.size, 1), np.uint8), to_main, 1.0)
    found = decode_parts(part_maps(tiny_bundle, places), spec, crop)
    assert [point.part for point in found] == list(spec.keypoints)
    for point, (x, y) in zip(found, places, strict=True):
        expected = (scale * x * spec.stride + shift_x, scale * y * spec.stride + shift_y)
        assert math.dist((point.x, point.y), expected) < 0.5 * scale * spec.stride


def test_a_flat_map_is_an_unlikely_part(tiny_bundle: Bundle) -> None:
    spec = tiny_bundle.manifest.parts
    cells = spec.size // spec.stride
    crop = Crop(np.zeros((spec.size, spec.size, 1), np.uint8), np.eye(2, 3), 1.0)
    flat = decode_parts(np.zeros((cells, cells, len(spec.keypoints)), np.float32), spec, crop)
    sharp = decode_parts(part_maps(tiny_bundle, [(cells / 2, cells / 2)] * len(spec.keypoints)), spec, crop)
    assert max(point.likelihood for point in flat) < min(point.likelihood for point in sharp)


@pytest.mark.parametrize(
    ("alias", "standard"),
    [
        ("nose", "snout"),
        ("tailbase", "tail_base"),
        ("TailBase", "tail_base"),
        ("leftear", "left_ear"),
        ("right ear", "right_ear"),
        ("tail_base", "tail_base"),
        ("tip_of_tail", "tip_of_tail"),
    ],
)
def test_usual_names_of_a_part_mean_the_same_part(alias, standard) -> None:
    assert standard_name(alias) == standard
    located = Located((0.0, 0.0), 0.9, (Keypoint(part=alias, x=1.0, y=2.0, likelihood=0.5),), 1.0)
    point = located.part(standard)
    assert point is not None
    assert point.part == alias


def lying(snout: tuple[float, float], tail_base: tuple[float, float], likelihood: float, sure: float = 0.9) -> Located:
    """An animal between two points."""
    parts = [("snout", *snout), ("tail_base", *tail_base)]
    keypoints = tuple(Keypoint(part=part, x=x, y=y, likelihood=sure) for part, x, y in parts)
    return Located(snout, likelihood, keypoints, 1.0)


def test_two_centres_of_one_body_are_one_animal_even_head_to_tail() -> None:
    """The one whose parts are surer stays, whichever centre was likelier."""
    right, swapped = lying((100, 100), (200, 120), 0.6, sure=0.9), lying((198, 121), (103, 99), 0.9, sure=0.4)
    assert distinct([swapped, right], 14.0) == [right]


def test_animals_side_by_side_stay_two() -> None:
    left, right = lying((100, 100), (200, 100), 0.9), lying((100, 130), (200, 130), 0.8)
    assert distinct([left, right], 14.0) == [left, right]


class DotFinder:
    """A second stage that finds dots: the part of number `index` is where the grey value is 250 - 10 * index."""

    def __init__(self, bundle: Bundle, looks_that_see: int = 2) -> None:
        self.spec = msgspec.structs.replace(bundle.manifest.parts, likelihood_a=0.0, likelihood_b=1.0)
        self.looks, self.looks_that_see = 0, looks_that_see

    def run(self, pixels: np.ndarray) -> np.ndarray:
        self.looks += 1
        cells = self.spec.size // self.spec.stride
        maps = np.zeros((cells, cells, len(self.spec.keypoints)), np.float32)
        for index in range(maps.shape[-1]):
            rows, columns = np.nonzero(pixels[..., 0] == 250 - 10 * index)
            if len(rows) and self.looks <= self.looks_that_see:
                x, y = (columns[0] + 0.5) / self.spec.stride, (rows[0] + 0.5) / self.spec.stride
                maps[..., index] = bump((cells, cells), x, y, height=14.0)
        return maps

    def look(self, beside: int) -> tuple[Keypoint, ...]:
        """Return what is found from so many pixels beside the middle of the row of dots."""
        picture = np.zeros((600, 600), np.uint8)
        for index, x in enumerate(DOTS_X):
            picture[299:302, x - 1 : x + 2] = 250 - 10 * index
        return parts_around(picture, (300 + beside, 300), None, self.run, self.spec)[0]


DOTS_X = (276, 292, 308, 324)
"""A crop of 96 pixels holds all of them where it is up to 22 pixels beside their middle, and not where it is 28."""


@given(beside=st.integers(28, 40), side=st.sampled_from([-1, 1]))
def test_parts_that_a_misplaced_crop_cuts_off_are_found_by_a_second_look(tiny_bundle: Bundle, beside, side) -> None:
    finder = DotFinder(tiny_bundle)
    found = finder.look(side * beside)
    assert finder.looks == 2
    for point, x in zip(found, DOTS_X, strict=True):
        assert point.likelihood > 0.9
        assert math.dist((point.x, point.y), (x, 300)) < finder.spec.stride


def test_an_animal_whose_parts_are_all_sure_is_looked_at_once(tiny_bundle: Bundle) -> None:
    finder = DotFinder(tiny_bundle)
    assert all(point.likelihood > 0.9 for point in finder.look(10))
    assert finder.looks == 1


def test_a_second_look_that_sees_less_does_not_count(tiny_bundle: Bundle) -> None:
    finder = DotFinder(tiny_bundle, looks_that_see=1)
    likelihoods = [point.likelihood for point in finder.look(30)]
    assert finder.looks == 2
    assert likelihoods[0] < 0.5
    assert min(likelihoods[1:]) > 0.9
