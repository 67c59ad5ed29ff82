"""A photograph is reproducible, and its ground truth is true of its pixels."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import OperatorError
from edge.simulate import (
    PARTS,
    POSTURES,
    Activity,
    CageSetup,
    Light,
    Placement,
    SceneFaults,
    SimulatedAnimal,
    SimulatedCage,
    SimulatedFrame,
    create_population,
)

BORN = date(2025, 1, 1)
NOON = datetime(2025, 10, 1, 12, tzinfo=UTC)
ANIMALS = create_population(4, 5, born_from=BORN, born_until=BORN)
SMALL = CageSetup.from_seed(5, width_px=320, height_px=240, px_per_mm=4 / 3)
OPEN = replace(SMALL, shelter="none")
MIDDLE = (120.0, 90.0)


def photograph(
    setup: CageSetup = OPEN,
    animals: tuple[SimulatedAnimal, ...] = ANIMALS[:1],
    *placements: Placement,
    light: Light = "white",
    seed: int = 1,
    zeitgeber_h: float = 15.0,
    faults: SceneFaults = SceneFaults(),  # noqa: B008 - frozen
) -> SimulatedFrame:
    activity = Activity(placements) if placements else None
    cage = SimulatedCage("cage-1", animals, setup)
    return cage.photograph(at=NOON, light=light, zeitgeber_h=zeitgeber_h, seed=seed, faults=faults, activity=activity)


def test_the_same_arguments_give_the_same_bytes() -> None:
    one = photograph(SMALL, ANIMALS, seed=9)
    photograph(SMALL, ANIMALS, seed=10, light="infrared")
    other = photograph(SMALL, ANIMALS, seed=9)
    assert one.image.tobytes() == other.image.tobytes()
    assert one.truth == other.truth


def test_another_seed_gives_another_picture() -> None:
    assert (photograph(seed=1).image != photograph(seed=2).image).any()


def test_a_picture_is_rgb_of_the_setups_size_and_grey_in_infrared() -> None:
    white, infrared = photograph(), photograph(light="infrared")
    assert white.image.shape == infrared.image.shape == (240, 320, 3)
    assert white.image.dtype == np.uint8
    assert (white.image[..., 0] != white.image[..., 2]).any()
    assert (infrared.image == infrared.image[..., :1]).all()


@given(seed=st.integers(0, 10_000), count=st.integers(0, 5), hour=st.floats(0, 24), shift=st.floats(-30, 30))
@settings(max_examples=40, deadline=None)
@pytest.mark.slow
def test_boxes_and_visible_keypoints_lie_in_the_picture(seed: int, count: int, hour: float, shift: float) -> None:
    faults = SceneFaults(camera_shift_mm=(round(shift), 0.0))
    frame = photograph(SMALL, ANIMALS[:count], seed=seed, zeitgeber_h=hour, faults=faults)
    assert len(frame.truth.animals) == count
    for truth in frame.truth.animals:
        assert 0.0 <= truth.visible_fraction <= 1.0
        assert set(PARTS) <= set(truth.keypoints)
        assert (truth.box is None) == (truth.visible_fraction == 0.0)
        if truth.box is not None:
            x0, y0, x1, y1 = truth.box
            assert 0 <= x0 < x1 <= 320
            assert 0 <= y0 < y1 <= 240
        for x, y, visible in truth.keypoints.values():
            assert not visible or (0 <= x < 320 and 0 <= y < 240)


@pytest.mark.parametrize("posture", POSTURES)
def test_an_animal_in_the_open_is_wholly_visible_with_its_parts_in_its_box(posture: str) -> None:
    placement = Placement(posture, position_mm=MIDDLE, heading_rad=0.4, bend=0.4)  # type: ignore[arg-type]
    truth = photograph(OPEN, ANIMALS[:1], placement).truth.animals[0]
    assert truth.visible_fraction == 1.0
    assert truth.posture == posture
    assert truth.box is not None
    x0, y0, x1, y1 = truth.box
    for part in PARTS:
        x, y, visible = truth.keypoints[part]
        assert visible or posture in ("curled", "huddled"), part
        assert x0 - 2 <= x <= x1 + 2
        assert y0 - 2 <= y <= y1 + 2


def test_the_box_holds_the_dark_pixels_of_a_black_mouse() -> None:
    """Compared with the same scene without the animal, what became much darker is the animal, and lies in its box."""
    placement = Placement("stretched", position_mm=MIDDLE, heading_rad=0.0, bend=0.0)
    frame = photograph(OPEN, ANIMALS[:1], placement)
    empty = photograph(OPEN, ANIMALS[:1], placement, faults=SceneFaults(empty=True))
    darker = frame.image.mean(-1) < 0.6 * empty.image.mean(-1)
    assert frame.truth.animals[0].box is not None
    x0, y0, x1, y1 = frame.truth.animals[0].box
    assert darker[y0:y1, x0:x1].mean() > 0.35
    outside = darker.copy()
    outside[y0:y1, x0:x1] = False
    assert outside.sum() < 0.06 * darker.sum(), "the tail and the shadow are the only changes outside the box"


def test_left_and_right_are_the_animals_own() -> None:
    """A mouse that heads up the picture has its left ear on the left."""
    placement = Placement("stretched", position_mm=MIDDLE, heading_rad=-np.pi / 2, bend=0.0)
    parts = photograph(OPEN, ANIMALS[:1], placement).truth.animals[0].keypoints
    assert parts["snout"][1] < parts["tail_base"][1]
    assert parts["left_ear"][0] < parts["right_ear"][0]


def test_the_truth_is_the_same_in_millimetres_at_every_scale() -> None:
    placement = Placement("walking", position_mm=(100.0, 80.0), heading_rad=0.5, bend=0.5)
    sizes = ((480, 360, 2.0), (640, 480, 640 / 240), (960, 720, 4.0))
    truths = []
    for width, height, scale in sizes:
        setup = replace(CageSetup.from_seed(5, width_px=width, height_px=height, px_per_mm=scale), shelter="none")
        truths.append((scale, photograph(setup, ANIMALS[:1], placement).truth))
    for part in (*PARTS, "tail_tip"):
        places = [np.array(truth.animals[0].keypoints[part][:2]) / scale for scale, truth in truths]
        assert np.ptp(places, axis=0).max() < 0.1, part
    boxes = [np.array(truth.animals[0].box) / scale for scale, truth in truths]
    assert np.ptp(boxes, axis=0).max() < 2.0


def test_a_finer_picture_seen_from_afar_is_the_coarser_one() -> None:
    placement = Placement("stretched", position_mm=MIDDLE, heading_rad=0.3, bend=0.2)
    fine = CageSetup.from_seed(5, width_px=960, height_px=720, px_per_mm=4.0)
    coarse = CageSetup.from_seed(5, width_px=320, height_px=240, px_per_mm=4 / 3)
    large = photograph(fine, ANIMALS[:1], placement).image.reshape(240, 3, 320, 3, 3).mean(axis=(1, 3))
    small = photograph(coarse, ANIMALS[:1], placement).image.astype(float)
    blocks = [image.reshape(30, 8, 40, 8, 3).mean(axis=(1, 3)) for image in (large, small)]
    assert np.abs(blocks[0] - blocks[1]).mean() < 8.0
    assert np.corrcoef(blocks[0].ravel(), blocks[1].ravel())[0, 1] > 0.95


def test_the_nest_hides_most_of_a_sleeper() -> None:
    in_nest = photograph(SMALL, ANIMALS[:1], Placement("curled", in_nest=True, position_mm=SMALL.nest_mm))
    assert in_nest.truth.animals[0].in_nest
    assert in_nest.truth.animals[0].visible_fraction < 0.9


def test_an_opaque_shelter_hides_and_a_red_one_shows_in_infrared() -> None:
    spot = Placement("curled", position_mm=SMALL.shelter_mm, bend=1.0)
    grey, red = replace(SMALL, shelter="grey_house"), replace(SMALL, shelter="red_house")
    assert photograph(grey, ANIMALS[:1], spot).truth.animals[0].visible_fraction < 0.4
    assert photograph(grey, ANIMALS[:1], spot, light="infrared").truth.animals[0].visible_fraction < 0.4
    assert photograph(red, ANIMALS[:1], spot).truth.animals[0].visible_fraction < 0.4
    assert photograph(red, ANIMALS[:1], spot, light="infrared").truth.animals[0].visible_fraction == 1.0


def test_an_animal_behind_another_is_partly_hidden() -> None:
    below, above = (
        Placement("stretched", position_mm=MIDDLE, heading_rad=angle, bend=0.0) for angle in (0.0, np.pi / 2)
    )
    hidden, free = photograph(OPEN, ANIMALS[:2], below, above).truth.animals
    assert hidden.visible_fraction < 0.9
    assert free.visible_fraction == 1.0


def test_an_old_animal_looks_different_from_its_young_self() -> None:
    placement = Placement("stretched", position_mm=MIDDLE, heading_rad=0.0, bend=0.0)
    cage = SimulatedCage("c", ANIMALS[:1], OPEN)
    young, old = (
        cage.photograph(
            at=datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=days),
            light="white",
            zeitgeber_h=6.0,
            seed=1,
            activity=Activity((placement,)),
        )
        for days in (100, 950)
    )
    x0, y0, x1, y1 = young.truth.animals[0].box or (0, 0, 0, 0)
    detail = [np.abs(np.diff(frame.image[y0:y1, x0:x1].mean(-1), axis=0)).mean() for frame in (young, old)]
    assert old.truth.animals[0].age_days == 950.0
    assert detail[1] > 1.05 * detail[0], "a rough, greying coat has more texture"


def test_albino_and_black_mice_differ_in_brightness() -> None:
    placement = Placement("stretched", position_mm=MIDDLE, heading_rad=0.0, bend=0.0)
    means = {}
    for strain in ("C57BL/6J", "DBA/2J", "BALB/cJ"):
        animals = create_population(2, 1, born_from=BORN, born_until=BORN, strains=(strain,))
        frame = photograph(OPEN, animals, placement)
        x0, y0, x1, y1 = frame.truth.animals[0].box or (0, 0, 0, 0)
        rows, columns = slice((2 * y0 + y1) // 3, (y0 + 2 * y1) // 3), slice((2 * x0 + x1) // 3, (x0 + 2 * x1) // 3)
        means[strain] = frame.image[rows, columns].mean()
    assert means["C57BL/6J"] < means["DBA/2J"] < means["BALB/cJ"] - 60


def test_a_black_coat_is_mid_grey_in_infrared() -> None:
    placement = Placement("stretched", position_mm=MIDDLE, heading_rad=0.0, bend=0.0)
    relative = {}
    for light in ("white", "infrared"):
        frame = photograph(OPEN, ANIMALS[:1], placement, light=light)  # type: ignore[arg-type]
        x0, y0, x1, y1 = frame.truth.animals[0].box or (0, 0, 0, 0)
        body = frame.image[(2 * y0 + y1) // 3 : (y0 + 2 * y1) // 3, (2 * x0 + x1) // 3 : (x0 + 2 * x1) // 3].mean()
        relative[light] = body / frame.image.mean()
    assert relative["infrared"] > 1.25 * relative["white"]


def test_too_many_animals_twins_and_a_wrong_activity_are_refused() -> None:
    with pytest.raises(OperatorError, match="up to 5 different animals"):
        SimulatedCage("c", (*ANIMALS, replace(ANIMALS[0], subject_id="sixth")), SMALL)
    with pytest.raises(OperatorError, match="different animals"):
        SimulatedCage("c", (ANIMALS[0], ANIMALS[0]), SMALL)
    with pytest.raises(OperatorError, match="activity for 2 animals, got 1"):
        photograph(SMALL, ANIMALS[:2], Placement("curled"))
    with pytest.raises(OperatorError, match="at least 120 x 90 mm"):
        CageSetup.from_seed(1, width_px=100, height_px=100, px_per_mm=4.0)
