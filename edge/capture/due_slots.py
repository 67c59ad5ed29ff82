"""When slots are due in the running process: the schedule on its clock, from the last slot that was settled."""

from __future__ import annotations

from itertools import islice

from edge.timing.clock import Clock
from edge.timing.schedule import Plan, Tally, missed_slots, next_due_s

_MISSED_LIMIT = 100_000


class DueSlots:
    """All times are seconds of the boot's monotonic clock.

    settled_s: of this boot's newest slot that was taken, or reported as missed, by an earlier process; None without.
    """

    def __init__(self, plan: Plan, clock: Clock, tally: Tally) -> None:
        """Nothing is settled yet."""
        self._plan, self._clock, self._tally = plan, clock, tally
        self.settled_s: float | None = None

    def first_s(self) -> float:
        """Return when the first slot is due: at once, unless an earlier process of this boot has just taken one."""
        now_s = self._clock.monotonic_s()
        return now_s if self.settled_s is None else max(now_s, self.next_s(self.settled_s))

    def next_s(self, after_s: float) -> float:
        """Return the first due time later than `after_s`."""
        return next_due_s(self._plan, after_s, self._epoch_offset_s(), self._tally)

    def missed_before(self) -> list[float] | None:
        """Return the due times of this boot that passed before the start, but for the newest: it is taken at once."""
        return None if self.settled_s is None else self._missed(self.next_s(self.settled_s))

    def pass_missed(self, due_s: float) -> tuple[float, list[float]]:
        """Return the newest slot that is due, and those before it that passed unseen (suspended, overrun)."""
        passed = self._missed(due_s)
        return (self.next_s(passed[-1]) if passed else due_s), passed

    def _missed(self, due_s: float) -> list[float]:
        passed = missed_slots(self._plan, due_s, self._clock.monotonic_s(), self._epoch_offset_s(), self._tally)
        return list(islice(passed, _MISSED_LIMIT))

    def _epoch_offset_s(self) -> float | None:
        """Return Unix time minus monotonic time, None while the wall clock is not synchronised."""
        return self._clock.now().timestamp() - self._clock.monotonic_s() if self._clock.synced() else None
