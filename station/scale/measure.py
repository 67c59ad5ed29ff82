"""What a picture of a card says: pixels per millimetre, tilt, distortion, and what follows for the age crop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from edge.errors import OperatorError
from station.scale.board import Picture, count_marks, find_card, is_mirrored
from station.scale.card import RULER_MM, Card
from station.scale.fit import FEWEST_CORNERS, Fit, fit_plane

FIELD_OF_VIEW_DEGREES = 66.0
"""Of Camera Module 3, across; it decides the tilt only, and a quarter more or less there changes that by as much."""
MOST_RESIDUAL_PX = 1.0
MOST_UNEVEN = 0.05
MOST_TILT_DEGREES = 3.0
MOST_STRETCH = 0.015


@dataclass(frozen=True, slots=True)
class Scale:
    """What was measured. px_per_mm: in the middle of the picture. error: its standard error, as a fraction.

    smallest, largest: over the whole picture, px per mm. radial: the distortion at the picture's corners;
    None: the card covers too little of the picture to tell. stretch: across against down, as a fraction.
    """

    card: Card
    size: tuple[int, int]
    corners: int
    px_per_mm: float
    error: float
    smallest: float
    largest: float
    tilt_degrees: float
    radial: float | None
    stretch: float
    residual_px: float
    ruler_mm: float | None
    warnings: tuple[str, ...]
    fit: Fit


def measure(
    picture: Picture, *, ruler_mm: float | None = None, field_of_view_degrees: float = FIELD_OF_VIEW_DEGREES
) -> Scale:
    """Return what a grey picture (height, width) of a card on the cage's floor says.

    ruler_mm: how long the card's printed ruler of 100 mm really is; None takes the print for true.

    Raises:
        OperatorError: no card is found, too little of it, or it is not flat.
    """
    height, width = picture.shape
    if ruler_mm is not None and not 0.8 * RULER_MM <= ruler_mm <= 1.25 * RULER_MM:
        raise OperatorError(
            f"--ruler-mm: expected the length of the card's {RULER_MM:g} mm ruler, 80 to 125, got {ruler_mm:g}"
        )
    sighting = find_card(picture)
    if sighting is None or len(sighting.on_card) < FEWEST_CORNERS:
        raise OperatorError(_why_not(picture, 0 if sighting is None else len(sighting.on_card)))
    fit = fit_plane(sighting, (width, height))
    if fit is None or fit.residual_px > 4 * MOST_RESIDUAL_PX:
        raise OperatorError("the card's corners do not lie on a plane: lay it flat, and take the picture again")
    focal_px = width / 2 / math.tan(math.radians(field_of_view_degrees / 2))
    # A print at 97 % has millimetres of 0.97 mm: there are more pixels to a true one.
    true = RULER_MM / ruler_mm if ruler_mm is not None else 1.0
    grid = [fit.scale_at(x, y) * true for x in np.linspace(0, width, 5) for y in np.linspace(0, height, 5)]
    middle = fit.scale_at(width / 2, height / 2) * true
    found = Scale(
        sighting.card, (width, height), len(sighting.on_card), middle, fit.scale_error, min(grid), max(grid),
        fit.tilt_degrees(focal_px), fit.radial, fit.stretch(focal_px), fit.residual_px, ruler_mm, (), fit,
    )  # fmt: skip
    return _with_warnings(found, sighting.in_picture)


def _why_not(picture: Picture, corners: int) -> str:
    if corners:
        return (
            f"only {corners} of the card's corners are seen, at least {FEWEST_CORNERS} are needed: take away what "
            "covers it, and have no bars of the lid before it"
        )
    if is_mirrored(picture):
        return "the picture is a mirror image of the card: take it without a mirror, and without flipping it"
    marks = count_marks(picture)
    if marks:
        return (
            f"{marks} marks of a card are seen, and no corner between them: more of the card must be seen, or it is "
            "another card than `cageclock-station scale-card` prints"
        )
    return (
        "no card is found. Is it one of `cageclock-station scale-card`, in the picture, sharp (focus first), lit "
        "evenly "
        "and not mirrored by a lamp? One of its fields should be at least 15 pixels wide"
    )


def _with_warnings(found: Scale, seen: np.ndarray) -> Scale:
    said = []
    uneven = max(found.largest / found.px_per_mm, found.px_per_mm / found.smallest) - 1
    if uneven > MOST_UNEVEN:
        said.append(
            f"the scale differs by up to {uneven:.0%} over the picture: an animal at the edge is cut out that much too "
            "large or too small for the age model"
        )
    if found.tilt_degrees > MOST_TILT_DEGREES:
        said.append(
            f"the camera looks {found.tilt_degrees:.0f} degrees aslant: let it look straight down, then measure again"
        )
    if abs(found.stretch) > MOST_STRETCH:
        longer = "longer" if found.stretch > 0 else "shorter"
        said.append(
            f"a millimetre across is {abs(found.stretch):.1%} {longer} than one down: the print is stretched, or the "
            "picture was resized; print at 100 %, and take the picture in the size of the settings"
        )
    if found.residual_px > MOST_RESIDUAL_PX:
        said.append(f"the corners miss a flat card's by {found.residual_px:.1f} px: is it flat, and the picture sharp?")
    middle = np.array(found.size) / 2
    if (np.abs(seen.mean(0) - middle) > np.array(found.size) * 0.25).any():
        said.append("the card lies far from the middle of the picture, where the scale is given: lay it there")
    if found.ruler_mm is None:
        said.append(
            f"the print is taken for true: measure the card's ruler; where it is not {RULER_MM:g} mm long, give its "
            "length as --ruler-mm"
        )
    return replace(found, warnings=tuple(said))
