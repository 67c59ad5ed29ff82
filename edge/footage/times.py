"""The times of a film's frames, by their own time stamps, and how long they last together."""

from __future__ import annotations

_PART, _FRAMES = 0.02, 1.5
"""A film that lacks less than this part of its time, or fewer frames, is whole: the figures in a header are rounded."""


class Times:
    """Numbers frames, and gives them seconds after the first one that never go back."""

    def __init__(self, ticks_per_s: float, frames_per_s: float) -> None:
        """The next frame is number 0."""
        self._ticks_per_s, self._frame_s = ticks_per_s, 1 / frames_per_s
        self._number, self._last_s = 0, -self._frame_s
        self._begin: float | None = None

    def next(self, ticks: int | None) -> tuple[int, float]:
        """Return the next number and its time; a frame after the last one where it has none that can be used."""
        time_s = self._last_s + self._frame_s
        if ticks is not None:
            if self._begin is None:
                self._begin = ticks - time_s * self._ticks_per_s
            own_s = (ticks - self._begin) / self._ticks_per_s
            time_s = own_s if own_s > self._last_s else time_s
        self._number, self._last_s = self._number + 1, time_s
        return self._number - 1, time_s


class Extent:
    """From the first packet's time to the end of the last, in ticks, and the longest step between two in a row."""

    def __init__(self) -> None:
        """No packet was seen."""
        self.begin: int | None = None
        self.end = self.gap = 0
        self._newest = 0

    def add(self, pts: int | None, duration: int | None) -> None:
        """Note a packet that is shown."""
        if pts is None:
            return
        if self.begin is None:
            self.begin = self._newest = self.end = pts
        self.gap = max(self.gap, pts - self._newest)
        self.begin, self._newest = min(self.begin, pts), max(self._newest, pts)
        self.end = max(self.end, pts + (duration or 0))

    def shortfall(self, length_s: float | None, ticks_per_s: float, frames_per_s: float) -> str:
        """Return what is missing at the end of a film whose file states `length_s`, as text; empty for nothing."""
        if length_s is None or self.begin is None:
            return ""
        # A length counts from 0, also where the film begins later.
        has_s = (self.end - min(self.begin, 0)) / ticks_per_s
        rounding_s = max(_PART * length_s, _FRAMES * max(1 / frames_per_s, self.gap / ticks_per_s))
        if has_s >= length_s - rounding_s:
            return ""
        return f"its frames end after {has_s:.1f} s of the {length_s:.1f} s that the file states; is the file complete?"
