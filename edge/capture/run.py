"""`cageclock capture`: from the settings to a loop that waits, takes a slot, and waits again."""

from __future__ import annotations

import signal
import sys
from datetime import datetime
from functools import partial
from pathlib import Path

from edge.camera.choose import make_camera
from edge.camera.protocol import Camera
from edge.capture.clockwatch import ClockWatch
from edge.capture.due_slots import DueSlots
from edge.capture.event_writer import EventWriter
from edge.capture.exit_codes import code_of_unreadable, final_code
from edge.capture.full_disk_guard import FullDiskGuard
from edge.capture.line import describe_reading
from edge.capture.pending_events import DISK_FULL, RAISED, UNSEEN, PendingEvents
from edge.capture.preconditions import check_replay, check_watchdog, make_state_dir
from edge.capture.problem import warn
from edge.capture.process import CaptureProcess
from edge.capture.reading import TakenSlot
from edge.capture.start_events import append_start, find_last_seen, first_started_at, last_settled_s
from edge.capture.status import read_status
from edge.capture.status_writer import StatusWriter, recovery_of, tally_of, unsynced_of
from edge.capture.watchdog import Watchdog
from edge.config.load import config_sha256
from edge.config.tree import Config
from edge.config.zone import zone_of
from edge.errors import (
    DeviceError,
    DiskFull,
    EndOfReplay,
    StorageError,
    describe_error,
)
from edge.host.board import board_serial
from edge.outbox import Outbox
from edge.outbox.capture_requests import Requests
from edge.timing.clock import Clock, SteppedClock, SystemClock
from edge.timing.schedule import make_plan

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
    check_watchdog(config)
    check_replay(config)
    state_dir = make_state_dir(config)
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
        self._config, self._clock, self._outbox = config, clock, outbox
        self._digest, self._shows = config_sha256(config), shows
        self._last = read_status(state_dir)
        self._watchdog = Watchdog()
        self._requests = Requests(state_dir)
        self._stop = False
        self._due_s: float | None = None
        self._guard = FullDiskGuard(outbox, state_dir)
        self._raised_in_a_row = 0
        self._changes_pending = True
        self._events = EventWriter(outbox, clock, config.device_id)
        plan = make_plan(config.schedule, config.light_cycle, config.device_id)
        begun_at = first_started_at(self._last, stepped_from, clock)
        recovery, tally = recovery_of(self._last), tally_of(self._last, self._digest)
        clock_watch = ClockWatch(clock.boot_id, unsynced_of(self._last))
        self._due = DueSlots(plan, clock, tally)
        self._status = StatusWriter(
            state_dir, config.device_id, self._digest, clock, recovery, clock_watch, tally, begun_at
        )
        self._process = CaptureProcess(
            config=config,
            config_sha256=self._digest,
            clock=clock,
            camera=camera or make_camera(config, clock, begun_at),
            outbox=outbox,
            plan=plan,
            recovery=recovery,
            clock_watch=clock_watch,
            tally=tally,
            events=self._events,
        )
        self._pending = PendingEvents(self._events)

    def run(self, captures: int | None) -> int:
        """Take slots until the end and return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        events = self._events
        newest = self._outbox.newest()
        self._due.settled_s = last_settled_s(self._last, newest, self._clock)
        last_seen, missed = find_last_seen(self._last, newest, self._clock), self._due.missed_before()
        self._pending.add(
            lambda: append_start(events, self._clock, self._config, self._digest, self._last, last_seen, missed)
        )
        self._guard.run(self._pending.append_all)
        code, ended = 0, "stopped"
        try:
            code = self._take_slots(captures)
            ended = "stopped" if code == 0 else f"exit code {code}"
        except EndOfReplay as error:
            print(f"cageclock: {error}; the capture ends", file=sys.stderr)
            code, ended = code_of_unreadable(self._process), "end of replay"
        finally:
            self._watchdog.stopping()
            self._process.close()
        self._pending.add(lambda: events.append("stop", f"capture ended: {ended}", exit_code=code))
        self._guard.run(self._pending.append_all)
        if self._outbox.begun:
            self._status.write(self._process, self._due_s, ended)
        elif self._last is not None:
            self._status.repeat(self._last, self._process.problem, ended)
        return code

    def _take_slots(self, captures: int | None) -> int:
        """One loop: wait for the next slot or a request, take it, look after the rest."""
        taken = 0
        due_s = self._due.first_s()
        while captures is None or taken < captures:
            arrived = self._clock.sleep_until(due_s, self._poll)
            if self._stop:
                return 0
            if arrived:
                due_s = self._pass_missed(due_s)
                kept = self._guard.run(partial(self._take_due, due_s))
                taken += 1
                # It may have passed already: then it is taken late, or reported as missed.
                due_s = self._due.next_s(due_s)
            else:
                kept = self._guard.run(self._take_requested)
            if self._raised_in_a_row >= _RAISED_IN_A_ROW:
                return DeviceError.exit_code
            code = self._process.exit_code() if kept else None
            if code is not None:
                return code
        return final_code(self._process, is_bounded=captures is not None, is_without_reading=self._raised_in_a_row > 0)

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
        request = self._requests.pop_oldest()
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
        self._status.write(self._process, self._due_s)
        self._outbox.maintain()

    def _pass_missed(self, due_s: float) -> float:
        """Return the newest slot that is due; older ones are counted as missed."""
        due_s, passed = self._due.pass_missed(due_s)
        if passed:
            self._pending.add_missed(len(passed), passed[-1], UNSEEN)
        return due_s

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._stop = True
