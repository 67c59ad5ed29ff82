"""Fresh or refused: a frame exposed before its trigger, or identical to the last one, is no measurement.

A live sensor's noise never repeats; two identical frames are one frame delivered twice, and that shows in any of its
parts: of the last frame every eighth row is kept, not all of its megabytes. Stored pictures may repeat, but not under
the same name.
"""

from __future__ import annotations

import numpy as np

from edge.errors import FrameRefused
from edge.vision.frame import Frame
from edge.vision.pixels import Image

_EVERY = 8
"""Rows."""


class Freshness:
    """Remembers the last frame's name and some of its rows."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._last: tuple[str | None, Image] | None = None

    def checked(self, frame: Frame) -> Frame:
        """Return the frame itself.

        Raises:
            FrameRefused: it is older than its trigger, or identical to the last one.
        """
        if frame.exposed_at_s < frame.triggered_at_s:
            age_s = frame.triggered_at_s - frame.exposed_at_s
            raise FrameRefused(f"the frame was exposed {age_s:.3f} s before its trigger")
        rows = frame.main[::_EVERY]
        same = self._last is not None and self._last[0] == frame.state.source and np.array_equal(rows, self._last[1])
        if not same:
            self._last = frame.state.source, rows.copy()
            return frame
        raise FrameRefused("the frame is identical to the last one")
