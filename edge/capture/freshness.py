"""Fresh or refused: a frame exposed before its trigger, or identical to the last one, is no measurement.

A live sensor's noise never repeats; two identical frames are one frame delivered twice. Stored pictures may repeat, but
not under the same name.
"""

from __future__ import annotations

import hashlib

from edge.errors import FrameRefused
from edge.frame import Frame


class Freshness:
    """Remembers the last frame by its digest."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._last: tuple[str | None, bytes] | None = None

    def checked(self, frame: Frame) -> Frame:
        """Return the frame itself.

        Raises:
            FrameRefused: it is older than its trigger, or identical to the last one.
        """
        if frame.exposed_at_s < frame.triggered_at_s:
            age_s = frame.triggered_at_s - frame.exposed_at_s
            raise FrameRefused(f"the frame was exposed {age_s:.3f} s before its trigger")
        # The small view is made from every pixel of the main one, and hashing it costs a hundredth.
        seen = (frame.state.source, hashlib.blake2b(frame.small.tobytes(), digest_size=16).digest())
        if seen == self._last:
            raise FrameRefused("the frame is identical to the last one")
        self._last = seen
        return frame
