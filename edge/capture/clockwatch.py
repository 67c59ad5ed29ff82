"""What the wall clock did: became synchronised, or was stepped. Pure; fed once a slot and once an idle tick.

Labels made while the clock was unsynchronised are never edited. Once it is synchronised, one `clock` record gives
what to add to them.
"""

from __future__ import annotations

from dataclasses import dataclass

STEP_S = 2.0
"""NTP slews what is smaller; a larger jump was a step."""


@dataclass(frozen=True, slots=True)
class Offset:
    """Range of (Unix time - monotonic time) under which labels of a boot were made while unsynchronised."""

    boot_id: str
    lowest_s: float
    highest_s: float


@dataclass(frozen=True, slots=True)
class Correction:
    """The clock became synchronised in the boot in which unsynchronised labels had been made.

    offset_s: to add to a label. epoch_offset_s: true Unix time minus monotonic time. uncertainty_s: half the range of
    the offsets under which labels were made, because a label does not show which one it had; at least the step limit's
    tenth.
    """

    boot_id: str
    offset_s: float
    epoch_offset_s: float
    uncertainty_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """The synchronised clock jumped by this many seconds."""

    step_s: float


class ClockWatch:
    """Compares wall and monotonic clock from observation to observation."""

    def __init__(self, boot_id: str, unsynced: Offset | None) -> None:
        """Go on from what an earlier process of this boot has labelled; another boot's offset can never be known."""
        self._boot_id = boot_id
        self.unsynced = unsynced if unsynced is not None and unsynced.boot_id == boot_id else None
        self._last_synced_s: float | None = None

    def labelled(self, epoch_offset_s: float, synced: bool) -> None:
        """Take note that a record was labelled now."""
        if synced:
            return
        low = high = epoch_offset_s
        if self.unsynced is not None:
            low, high = min(low, self.unsynced.lowest_s), max(high, self.unsynced.highest_s)
        self.unsynced = Offset(self._boot_id, low, high)

    def observe(self, epoch_offset_s: float, synced: bool) -> Correction | Step | None:
        """Return what happened since the last observation, at most once each."""
        if not synced:
            self._last_synced_s = None
            return None
        before, self._last_synced_s = self._last_synced_s, epoch_offset_s
        if self.unsynced is not None:
            wrong, self.unsynced = self.unsynced, None
            middle_s = (wrong.lowest_s + wrong.highest_s) / 2
            half_s = (wrong.highest_s - wrong.lowest_s) / 2
            return Correction(self._boot_id, epoch_offset_s - middle_s, epoch_offset_s, max(half_s, STEP_S / 10))
        if before is not None and abs(epoch_offset_s - before) > STEP_S:
            return Step(epoch_offset_s - before)
        return None
