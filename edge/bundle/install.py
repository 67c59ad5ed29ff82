"""From a bundle file to the active link: verify, canary, activate; and the way back."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edge.bundle.canary import LIMIT_S, Verdict, ask_canary
from edge.bundle.history import Entry, History, entry_of, now, read_history, write_history
from edge.bundle.rules import check_release, check_target
from edge.bundle.slots import ACTIVE, PREVIOUS, Slots
from edge.bundle.verdict import displaces, settle
from edge.capture.model import trusted_keys
from edge.capture.trial import read_trials
from edge.config.tree import Config
from edge.errors import BundleError, DeviceError, OperatorError
from edge.model.bundle import Bundle, read_bundle
from edge.outbox.lock import WriterLock

STILL_S = 2.0
"""A file in the inbox that has not grown for so long is taken as whole; the signature shows whether it is."""
STILL_LIMIT_S = 60.0
INBOX_S = 60.0
"""After so long no further file of the inbox is begun; the path unit starts the next run."""
WORST_S = INBOX_S + STILL_LIMIT_S + LIMIT_S + 20.0
"""The sum of one run's bounded waits, with time for copying to a slow card; the unit allows more."""


class Installer:
    """The one writer of a device's `bundles` folder. Use as a context manager: it holds the writer's lock."""

    def __init__(self, config: Config, canary: Callable[[Path, Sequence[bytes]], Verdict] = ask_canary) -> None:
        """Look at the settings. canary: tries a bundle file, trusted keys given, before it is activated.

        Raises:
            OperatorError: the settings name a bundle of their own, or a trusted key cannot be read.
        """
        if config.bundle.path is not None:
            raise OperatorError(
                f"bundle.path: the settings name {config.bundle.path}, so an installed bundle would not be used; "
                "remove bundle.path first"
            )
        self._keys = trusted_keys(config)
        self._canary = canary
        self._groups = config.bundle.target_groups
        self._state_dir = Path(config.state_dir)
        self._slots = Slots(self._state_dir)
        self._lock: WriterLock | None = None

    def __enter__(self) -> Installer:
        """Take the lock.

        Raises:
            OperatorError: another installation runs, or the folder cannot be made.
        """
        try:
            self._slots.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise OperatorError(f"{self._slots.folder}: cannot be made: {error.strerror}; correct its owner") from error
        self._lock = WriterLock(self._slots.folder / "lock", os.fspath(self._slots.folder))
        return self

    def __exit__(self, *_: object) -> None:
        """Let the next one install."""
        if self._lock is not None:
            self._lock.release()

    def install(self, file: str, source: int) -> Entry:
        """Install the open file and return what came of it; a refusal is an entry too and changes nothing else.

        Raises:
            BundleError: the history is damaged.
            DeviceError: the card failed or is full; the active bundle is what it was.
        """
        history, _ = self._settled()
        file = _printable(file)
        try:
            return self._install(history, file, source)
        except BundleError as error:
            return self._note(history, Entry(at=now(), result="refused", file=file, reason=str(error)[:500]))
        except OSError as error:
            raise DeviceError(f"{self._slots.folder}: {error.strerror}; the active bundle is unchanged") from error

    def install_inbox(self, inbox: Path) -> list[Entry]:
        """Take every `*.bundle` of the inbox, oldest first; none that was taken is left behind."""
        self._settled()
        until_s = time.monotonic() + INBOX_S
        waiting = sorted(inbox.glob("*.bundle"), key=_age_of)
        return [self._take(path) for path in waiting if time.monotonic() < until_s]

    def roll_back(self) -> Entry:
        """Make the previous bundle the active one and refuse the present one from now on.

        Where the present one has just failed its trial, that is carried out instead: it goes to the same bundle.

        Raises:
            OperatorError: there is no previous bundle.
            BundleError: the previous one no longer passes, or the history is damaged.
        """
        history, settled = self._settled()
        active, previous = self._slots.target(ACTIVE), self._slots.target(PREVIOUS)
        if settled is not None and settled.result == "rolled back":
            return settled
        if active is None or previous is None:
            raise OperatorError(f"{self._slots.folder}: there is no previous bundle to go back to; install one")
        bundle = self._examined(previous)
        reason = read_trials(self._state_dir).reason(bundle.sha256)
        if reason is not None:
            raise BundleError(f"{previous}: it failed its trial on this device: {reason}; install another")
        bad = read_bundle(active, self._keys).sha256
        history = msgspec.structs.replace(history, refused=tuple(sorted({*history.refused, bad} - {bundle.sha256})))
        # The refusal first: after a power cut between the two the rolled back one must not come back by itself.
        write_history(self._state_dir, history)
        self._slots.swap()
        entry = entry_of("rolled back", active.name, bundle, f"went back from {bad[:12]}")
        return self._note(history, msgspec.structs.replace(entry, left=bad))

    def _settled(self) -> tuple[History, Entry | None]:
        """Carry out what capture's trial decided since the last run; return the history and what was done."""
        history = read_history(self._state_dir)
        try:
            return settle(self._state_dir, self._slots, self._keys, history, read_trials(self._state_dir))
        except OSError as error:
            raise DeviceError(f"{self._slots.folder}: {error.strerror}; the links are what they were") from error

    def _install(self, history: History, file: str, source: int) -> Entry:
        candidate = self._slots.copy_in(source)
        try:
            bundle = read_bundle(candidate, self._keys)
            if bundle.sha256 not in history.refused and self._is_active(bundle):
                return self._note(history, entry_of("active already", file, bundle))
            check_release(history, bundle)
            check_target(bundle.manifest, self._groups)
            self._examined(candidate)
            slot = self._slots.keep(candidate, bundle)
        except BundleError as error:
            # The copy's hidden name tells nobody anything.
            raise BundleError(str(error).replace(f"{candidate}: ", "")) from error
        finally:
            candidate.unlink(missing_ok=True)
        # The floor first: a power cut in between costs this release number, never the rule that it only rises.
        history = history.raised(bundle.manifest.channel, bundle.manifest.release)
        write_history(self._state_dir, history)
        before = self._slots.target(ACTIVE)
        displace = displaces(self._slots, self._keys, read_trials(self._state_dir))
        self._slots.activate(slot, displace=displace)
        try:
            read_bundle(self._slots.folder / ACTIVE, self._keys)
        except BundleError:
            if before is not None:
                self._slots.activate(before, displace=False)  # what was written cannot be read back: the card
            raise
        self._slots.sweep()
        return self._note(history, entry_of("installed", file, bundle))

    def _examined(self, path: Path) -> Bundle:
        """Return the bundle once the canary has met its golden outputs.

        Raises:
            BundleError: it has not.
        """
        bundle = read_bundle(path, self._keys)
        verdict = self._canary(path, self._keys)
        if verdict.problems:
            raise BundleError("; ".join(verdict.problems))
        return bundle

    def _is_active(self, bundle: Bundle) -> bool:
        active = self._slots.target(ACTIVE)
        try:
            return active is not None and read_bundle(active, self._keys).sha256 == bundle.sha256
        except BundleError:
            return False  # a damaged active slot is replaced by the same bundle

    def _take(self, path: Path) -> Entry:
        try:
            source = _open_still(path)
        except BundleError as error:
            history = read_history(self._state_dir)
            entry = self._note(
                history, Entry(at=now(), result="refused", file=_printable(path.name), reason=str(error))
            )
        else:
            try:
                entry = self.install(path.name, source)
            finally:
                os.close(source)
        _discard(path)
        return entry

    def _note(self, history: History, entry: Entry) -> Entry:
        try:
            write_history(self._state_dir, history.adding(entry))
        except OSError as error:
            raise DeviceError(f"{self._slots.folder}: {error.strerror}; the history could not be written") from error
        return entry


def _printable(name: str) -> str:
    """Return a file's name as text that can be written; a name may be any bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _age_of(path: Path) -> tuple[float, str]:
    try:
        return path.lstat().st_mtime, path.name
    except OSError:
        return 0.0, path.name


def _open_still(path: Path) -> int:
    """Return the file, opened, once it has stopped growing. Whoever writes into the inbox may be hostile.

    Raises:
        BundleError: no ordinary file, not readable, or it grows for ever.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise BundleError("expected an ordinary file, got something else")
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        advice = "install -m 640 -g cageclock FILE INBOX/"
        raise BundleError(f"cannot be read: {error.strerror}; put it there with: {advice}") from error
    until_s = time.monotonic() + STILL_LIMIT_S
    try:
        seen, since_s = os.fstat(source), time.monotonic()
        while time.time() - seen.st_mtime < STILL_S and time.monotonic() - since_s < STILL_S:
            time.sleep(0.1)
            fresh = os.fstat(source)
            if (fresh.st_size, fresh.st_mtime_ns) != (seen.st_size, seen.st_mtime_ns):
                seen, since_s = fresh, time.monotonic()
            if time.monotonic() > until_s:
                raise BundleError(f"it was still growing after {STILL_LIMIT_S:g} s")
    except BundleError:
        os.close(source)
        raise
    return source


def _discard(path: Path) -> None:
    """Take the file out of the inbox; what cannot be removed gets a name that starts nothing."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        path.rename(path.with_name(f"{path.name}.refused"))
