"""Installs what waits in the inbox: each file once it is complete, and none is kept waiting by another.

What is the file's fault ends in its refusal. What is not (a missing key, a damaged history, a full disk, a wrong
setting) leaves the file where it is; the run reports it and retries at growing intervals until its time is up. So a
unit that is started again at once for what still waits does not run in circles.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

from edge.bundle.canary import LIMIT_S
from edge.bundle.history import Entry
from edge.bundle.install import FileChanges, Installer, note_waiting
from edge.bundle.waiting import InboxWatch, State
from edge.bundle.wish import INBOX
from edge.config.tree import Config
from edge.contract.service.unexpected import Unexpected
from edge.errors import BundleError, CageclockError, DeviceError, OperatorError

FOLDER = INBOX
KINDS = ("*.trust.json", "*.freshness.json", "*.bundle", "*.revert")
"""What is taken from it: trust statements by themselves, words of the lab's online key, bundles (`x.shadow.bundle`:
to run beside the active one), and digests to go back from. The path unit watches for the same."""
INBOX_S = 60.0
"""After so long a run ends, whatever still waits; the path unit starts the next one."""
WORST_S = INBOX_S + LIMIT_S + 20.0
"""The sum of one run's bounded waits, with time for copying to a slow card; the unit allows more."""
_LOOK_S = 0.5
_LONGEST_PAUSE_S = 15.0
_REFUSED = ".refused"


class Inbox:
    """One run over the inbox."""

    def __init__(
        self,
        settings: Callable[[], Config],
        installer: Callable[[Config], Installer] = Installer,
        *,
        limit_s: float = INBOX_S,
        watch: InboxWatch | None = None,
    ) -> None:
        """Nothing is done yet. settings: reads them, again after each failure."""
        self._settings, self._installer, self._limit_s = settings, installer, limit_s
        self._watch = watch or InboxWatch()
        self._stuck: set[Path] = set()
        self._unexpected = Unexpected("bundle install")
        self.entries: list[Entry] = []
        self.trouble: CageclockError | None = None

    def run(self) -> None:
        """Take every bundle and file of trust statements, oldest first, and wait for what is still being written.

        Afterwards `entries` holds the result of each, and `trouble` what kept the rest from being taken. What is
        waited for is printed once, with the reason and for how long, and again where the run ends without it.
        """
        until_s, pause_s = time.monotonic() + self._limit_s, _LOOK_S
        named: set[Path] = set()
        while True:
            before, self.trouble = self.trouble, None
            waits = False
            try:
                waits = self._round(until_s)
            except Exception as error:  # noqa: BLE001 - whatever it is, the files wait, and the next try is later
                self.trouble = self._ours(error)
            if self.trouble is not None and str(self.trouble) != str(before):
                _say(f"{self.trouble}; trying again")
            if not waits and self.trouble is None:
                return
            for path in sorted(self._watch.reasons.keys() - named):
                named.add(path)
                _say(f"waiting for {path}: {self._watch.reasons[path]}")
            pause_s = _LOOK_S if self.trouble is None else min(2 * pause_s, _LONGEST_PAUSE_S)
            if time.monotonic() + pause_s > until_s:
                time.sleep(max(0.0, until_s - time.monotonic()))
                for path, reason in sorted(self._watch.reasons.items()):
                    _say(f"{path} was not taken within the {self._limit_s:g} s of this run: {reason}")
                return
            time.sleep(pause_s)

    def _round(self, until_s: float) -> bool:
        """Look at every file once; return whether any has to be waited for."""
        config = self._settings()
        inbox = Path(config.state_dir) / FOLDER
        found = [(path, self._watch.look(path)) for path in waiting(config) if path not in self._stuck]
        if found and not os.access(inbox, os.W_OK | os.X_OK):
            raise OperatorError(f"{inbox}: this user cannot remove files from it; correct its owner or its rights")
        ready = [(path, state) for path, state in found if state != "wait"]
        if ready:
            try:
                with self._installer(config) as installer:
                    for path, state in ready:
                        if time.monotonic() < until_s:
                            self._take(installer, config, path, state)
            except Exception as error:
                ours = self._ours(error)
                _note(config, ready[0][0], ours)
                raise ours from error
        left = waiting(config)
        if left and not set(left) - self._stuck:
            raise OperatorError(f"{left[0]}: it was refused and cannot be removed; remove it")
        return bool(left)

    def _ours(self, error: Exception) -> CageclockError:
        """Return the error as one of ours; of one that nobody foresaw the traceback is in the log, once."""
        if isinstance(error, CageclockError):
            return error
        try:
            return DeviceError(self._unexpected.note(error)[0])
        except DeviceError as last:
            return last

    def _take(self, installer: Installer, config: Config, path: Path, state: State) -> None:
        """Take one file; what is not its fault leaves it where it is, and is no reason not to take the next one."""
        try:
            entry, version = _taken(installer, path, state)
        except FileChanges:
            return
        except Exception as error:  # noqa: BLE001 - the next file may do better
            self.trouble = self._ours(error)
            if not isinstance(error, BundleError):
                installer.note_waiting(path.name, str(self.trouble))
            return
        self.entries.append(entry)
        if not _discard(path, version, park=state == "unfinished"):
            self._stuck.add(path)


def _say(text: str) -> None:
    print(f"cageclock: {text}", file=sys.stderr, flush=True)


def waiting(config: Config) -> list[Path]:
    """Return what waits in the inbox: statements first, then the oldest."""
    inbox = Path(config.state_dir) / FOLDER
    return sorted((path for kind in KINDS for path in inbox.glob(kind)), key=_order_of)


def _note(config: Config, path: Path, error: CageclockError) -> None:
    """Note in the history, which is reported to the lab, why nothing is taken, where that can be written at all."""
    try:
        note_waiting(config, path.name, str(error))
    except Exception as failed:  # noqa: BLE001 - it is in the log in any case
        _say(f"the reason cannot be noted: {failed}")


def _taken(installer: Installer, path: Path, state: State) -> tuple[Entry, tuple[int, int] | None]:
    """Return the result for a file, and which file it was. Whoever writes into the inbox may be hostile.

    Raises:
        CageclockError: what is not the file's fault.
        FileChanges: somebody writes it.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return installer.refuse(path.name, "expected an ordinary file, got something else"), None
        source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        advice = "install -m 640 -g cageclock FILE INBOX/"
        return installer.refuse(path.name, f"cannot be read: {error.strerror}; put it there with: {advice}"), None
    try:
        found = os.fstat(source)
        version = found.st_dev, found.st_ino
        if state == "unfinished":
            reason = f"{found.st_size} bytes are the start of a bundle, and the rest did not come; copy it again"
            return installer.refuse(path.name, reason), version
        return installer.install(path.name, source), version
    finally:
        os.close(source)


def _discard(path: Path, version: tuple[int, int] | None, *, park: bool) -> bool:
    """Return whether a file was taken out of the inbox, or got a name that starts nothing.

    park: keep it under such a name, because somebody may still be writing it. version: the file that was looked at;
    what has taken its name meanwhile is left alone.
    """
    try:
        found = path.lstat()
        if version is not None and (found.st_dev, found.st_ino) != version:
            return True
        if not park:
            path.unlink()
            return True
    except FileNotFoundError:
        return True
    except OSError:
        pass  # a folder, for one
    for ending in ("", *(f".{number}" for number in range(1, 10))):
        try:
            path.rename(path.with_name(f"{path.name}{_REFUSED}{ending}"))
        except OSError:
            continue
        return True
    return False


def _order_of(path: Path) -> tuple[bool, float, str]:
    """Statements before words and bundles: what they let in may wait beside them, with an older date."""
    return (not path.name.endswith(".trust.json"), *_age_of(path))


def _age_of(path: Path) -> tuple[float, str]:
    try:
        return path.lstat().st_mtime, path.name
    except OSError:
        return 0.0, path.name
