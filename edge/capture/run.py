"""`cageclock capture`: from the settings to a loop that waits, takes a slot, and waits again."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec

from edge.camera.choose import make_camera
from edge.camera.pictures import open_pictures
from edge.camera.protocol import Camera
from edge.capture.clockwatch import ClockWatch, Offset
from edge.capture.event_writer import EventWriter
from edge.capture.ladder import COUNTERS, RecoveryState, worst_slot_s
from edge.capture.line import describe_reading
from edge.capture.pending_events import DISK_FULL, RAISED, UNSEEN, PendingEvents
from edge.capture.problem import warn
from edge.capture.process import CaptureProcess, TakenSlot
from edge.capture.start_events import append_start, find_last_seen, first_started_at, last_settled_s
from edge.capture.status import CaptureStatus, UnsyncedLabels, UsableReadings, read_status, write_status
from edge.capture.watchdog import Watchdog
from edge.config.load import config_sha256
from edge.config.state_folder import capture_folder
from edge.config.tree import Config
from edge.config.zone import zone_of
from edge.contract.reading import Outcome
from edge.contract.service.systemd_notify import watchdog_limit_s
from edge.errors import (
    EXIT_PASSED_OVER,
    CameraMissing,
    DeviceError,
    DiskFull,
    EndOfReplay,
    OperatorError,
    StorageError,
    describe_error,
)
from edge.host.board import board_serial
from edge.outbox import Outbox
from edge.outbox.capture_requests import Requests
from edge.timing.clock import Clock, SteppedClock, SystemClock
from edge.timing.schedule import Tally, make_plan, missed_slots, next_due_s
from edge.version import VERSION

_MISSED_LIMIT = 100_000
_RAISED_IN_A_ROW = 3
"""After this many slots in a row without a reading the process ends, because a fresh one may do better."""


def run(
    config: Config, *, captures: int | None = None, stepped_from: datetime | None = None, shows: bool = False
) -> int:
    """Capture until a signal ends it, or for a number of due slots, and return the exit code.

    stepped_from: begin a stepped clock there instead of the machine's own. shows: a line a reading on standard output.

    Raises:
        OperatorError: the state directory or a replay's path cannot be used, or the unit's watchdog is shorter than a
            slot may take.
        StorageError: the outbox cannot be opened.
    """
    _check_watchdog(config)
    _check_replay(config)
    state_dir = _make_state_dir(config)
    clock: Clock = SystemClock() if stepped_from is None else SteppedClock(stepped_from)
    outbox = Outbox.open(state_dir, config.outbox, device_id=config.device_id, serial=board_serial(), clock=clock)
    try:
        return Capture(config, clock, outbox, state_dir, stepped_from, shows=shows).run(captures)
    finally:
        outbox.close()


class Capture:
    """The running process: its schedule, its clock, and how it ends."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        outbox: Outbox,
        state_dir: Path,
        stepped_from: datetime | None,
        camera: Camera | None = None,
        shows: bool = False,
    ) -> None:
        """Go on where the last process stopped. camera: another than the settings', for simulations."""
        self._config, self._clock, self._outbox, self._state_dir = config, clock, outbox, state_dir
        self._digest, self._shows = config_sha256(config), shows
        self._last = read_status(state_dir)
        self._plan = make_plan(config.schedule, config.light_cycle, config.device_id)
        self._watchdog = Watchdog()
        self._requests = Requests(state_dir)
        self._stop = False
        self._started_at = clock.now()
        self._begun_at = first_started_at(self._last, stepped_from, clock)
        self._due_s: float | None = None
        self._last_settled_s: float | None = None
        self._refused = False
        self._full_reported = False
        self._raised_in_a_row = 0
        self._changes_pending = True
        self._events = EventWriter(outbox, clock, config.device_id)
        self._recovery = _recovery_of(self._last)
        self._clock_watch = ClockWatch(clock.boot_id, _unsynced_of(self._last))
        self._tally = _tally_of(self._last, self._digest)
        self._process = CaptureProcess(
            config=config,
            config_sha256=self._digest,
            clock=clock,
            camera=camera or make_camera(config, clock, self._begun_at),
            outbox=outbox,
            plan=self._plan,
            recovery=self._recovery,
            clock_watch=self._clock_watch,
            tally=self._tally,
            events=self._events,
        )
        self._pending = PendingEvents(self._events)

    def run(self, captures: int | None) -> int:
        """Take slots until the end and return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        events = self._events
        newest = self._outbox.newest()
        self._last_settled_s = last_settled_s(self._last, newest, self._clock)
        last_seen, missed = find_last_seen(self._last, newest, self._clock), self._missed_before()
        self._pending.add(
            lambda: append_start(events, self._clock, self._config, self._digest, self._last, last_seen, missed)
        )
        self._kept(self._pending.append_all)
        code, ended = 0, "stopped"
        try:
            code = self._take_slots(captures)
            ended = "stopped" if code == 0 else f"exit code {code}"
        except EndOfReplay as error:
            print(f"cageclock: {error}; the capture ends", file=sys.stderr)
            code, ended = self._code_of_unreadable(), "end of replay"
        finally:
            self._watchdog.stopping()
            self._process.close()
        self._pending.add(lambda: events.append("stop", f"capture ended: {ended}", exit_code=code))
        self._kept(self._pending.append_all)
        if self._outbox.begun:
            self._write_status(ended)
        elif self._last is not None:
            self._repeat_status(self._last, ended)
        return code

    def _take_slots(self, captures: int | None) -> int:
        """One loop: wait for the next slot or a request, take it, look after the rest."""
        taken = 0
        due_s = self._first_due_s()
        while captures is None or taken < captures:
            arrived = self._clock.sleep_until(due_s, self._poll)
            if self._stop:
                return 0
            if arrived:
                due_s = self._pass_missed(due_s)
                kept = self._kept(partial(self._take_due, due_s))
                taken += 1
                # It may have passed already: then it is taken late, or reported as missed.
                due_s = self._next_due_s(due_s)
            else:
                kept = self._kept(self._take_requested)
            if self._raised_in_a_row >= _RAISED_IN_A_ROW:
                return DeviceError.exit_code
            code = self._process.exit_code() if kept else None
            if code is not None:
                return code
        return self._final_code(captures)

    def _take_due(self, due_s: float) -> None:
        """Take the slot, and look after the rest. A slot that yields no reading becomes part of a pending gap.

        Raises:
            EndOfReplay: there was nothing to read.
            StorageError: the outbox cannot keep anything; the one error that may end the process here.
        """
        taken: TakenSlot | None = None
        try:
            taken = self._process.take_slot(before=self._pending.append_all)
        except DiskFull:
            self._pending.add_missed(1, due_s, DISK_FULL)
            raise
        except (StorageError, EndOfReplay):
            raise
        except Exception as error:  # noqa: BLE001 - what even the labels of a fault could not survive
            warn(f"a due slot has no reading: {describe_error(error)}")
            if self._process.find_stored() is None:
                self._pending.add_missed(1, due_s, RAISED)
        self._raised_in_a_row = 0 if taken is not None else self._raised_in_a_row + 1
        self._due_s = due_s
        if taken is not None:
            self._look_after(taken)

    def _take_requested(self) -> None:
        request = self._requests.take()
        if request is None:
            return
        # Its own row before the shot: after a crash a request is not fired a second time.
        self._outbox.mark_taken(request)
        try:
            taken = self._process.take_slot(request)
        except (StorageError, EndOfReplay):
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked gets no answer and asks again
            warn(f"the requested capture has no reading: {describe_error(error)}")
            return
        self._look_after(taken)

    def _kept(self, append: Callable[[], None]) -> bool:
        """Return whether what was appended is durable. While the disk is full, slots pass and are counted."""
        try:
            append()
        except DiskFull as error:
            if not self._refused:
                print(f"cageclock: {error}. Readings cannot be kept until there is space", file=sys.stderr, flush=True)
            self._refused = True
            self._outbox.maintain()
            return False
        self._refused = False
        self._report_full()
        return True

    def _report_full(self) -> None:
        """Print once, each time that the disk fills up, that pictures are dropped while readings still fit."""
        if self._outbox.full and not self._full_reported:
            text = f"{self._state_dir}: no space left on the disk; free some, or lower outbox.max_mb"
            print(f"cageclock: {text}. Readings are kept, pictures are dropped", file=sys.stderr, flush=True)
        self._full_reported = self._outbox.full

    def _poll(self) -> bool:
        """Look around while waiting: return whether there is something else to do than wait."""
        self._watchdog.idle()
        return self._stop or self._requests.waiting()

    def _look_after(self, taken: TakenSlot) -> None:
        """Do what comes after a durable reading: notify systemd, write the status file, maintain the outbox.

        Raises:
            StorageError: the outbox cannot keep an event.
        """
        for step in (self._process.finish_slot, self._after):
            try:
                step(taken)
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - the reading is durable; the next one brings another try
                warn(f"the reading is stored, but a step after it failed: {describe_error(error)}")

    def _after(self, taken: TakenSlot) -> None:
        reading = taken.reading
        if self._shows:
            print(describe_reading(reading, zone_of(self._config.light_cycle.zone)), flush=True)
        self._watchdog.ready()
        self._watchdog.progress(f"{reading.captured_at.isoformat(timespec='seconds')} {reading.outcome.value}")
        self._process.watch_clock()
        if self._changes_pending:
            self._process.append_changes_since(self._last)
            self._changes_pending = False
        self._write_status("")
        self._outbox.maintain()

    def _first_due_s(self) -> float:
        """Return when the first slot is due: at once, unless an earlier process of this boot has just taken one."""
        now_s = self._clock.monotonic_s()
        if self._last_settled_s is None:
            return now_s
        return max(now_s, self._next_due_s(self._last_settled_s))

    def _missed_before(self) -> list[float] | None:
        """Return the due times of this boot that passed before the start, but for the newest: it is taken at once."""
        if self._last_settled_s is None:
            return None
        due_s, now_s = self._next_due_s(self._last_settled_s), self._clock.monotonic_s()
        passed = missed_slots(self._plan, due_s, now_s, self._epoch_offset_s(), self._tally)
        return list(islice(passed, _MISSED_LIMIT))

    def _next_due_s(self, after_s: float) -> float:
        return next_due_s(self._plan, after_s, self._epoch_offset_s(), self._tally)

    def _pass_missed(self, due_s: float) -> float:
        """Return the newest slot that is due; older ones, passed unseen (suspended, overrun), are counted as missed."""
        now_s = self._clock.monotonic_s()
        passed = list(
            islice(missed_slots(self._plan, due_s, now_s, self._epoch_offset_s(), self._tally), _MISSED_LIMIT)
        )
        if passed:
            due_s = self._next_due_s(passed[-1])
            self._pending.add_missed(len(passed), passed[-1], UNSEEN)
        return due_s

    def _epoch_offset_s(self) -> float | None:
        if not self._clock.synced():
            return None
        return self._clock.now().timestamp() - self._clock.monotonic_s()

    def _final_code(self, captures: int | None) -> int:
        """Return 0, or for a bounded run the code of what kept its last slot from being a measurement."""
        outcome = self._process.last_outcome
        if self._raised_in_a_row:
            return DeviceError.exit_code
        if captures is not None and outcome is Outcome.CAMERA_FAULT:
            return DeviceError.exit_code
        if captures is not None and outcome is Outcome.MODEL_FAULT:
            return self._process.model_fault_code()
        return 0 if captures is None else self._code_of_unreadable()

    def _code_of_unreadable(self) -> int:
        """Return the code of a replay: each picture that could not be read has its reading and was named."""
        return EXIT_PASSED_OVER if self._process.unreadable else 0

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._stop = True

    def _repeat_status(self, last: CaptureStatus, ended: str) -> None:
        """Leave what the last process left, with how this one ended: it never got to a slot, and has left no record.

        Its next start must count the gap from the process before, and health must say what is wrong.
        """
        process = self._process
        write_status(
            self._state_dir,
            msgspec.structs.replace(
                last,
                ended=ended,
                problem=process.problem or ("" if ended == "stopped" else f"it ended before its first slot: {ended}"),
                recovery=dict(self._recovery.counters),
                failed_in_a_row=self._recovery.failed_in_a_row,
                restarts_in_a_row=self._recovery.restarts_in_a_row,
            ),
        )

    def _write_status(self, ended: str) -> None:
        process = self._process
        unsynced = self._clock_watch.unsynced
        write_status(
            self._state_dir,
            CaptureStatus(
                device_id=self._config.device_id,
                version=VERSION,
                boot_id=self._clock.boot_id,
                pid=os.getpid(),
                first_started_at=self._begun_at,
                started_at=self._started_at,
                updated_at=self._clock.now(),
                monotonic_s=self._clock.monotonic_s(),
                last_due_s=self._due_s,
                config_sha256=self._digest,
                camera=process.describe_camera(),
                model=process.describe_model(),
                last_fresh_frame_at=process.fresh_frame.at,
                last_fresh_frame_monotonic_s=process.fresh_frame.monotonic_s,
                recovery=dict(self._recovery.counters),
                failed_in_a_row=self._recovery.failed_in_a_row,
                restarts_in_a_row=self._recovery.restarts_in_a_row,
                unsynced=None
                if unsynced is None
                else UnsyncedLabels(boot_id=unsynced.boot_id, lowest_s=unsynced.lowest_s, highest_s=unsynced.highest_s),
                clock_synced=self._clock.synced(),
                ended=ended,
                problem=process.problem,
                usable=tuple(
                    UsableReadings(window=window, lights_on_at=day, readings=count)
                    for (window, day), count in self._tally.counts.items()
                ),
            ),
        )


def _recovery_of(last: CaptureStatus | None) -> RecoveryState:
    if last is None:
        return RecoveryState()
    counters = dict.fromkeys(COUNTERS, 0) | last.recovery
    return RecoveryState(counters, failed_in_a_row=0, restarts_in_a_row=last.restarts_in_a_row)


def _tally_of(last: CaptureStatus | None, config_sha256: str) -> Tally:
    """Return the last process's tally; other settings may mean other windows."""
    tally = Tally()
    if last is not None and last.config_sha256 == config_sha256:
        tally.counts.update({(one.window, one.lights_on_at): one.readings for one in last.usable})
    return tally


def _unsynced_of(last: CaptureStatus | None) -> Offset | None:
    if last is None or last.unsynced is None:
        return None
    return Offset(last.unsynced.boot_id, last.unsynced.lowest_s, last.unsynced.highest_s)


def _check_watchdog(config: Config) -> None:
    limit_s = watchdog_limit_s()
    worst_s = worst_slot_s(config)
    if limit_s is not None and worst_s >= limit_s:
        raise OperatorError(
            f"camera timeouts and burst_frames let one slot take {worst_s:.0f} s, but the unit's WatchdogSec is "
            f"{limit_s:.0f} s; lower them or raise WatchdogSec"
        )


def _check_replay(config: Config) -> None:
    """Raise OperatorError where the stored pictures cannot be found: a path is not a camera, that may come back."""
    if config.camera.backend != "replay" or config.camera.replay is None:
        return
    try:
        open_pictures(Path(config.camera.replay.path), config.camera.replay.frames_per_s)
    except CameraMissing as error:
        raise OperatorError(f"camera.replay.path: {error}") from error


def _make_state_dir(config: Config) -> Path:
    path = Path(config.state_dir)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"state_dir: {path} cannot be made: {error.strerror}; correct the path or its rights"
        ) from error
    if not os.access(path, os.X_OK):
        raise OperatorError(f"state_dir: {path} cannot be written by this user; correct its owner or its rights")
    own = capture_folder(path)
    if not os.access(own, os.W_OK | os.X_OK):
        raise OperatorError(f"state_dir: {own} cannot be written by this user; correct its owner or its rights")
    return path
