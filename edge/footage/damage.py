"""Which frames of a film are damaged though a decoder gave them: concealed ones, and those that build on them.

A decoder that cannot read a part of a picture fills it from its neighbours, and goes on. What it fills is no
observation, and stays in the pictures that are coded as differences until the next one that is coded whole.
"""

from __future__ import annotations

from collections import deque

MOST_HELD = 17
"""No decoder keeps more pictures to put them in order (H.264 and H.265: 16)."""
_REMEMBERED = 64
WHOLE, DAMAGED, BUILDS_ON_DAMAGE = "", "is damaged", "builds on a damaged frame"


class Damage:
    """Follows the packets into a decoder and the frames out of it; a packet is known by its time stamp.

    Packets go in by the order of decoding, frames come out by that of showing. So a frame is judged once everything
    that it may build on has come out, too. Where frames have no time stamps, they are judged in the order in which
    they come.
    """

    def __init__(self, *, shown_by_time: bool = True) -> None:
        """Nothing has gone in. shown_by_time: frames come out by their time stamps, which AVI's only number packets."""
        self._shown_by_time = shown_by_time
        self._sent = 0
        self._order: dict[int, int] = {}
        self._awaited: dict[int, int] = {}
        self._disposable: set[int] = set()
        self._damaged: deque[int] = deque(maxlen=_REMEMBERED)
        self._spoiled: deque[int] = deque(maxlen=_REMEMBERED)
        self._whole: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._broken = False

    def sent(self, pts: int | None, *, whole: bool, disposable: bool, damaged: bool) -> None:
        """Note a packet. whole: it builds on no other. disposable: none builds on it. damaged: its file says so."""
        self._sent += 1
        if disposable:
            self._disposable.add(self._sent)
        if pts is not None:
            self._order[pts] = self._sent
            self._awaited[self._sent] = pts
            if whole:
                self._whole.append((self._sent, pts))
        self._awaited.pop(self._sent - 2 * MOST_HELD, None)  # it does not come any more
        if damaged:
            self._spoil(self._sent)
        if len(self._order) > 4 * _REMEMBERED:
            oldest = self._sent - _REMEMBERED
            self._order = {one: at for one, at in self._order.items() if at > oldest}
            self._awaited = {at: one for at, one in self._awaited.items() if at > oldest}
            self._disposable = {at for at in self._disposable if at > oldest}

    def refused(self) -> None:
        """Note that the decoder refused the packet that was sent last."""
        self._spoil(self._sent)

    def lost(self, pts: int | None) -> None:
        """Note a frame that never came."""
        self._spoil(self._at(pts))

    def came(self, pts: int | None, *, whole: bool, damaged: bool) -> None:
        """Note a frame. damaged: the decoder says that it concealed a part."""
        if whole:
            self._broken = False
        if damaged:
            self._spoil(self._at(pts))
        if pts is not None and self._shown_by_time:
            self._awaited = {at: one for at, one in self._awaited.items() if one > pts}
        else:
            self._awaited.pop(self._order.get(pts or 0, 0), None)

    def is_open(self, pts: int | None) -> bool:
        """Return whether a frame that came may still turn out to build on a damaged one."""
        at = self._at(pts)
        return at is not None and any(one < at for one in self._awaited)

    def of(self, pts: int | None) -> str:
        """Return what is wrong with a frame that came: WHOLE, DAMAGED or BUILDS_ON_DAMAGE."""
        at = self._at(pts)
        if pts is None or at is None:
            return BUILDS_ON_DAMAGE if self._broken else WHOLE
        if at in self._damaged:
            return DAMAGED
        before = max((one for one in self._spoiled if one < at), default=None)
        # A whole picture saves those behind it, but not one that is shown before it: that builds on what was there.
        saved = any(before < one <= at and shown <= pts for one, shown in self._whole) if before is not None else True
        return WHOLE if saved else BUILDS_ON_DAMAGE

    def _at(self, pts: int | None) -> int | None:
        return None if pts is None else self._order.get(pts)

    def _spoil(self, at: int | None) -> None:
        self._broken = True
        if at is not None:
            self._damaged.append(at)
            if at not in self._disposable:
                self._spoiled.append(at)
