"""The coat colours of the strains that can be simulated, under their MGI names.

Reflectances are linear (0 black, 1 white), in white light as RGB and at 850 nm as one number: eumelanin absorbs far
less there, so that a black coat is mid-grey in infrared.
"""

from __future__ import annotations

from dataclasses import dataclass

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Strain:
    """What the coat, skin, eyes and tail of one strain reflect."""

    name: str
    coat: Rgb
    coat_infrared: float
    banding: float  # 0 for a solid coat, 1 for full agouti banding of each hair
    skin: Rgb
    skin_infrared: float
    ear: Rgb
    tail: Rgb
    eye: Rgb
    eye_infrared: float


_DARK_EYE: Rgb = (0.012, 0.010, 0.010)

STRAINS: dict[str, Strain] = {
    strain.name: strain
    for strain in (
        Strain(
            "C57BL/6J",
            (0.050, 0.042, 0.037),
            0.17,
            0.0,
            (0.50, 0.33, 0.28),
            0.52,
            (0.20, 0.135, 0.120),
            (0.23, 0.165, 0.150),
            _DARK_EYE,
            0.03,
        ),
        Strain(
            "C57BL/6NTac",
            (0.058, 0.046, 0.038),
            0.18,
            0.05,
            (0.50, 0.33, 0.28),
            0.52,
            (0.21, 0.140, 0.120),
            (0.24, 0.170, 0.150),
            _DARK_EYE,
            0.03,
        ),
        Strain(
            "BALB/cJ",
            (0.66, 0.64, 0.59),
            0.66,
            0.0,
            (0.62, 0.40, 0.35),
            0.60,
            (0.60, 0.37, 0.33),
            (0.60, 0.40, 0.35),
            (0.28, 0.03, 0.03),
            0.25,
        ),
        Strain(
            "DBA/2J",
            (0.135, 0.105, 0.082),
            0.27,
            0.1,
            (0.52, 0.35, 0.30),
            0.53,
            (0.27, 0.185, 0.160),
            (0.30, 0.215, 0.190),
            _DARK_EYE,
            0.03,
        ),
        Strain(
            "129S1/SvImJ",
            (0.155, 0.115, 0.070),
            0.29,
            0.9,
            (0.52, 0.35, 0.30),
            0.53,
            (0.27, 0.185, 0.155),
            (0.29, 0.205, 0.175),
            _DARK_EYE,
            0.03,
        ),
    )
}
