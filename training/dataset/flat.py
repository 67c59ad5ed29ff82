"""Pictures of one grey only, and pictures whose brightness had to be guessed."""

from __future__ import annotations

from collections import Counter

import numpy as np

from edge.footage.folder import count_kinds
from edge.vision.frame import Image
from edge.vision.image import grey_reduced
from training.dataset.finding import Finding

_LEVELS = 4
"""Grey levels between which the noise of a covered or blinded sensor stays, once reduced to 64 pixels' width."""


def flat_level(picture: Image) -> int | None:
    """Return the grey level, 0-255, of a picture, uint8 (h, w, 3), that shows nothing but it; None of any other."""
    grey = grey_reduced(picture, min(64, picture.shape[1])) if picture.shape[0] <= 64 * picture.shape[1] else picture
    return None if np.ptp(grey) > _LEVELS else round(float(grey.mean()))


def flat_text(level: int) -> str:
    """Return what is wrong with a picture of one level."""
    what = "black" if level < 16 else "white" if level > 239 else f"one grey ({level})"
    return f"is {what} all over: a covered or blinded camera, or a depth that was not scaled"


def guessed_depths(depths: Counter[str]) -> list[Finding]:
    """Return a warning where pictures were scaled by a depth that their files do not state; counted by depth."""
    if not depths:
        return []
    text = f"brightness was scaled by a depth that the files do not state: {count_kinds(depths)}"
    return [Finding(0, "picture", f"{text}; see docs/pictures-and-videos.md", "warning")]
