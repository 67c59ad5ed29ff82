"""Which frame of a film is the next one, those included that no decoder could make: by the packets' time stamps."""

from __future__ import annotations

from bisect import bisect_left, insort

Stamp = tuple[int, int]
"""Stretch of the film, and time in ticks of the stream. Where the clock of a recording jumps back, a stretch begins."""


class FrameOrder:
    """Compares what went into a decoder with what came out, as a film goes by.

    A decoder gives frames in the order of their times. So what is older than the frame that came, and has not come
    before it, was lost. What is lost is never more than packets that brought no frame; frames without a time
    (raw streams, some AVI files) are numbered as they come.
    """

    def __init__(self, ticks_per_s: float) -> None:
        """Nothing has gone in."""
        self._jump = ticks_per_s
        self._waiting: list[Stamp] = []
        self._stretch = 0
        self._newest_dts: int | None = None
        self.begun = False
        """Whether frames can be made from what goes in."""
        self._open = 0
        self._refused = 0

    def sent(self, pts: int | None, dts: int | None, begins: bool) -> None:
        """Note a packet. begins: frames can be made from it on; before it, a recording cut in the middle shows none."""
        self.begun = self.begun or begins
        if not self.begun:
            return
        self._open += 1
        if dts is not None:
            if self._newest_dts is not None and dts < self._newest_dts - self._jump:
                self._stretch += 1
            self._newest_dts = dts
        if pts is not None:
            insort(self._waiting, (self._stretch, pts))

    def refused(self, pts: int | None) -> None:
        """Note that the decoder refused the packet sent last; one with a time is found missing by it."""
        if self.begun and pts is None:
            self._refused += 1

    def came(self, pts: int | None, field_pairs: bool) -> list[int | None]:
        """Return the times of the frames lost before the one that came now, None for one whose time nobody knows.

        field_pairs: the frame is interlaced; a time in between is that of its second field, which comes in a packet of
            its own.
        """
        self.begun = True
        self._open -= 1
        lost: list[int | None] = []
        at = self._place(pts)
        if at is not None:
            lost += [ticks for _, ticks in self._waiting[:at]]
            del self._waiting[: at + 1]
            if field_pairs and len(lost) == 1 and not self._refused:
                self._open -= 1
                lost = []
        return self._counted(lost)

    def rest(self) -> list[int | None]:
        """Return the times of the frames lost at the end."""
        lost: list[int | None] = [ticks for _, ticks in self._waiting]
        self._waiting.clear()
        return self._counted(lost)

    def _counted(self, lost: list[int | None]) -> list[int | None]:
        lost = [*[None] * self._refused, *lost]
        self._refused = 0
        lost = lost[: max(0, self._open)]
        self._open -= len(lost)
        return lost

    def _place(self, pts: int | None) -> int | None:
        """Return where the frame waits, in the oldest stretch that has its time."""
        if pts is None:
            return None
        for stretch in range(self._waiting[0][0] if self._waiting else 1, self._stretch + 1):
            at = bisect_left(self._waiting, (stretch, pts))
            if at < len(self._waiting) and self._waiting[at] == (stretch, pts):
                return at
        return None
