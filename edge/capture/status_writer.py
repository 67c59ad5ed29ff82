"""Writes `capture.json`, and takes up from it what goes on over a restart."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import msgspec

from edge.capture.clockwatch import ClockWatch, Offset
from edge.capture.process import CaptureProcess
from edge.capture.status import CaptureStatus, UnsyncedLabels, UsableReadings, write_status
from edge.capture.take_frames import COUNTERS, RecoveryState
from edge.timing.clock import Clock
from edge.timing.schedule import Tally
from edge.version import VERSION


def recovery_of(last: CaptureStatus | None) -> RecoveryState:
    """Return the recovery ladder's state as the last process left it."""
    if last is None:
        return RecoveryState()
    counters = dict.fromkeys(COUNTERS, 0) | last.recovery
    return RecoveryState(counters, failed_in_a_row=0, restarts_in_a_row=last.restarts_in_a_row)


def tally_of(last: CaptureStatus | None, config_sha256: str) -> Tally:
    """Return the last process's tally; other settings may mean other windows."""
    tally = Tally()
    if last is not None and last.config_sha256 == config_sha256:
        tally.counts.update({(one.window, one.lights_on_at): one.readings for one in last.usable})
    return tally


def unsynced_of(last: CaptureStatus | None) -> Offset | None:
    """Return the labels of a boot whose clock was not set, None where there are none to correct."""
    if last is None or last.unsynced is None:
        return None
    return Offset(last.unsynced.boot_id, last.unsynced.lowest_s, last.unsynced.highest_s)


class StatusWriter:
    """Writes the state of one process, with every slot and at its end."""

    def __init__(
        self,
        state_dir: Path,
        device_id: str,
        config_sha256: str,
        clock: Clock,
        recovery: RecoveryState,
        clock_watch: ClockWatch,
        tally: Tally,
        first_started_at: datetime,
    ) -> None:
        """The process has started now. first_started_at: see `CaptureStatus`."""
        self._state_dir, self._device_id, self._config_sha256 = state_dir, device_id, config_sha256
        self._clock, self._recovery, self._clock_watch, self._tally = clock, recovery, clock_watch, tally
        self._first_started_at, self._started_at = first_started_at, clock.now()

    def write(self, process: CaptureProcess, last_due_s: float | None, ended: str = "") -> None:
        """Replace the file. ended: how the process ends, "" while it goes on."""
        unsynced, state = self._clock_watch.unsynced, process.describe()
        labels = None
        if unsynced is not None:
            labels = UnsyncedLabels(boot_id=unsynced.boot_id, lowest_s=unsynced.lowest_s, highest_s=unsynced.highest_s)
        status = CaptureStatus(
            device_id=self._device_id,
            version=VERSION,
            boot_id=self._clock.boot_id,
            pid=os.getpid(),
            first_started_at=self._first_started_at,
            started_at=self._started_at,
            updated_at=self._clock.now(),
            monotonic_s=self._clock.monotonic_s(),
            last_due_s=last_due_s,
            config_sha256=self._config_sha256,
            camera=state.camera,
            model=state.model,
            last_fresh_frame_at=state.fresh_frame_at,
            last_fresh_frame_monotonic_s=state.fresh_frame_monotonic_s,
            recovery=dict(self._recovery.counters),
            failed_in_a_row=self._recovery.failed_in_a_row,
            restarts_in_a_row=self._recovery.restarts_in_a_row,
            unsynced=labels,
            clock_synced=self._clock.synced(),
            ended=ended,
            problem=process.problem,
            usable=tuple(
                UsableReadings(window=window, lights_on_at=day, readings=count)
                for (window, day), count in self._tally.counts.items()
            ),
        )
        write_status(self._state_dir, status)

    def repeat(self, last: CaptureStatus, problem: str, ended: str) -> None:
        """Leave what the last process left, with how this one ended: it never got to a slot, and has left no record.

        Its next start must count the gap from the process before, and health must say what is wrong.
        """
        write_status(
            self._state_dir,
            msgspec.structs.replace(
                last,
                ended=ended,
                problem=problem or ("" if ended == "stopped" else f"it ended before its first slot: {ended}"),
                recovery=dict(self._recovery.counters),
                failed_in_a_row=self._recovery.failed_in_a_row,
                restarts_in_a_row=self._recovery.restarts_in_a_row,
            ),
        )
