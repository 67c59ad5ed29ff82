"""Postures that hide the animal's length or outline give no age, and are named."""

from dataclasses import replace

import numpy as np
import pytest

from edge.contract.reading import CameraState, Keypoint, Reason
from edge.vision.acceptance import CURLED_BELOW_MM, HUDDLE_BELOW_MM, posture_reasons
from edge.vision.frame import Frame
from edge.vision.locate import Located
from edge.vision.observe import without_phantoms

SCALE = 2.0
PICTURE = np.zeros((480, 640, 3), np.uint8)
FRAME = Frame(PICTURE, 0, 0, CameraState(backend="drawn", model="", width=640, height=480), SCALE)


def animal(x: float, *, length_mm: float = 80.0, likelihood: float = 0.95, parts=("snout", "tail_base")) -> Located:
    """Return an animal that lies along x around (x, 200), length_mm from snout to tail base."""
    half = length_mm * SCALE / 2
    places = {"snout": x + half, "tail_base": x - half}
    points = tuple(Keypoint(part=part, x=places[part], y=200.0, likelihood=likelihood) for part in parts)
    return Located((x, 200.0), 0.9, points, 1.0)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (animal(300), []),
        (animal(300, length_mm=CURLED_BELOW_MM + 1), []),
        (animal(300, length_mm=CURLED_BELOW_MM - 1), [Reason.CURLED]),
        (animal(300, likelihood=0.01), [Reason.PARTIAL]),
        (animal(300, parts=("snout",)), [Reason.PARTIAL]),
        (animal(300, parts=("tail_base",)), [Reason.PARTIAL]),
    ],
)
def test_a_posture_is_judged_by_its_keypoints(tiny_model, subject, expected) -> None:
    assert posture_reasons(subject, [subject], FRAME, tiny_model) == expected


@pytest.mark.parametrize(("beyond_mm", "expected"), [(-1.0, [Reason.HUDDLE]), (1.0, [])])
def test_two_animals_nearer_than_a_body_width_huddle(tiny_model, beyond_mm, expected) -> None:
    one, other = animal(300), animal(300 + (HUDDLE_BELOW_MM + beyond_mm) * SCALE)
    assert posture_reasons(one, [one, other], FRAME, tiny_model) == expected
    assert posture_reasons(other, [one, other], FRAME, tiny_model) == expected


def test_without_a_calibrated_scale_the_bundles_own_counts(tiny_model) -> None:
    uncalibrated = replace(FRAME, px_per_mm=None)
    scale = tiny_model.manifest.parts.px_per_mm
    short = animal(300, length_mm=(CURLED_BELOW_MM - 1) * scale / SCALE)
    long = animal(300, length_mm=(CURLED_BELOW_MM + 1) * scale / SCALE)
    assert posture_reasons(short, [short], uncalibrated, tiny_model) == [Reason.CURLED]
    assert posture_reasons(long, [long], uncalibrated, tiny_model) == []


def test_a_centre_without_any_body_part_is_no_extra_animal() -> None:
    """Beside the housed number it goes; alone, or among fewer than are housed, it may be one that is hidden."""
    sure, shelter, other = animal(300), animal(100, likelihood=0.05), animal(500)
    assert without_phantoms([sure, shelter], 1, 0.5) == [sure]
    assert without_phantoms([shelter], 1, 0.5) == [shelter]
    assert without_phantoms([sure, shelter], 2, 0.5) == [sure, shelter]
    assert without_phantoms([sure, other], 1, 0.5) == [sure, other]
    assert len(without_phantoms([shelter, animal(500, likelihood=0.02)], 1, 0.5)) == 1
