"""Finding a card in a picture: OpenCV's ChArUco board, a chessboard whose fields are numbered by marks.

Garrido-Jurado et al. 2014, Pattern Recognition 47:2280, for the marks. A corner that is seen is known by its number,
so that a card of which a part is covered still measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from station.scale.card import CARDS, Card

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A card in a picture. on_card: float64 (n, 2), mm from its upper left corner; in_picture: (n, 2), pixels.

    Pixel coordinates count from the picture's upper left corner, so that the first pixel's middle is (0.5, 0.5).
    """

    card: Card
    on_card: Points
    in_picture: Points


def dictionary() -> cv2.aruco.Dictionary:
    """Return the marks of all cards."""
    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_250)


def mark_bits(number: int) -> NDArray[np.uint8]:
    """Return a mark as (6, 6) fields, its black frame included: 1 is white."""
    return np.array(cv2.aruco.generateImageMarker(dictionary(), number, 6) > 127, np.uint8)


def board(card: Card) -> cv2.aruco.CharucoBoard:
    """Return OpenCV's idea of the card."""
    numbers = np.arange(card.first_mark, card.first_mark + card.marks)
    return cv2.aruco.CharucoBoard((card.across, card.down), card.field_mm, card.mark_mm, dictionary(), numbers)


def find_card(picture: Picture) -> Sighting | None:
    """Return the card of which most corners are seen in a grey picture (height, width), None where none is."""
    found = [one for card in CARDS.values() if (one := _find(picture, card)) is not None]
    return max(found, key=lambda one: len(one.on_card), default=None)


def is_mirrored(picture: Picture) -> bool:
    """Return whether the picture shows a card only in the mirror."""
    return find_card(np.ascontiguousarray(picture[:, ::-1])) is not None


def count_marks(picture: Picture) -> int:
    """Return how many marks of any card are seen: some, though no corner, says that the card is there."""
    _, numbers, _ = cv2.aruco.ArucoDetector(dictionary(), _parameters()).detectMarkers(picture)
    return 0 if numbers is None else len(numbers)


def _find(picture: Picture, card: Card) -> Sighting | None:
    pattern = board(card)
    detector = cv2.aruco.CharucoDetector(pattern, cv2.aruco.CharucoParameters(), _parameters())
    corners, numbers, _, _ = detector.detectBoard(picture)
    if numbers is None or len(numbers) == 0:
        return None
    on_card = np.asarray(pattern.getChessboardCorners(), np.float64)[numbers.ravel(), :2]
    return Sighting(card, on_card, np.asarray(corners, np.float64).reshape(-1, 2) + 0.5)


def _parameters() -> cv2.aruco.DetectorParameters:
    parameters = cv2.aruco.DetectorParameters()
    # A mark may be 15 pixels wide at the smallest camera, and a picture 4,600 pixels.
    parameters.minMarkerPerimeterRate = 0.01
    return parameters
