"""Each scripted fault does to the picture what its name says."""

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

from edge.errors import OperatorError
from edge.simulate import Activity, CageSetup, Placement, SceneFaults, SimulatedCage, SimulatedFrame, create_population

BORN = date(2025, 1, 1)
SETUP = replace(CageSetup.from_seed(5, width_px=320, height_px=240, px_per_mm=4 / 3), shelter="none")
CAGE = SimulatedCage("c", create_population(4, 1, born_from=BORN, born_until=BORN), SETUP)
ACTIVITY = Activity((Placement("stretched", position_mm=(120.0, 90.0), heading_rad=0.0, bend=0.0),))


def photograph(**faults: object) -> SimulatedFrame:
    return CAGE.photograph(
        at=datetime(2025, 8, 1, tzinfo=UTC),
        light="white",
        zeitgeber_h=6.0,
        seed=3,
        faults=SceneFaults(**faults),  # type: ignore[arg-type]
        activity=ACTIVITY,
    )


def sharpness(frame: SimulatedFrame) -> float:
    """Variance of the Laplacian, the usual focus measure."""
    grey = frame.image.mean(-1)
    laplacian = grey[1:-1, :-2] + grey[1:-1, 2:] + grey[:-2, 1:-1] + grey[2:, 1:-1] - 4 * grey[1:-1, 1:-1]
    return float(laplacian.var())


def test_an_empty_cage_has_no_animals_and_no_dark_body() -> None:
    frame = photograph(empty=True)
    assert frame.truth.animals == ()
    assert frame.image[100:140, 140:180].mean() > 1.3 * photograph().image[100:140, 140:180].mean()


def test_exposure_darkens_and_brightens_without_moving_the_truth() -> None:
    right, dark, bright = photograph(), photograph(exposure_factor=0.2), photograph(exposure_factor=2.5)
    assert dark.image.mean() < 0.65 * right.image.mean()
    assert bright.image.mean() > 1.3 * right.image.mean()
    assert (bright.image == 255).mean() > 0.1
    assert dark.truth == right.truth


def test_a_dead_lamp_leaves_a_dark_noisy_picture() -> None:
    assert photograph(lights_off=True).image.mean() < 25


@pytest.mark.parametrize(("fault", "at_most"), [("condensation", 0.15), ("motion_blur", 0.5), ("dirt", 0.98)])
def test_what_lies_before_the_sensor_lowers_the_sharpness(fault: str, at_most: float) -> None:
    sharp = sharpness(photograph())
    half, full = sharpness(photograph(**{fault: 0.5})), sharpness(photograph(**{fault: 1.0}))
    assert half < sharp
    assert full < at_most * sharp


def test_dirt_stays_in_place_and_darkens() -> None:
    clean, soiled = photograph(empty=True), photograph(empty=True, dirt=1.0)
    specks = soiled.image.mean(-1) < 0.8 * clean.image.mean(-1)
    assert 0.005 < specks.mean() < 0.5


def test_a_moved_camera_moves_picture_and_truth_together() -> None:
    still, moved = photograph(), photograph(camera_shift_mm=(15.0, -6.0))
    for part in ("snout", "left_ear", "right_ear", "tail_base"):
        shift = np.array(moved.truth.animals[0].keypoints[part][:2]) - still.truth.animals[0].keypoints[part][:2]
        assert shift == pytest.approx((20.0, -8.0), abs=0.5)
    assert still.truth.animals[0].box is not None
    assert moved.truth.animals[0].box is not None
    offset = np.array(moved.truth.animals[0].box) - still.truth.animals[0].box
    assert np.abs(offset - (20, -8, 20, -8)).max() <= 2


def test_a_turned_camera_turns_the_animal() -> None:
    parts = [photograph(camera_rotation_deg=angle).truth.animals[0].keypoints for angle in (0.0, 20.0)]
    axes = [np.array(part["snout"][:2]) - part["tail_base"][:2] for part in parts]
    turned = np.degrees(np.arctan2(axes[1][1], axes[1][0]) - np.arctan2(axes[0][1], axes[0][0]))
    assert turned == pytest.approx(20.0, abs=0.5)


def test_a_hand_covers_a_good_part_of_the_picture() -> None:
    blue = photograph(hand=True).image.astype(int)
    assert ((blue[..., 2] - blue[..., 0]) > 60).mean() > 0.05


def test_a_strength_out_of_range_names_itself() -> None:
    with pytest.raises(OperatorError, match=r"faults.condensation: expected 0..1, got 1.5"):
        SceneFaults(condensation=1.5)
    with pytest.raises(OperatorError, match=r"faults.exposure_factor"):
        SceneFaults(exposure_factor=-1.0)
    with pytest.raises(OperatorError, match="finite"):
        SceneFaults(camera_rotation_deg=float("nan"))


def test_active_faults_are_listed() -> None:
    assert SceneFaults().active() == ()
    assert SceneFaults(empty=True, dirt=0.3).active() == ("empty", "dirt")
