"""Fresh or refused: a frame exposed before its trigger, or identical to the last one, is no measurement.

A live sensor's noise never repeats; two identical frames are one frame delivered twice. Stored pictures may repeat, but
not under the same name.
"""

from __future__ import annotations

import numpy as np

from edge.errors import FrameRefused
from edge.vision.frame import Frame


class Freshness:
    """Remembers the last frame."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._last: Frame | None = None

    def checked(self, frame: Frame) -> Frame:
        """Return the frame itself.

        Raises:
            FrameRefused: it is older than its trigger, or identical to the last one.
        """
        if frame.exposed_at_s < frame.triggered_at_s:
            age_s = frame.triggered_at_s - frame.exposed_at_s
            raise FrameRefused(f"the frame was exposed {age_s:.3f} s before its trigger")
        last, self._last = self._last, frame
        if last is not None and _is_same(frame, last):
            raise FrameRefused("the frame is identical to the last one")
        return frame


def _is_same(frame: Frame, last: Frame) -> bool:
    """Return whether two frames have the same bytes; the small views mostly differ already."""
    return (
        frame.state.source == last.state.source
        and np.array_equal(frame.small, last.small)
        and np.array_equal(frame.main, last.main)
    )
