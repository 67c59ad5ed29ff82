"""The trial of a newly installed bundle: PENDING until it has proved itself, then GOOD, or condemned and not run again.

Who writes what. Only the bundle unit writes `bundles/`, so capture keeps the trial in its own `trial.json` and decides
by it which slot runs: the active one, or the one before it once the active one is condemned. At its next run the bundle
unit reads the verdict, moves the links and refuses that digest for good (`edge.bundle.verdict`). Nobody waits for
anybody.

What is counted. Before a model on trial is loaded or runs, a mark is made durable; after it the mark goes. A mark that
a start finds shows that the process ended while the model was at work: a crash, a watchdog kill, or a power cut at that
moment. A kill between two captures leaves no mark and counts for nothing. One bad end condemns nobody, since a power
cut is no fault of the model: `BAD_ENDS` of them do, and so does a wrong golden output at once. An error that the
runtime raises is a bad end too, and so is an answer that no reading can hold. `trial_captures` captures that ran the
model and `trial_minutes` of work make it GOOD. In a capture without an animal the golden inputs take its place: an
empty cage alone proves no age model.

What it costs: two small synced writes a capture, while the trial lasts and never after it. A full disk loses marks, not
models: what cannot be marked is not counted. A damaged file begins all trials anew; digests that the bundle unit has
refused by then do not come back.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from edge.bundle.slots import write_durably
from edge.config.state_folder import capture_folder
from edge.config.tree import Bundle as Settings
from edge.contract import jsontext
from edge.contract.base import Struct
from edge.errors import MessageError

if TYPE_CHECKING:
    from edge.contract.bundle.bundle import Bundle

FILE = "trial.json"
BAD_ENDS = 3
"""This many ends at work, while PENDING, condemn a bundle."""
_KEPT = 16
_MAX_BYTES = 100_000
_KILLED = "capture ended while the model was at work (a crash, the watchdog, or a power cut)"


class Pending(Struct, frozen=True, kw_only=True):
    """How far one bundle is. begun: the model is at work, or was when the process ended."""

    sha256: str
    captures: int = 0
    minutes: float = 0.0
    bad_ends: int = 0
    begun: bool = False


class Condemned(Struct, frozen=True, kw_only=True):
    """A bundle that failed its trial. reported: the event about it is in the outbox (`told` in the file)."""

    sha256: str
    reason: str
    reported: bool = msgspec.field(default=False, name="told")


class Trials(Struct, frozen=True, kw_only=True):
    """The file: of each state the newest bundles, oldest first.

    reported_installs: number of the newest entry of `bundles/history.json` that became an event (`told_installs` in
    the file).
    """

    schema: Literal["cageclock/trials/1"] = "cageclock/trials/1"
    pending: tuple[Pending, ...] = ()
    good: tuple[str, ...] = ()
    condemned: tuple[Condemned, ...] = ()
    reported_installs: int = msgspec.field(default=0, name="told_installs")

    def reason(self, sha256: str) -> str | None:
        """Return why a bundle is condemned, None where it is not."""
        return next((one.reason for one in self.condemned if one.sha256 == sha256), None)

    def of(self, sha256: str) -> Pending:
        """Return how far a bundle is; one that was never marked has not started."""
        return next((one for one in self.pending if one.sha256 == sha256), Pending(sha256=sha256))

    def with_pending(self, one: Pending) -> Trials:
        """Return the state with one bundle's progress replaced."""
        others = (other for other in self.pending if other.sha256 != one.sha256)
        return msgspec.structs.replace(self, pending=(*others, one)[-_KEPT:])

    def adopting(self, bundle: Bundle) -> Trials:
        """Return the state with a bundle's present name, where an earlier version named it by its file's digest."""
        old, new = bundle.file_sha256, bundle.sha256
        named = {one.sha256 for one in self.pending} | {one.sha256 for one in self.condemned} | set(self.good)
        if old not in named:
            return self
        if new in named:  # both: what is known by its present name holds
            return msgspec.structs.replace(
                self,
                pending=tuple(one for one in self.pending if one.sha256 != old),
                good=tuple(one for one in self.good if one != old),
                condemned=tuple(one for one in self.condemned if one.sha256 != old),
            )
        return msgspec.structs.replace(
            self,
            pending=tuple(_renamed(one, old, new) for one in self.pending),
            good=tuple(new if one == old else one for one in self.good),
            condemned=tuple(_renamed(one, old, new) for one in self.condemned),
        )

    def ended(self, sha256: str, reason: str | None) -> Trials:
        """Return the state after a trial: condemned for a reason, or GOOD."""
        pending = tuple(one for one in self.pending if one.sha256 != sha256)
        good = tuple(one for one in self.good if one != sha256)
        condemned = tuple(one for one in self.condemned if one.sha256 != sha256)
        if reason is None:
            good = (*good, sha256)[-_KEPT:]
        else:
            condemned = (*condemned, Condemned(sha256=sha256, reason=reason[:500]))[-_KEPT:]
        return msgspec.structs.replace(self, pending=pending, good=good, condemned=condemned)


Named = TypeVar("Named", Pending, Condemned)


def _renamed(one: Named, old: str, new: str) -> Named:
    return msgspec.structs.replace(one, sha256=new) if one.sha256 == old else one


def read_trials(state_dir: Path) -> Trials:
    """Return what capture knows of its bundles; a device without the file, or with a damaged one, knows nothing."""
    try:
        # Whoever asks may be the bundle unit, which must not hang on what capture's user put there.
        handle = os.open(capture_folder(state_dir) / FILE, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with os.fdopen(handle, "rb", closefd=False) as file:  # of a folder it raises, and would not close it
                return jsontext.decode(file.read(_MAX_BYTES), Trials)
        finally:
            os.close(handle)
    except (OSError, MessageError):
        return Trials()


class Trial:
    """The one writer of `trial.json`: the capture process, which holds the outbox's lock."""

    def __init__(self, state_dir: Path, settings: Settings, monotonic_s: Callable[[], float]) -> None:
        """Read the file, and count what the last process left at work."""
        self._path, self._settings, self._monotonic_s = capture_folder(state_dir) / FILE, settings, monotonic_s
        self._since_s: dict[str, float] = {}
        self.state = read_trials(state_dir)
        for one in self.state.pending:
            if one.begun:
                self.ended_badly(one.sha256, _KILLED)

    def adopt(self, bundle: Bundle) -> None:
        """Rename a bundle that an older version wrote down by its file's digest."""
        adopted = self.state.adopting(bundle)
        if adopted is not self.state:
            self._save(adopted)

    def on_trial(self, sha256: str) -> bool:
        """Return whether a bundle has still to prove itself."""
        return sha256 not in self.state.good and self.state.reason(sha256) is None

    def begin(self, sha256: str) -> None:
        """Mark that the model is about to be loaded or run; durable when it returns, unless the disk is full."""
        if not self.on_trial(sha256):
            return
        self._since_s.setdefault(sha256, self._monotonic_s())
        self._save(self.state.with_pending(msgspec.structs.replace(self.state.of(sha256), begun=True)))

    def ended_well(self, sha256: str, *, invoked: bool) -> None:
        """Take the mark away; a piece of work that invoked the model counts."""
        if not self.on_trial(sha256):
            return
        before, now_s = self.state.of(sha256), self._monotonic_s()
        minutes = before.minutes + max(0.0, now_s - self._since_s.get(sha256, now_s)) / 60
        self._since_s[sha256] = now_s
        captures = before.captures + (1 if invoked else 0)
        if captures >= self._settings.trial_captures and minutes >= self._settings.trial_minutes:
            self._save(self.state.ended(sha256, None))
        else:
            after = msgspec.structs.replace(before, captures=captures, minutes=round(minutes, 4), begun=False)
            self._save(self.state.with_pending(after))

    def ended_badly(self, sha256: str, reason: str) -> None:
        """Take the mark away and count; the last of `BAD_ENDS` condemns the bundle."""
        if not self.on_trial(sha256):
            return
        before = self.state.of(sha256)
        bad_ends = before.bad_ends + 1
        if bad_ends >= BAD_ENDS:
            self.condemn(sha256, f"{bad_ends} times within its first {before.captures} captures, lastly: {reason}")
        else:
            after = msgspec.structs.replace(before, bad_ends=bad_ends, begun=False)
            self._save(self.state.with_pending(after))

    def condemn(self, sha256: str, reason: str) -> None:
        """End the trial: the bundle does not run again on this device."""
        if self.on_trial(sha256):
            self._save(self.state.ended(sha256, reason))

    def mark_reported(self, *, condemned: str | None = None, installs: int | None = None) -> None:
        """Note that events about a condemned bundle, or about installations up to a number, are in the outbox."""
        marked = tuple(
            msgspec.structs.replace(one, reported=True) if one.sha256 == condemned else one
            for one in self.state.condemned
        )
        number = self.state.reported_installs if installs is None else installs
        self._save(msgspec.structs.replace(self.state, condemned=marked, reported_installs=number))

    def _save(self, state: Trials) -> None:
        """Keep the state in memory whatever happens; a trial on a full disk is no reason to stop capturing."""
        self.state = state
        try:
            write_durably(self._path, jsontext.encode(state))
        except OSError:
            with contextlib.suppress(OSError):
                self._path.with_name(f".{FILE}").unlink()
