"""From a bundle file to the active link: verify, canary, activate; or roll back."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edge.bundle.canary import Verdict, ask_canary
from edge.bundle.history import Entry, History, entry_of, now, printable, read_history, refusal, write_history
from edge.bundle.learning import Learning
from edge.bundle.rules import check_channel, check_release, check_target
from edge.bundle.shadow import ShadowOrder, hours_asked, read_order, write_order
from edge.bundle.slots import ACTIVE, FOLDER, PREVIOUS, SHADOW, Slots
from edge.bundle.trial import Trials, read_trials
from edge.bundle.verdict import displaces, settle
from edge.bundle.wish import REVERT
from edge.config.tree import Config
from edge.contract.bundle.bundle import Bundle, Trusted, check_signature, read_bundle, read_chain, unverified_sha256
from edge.contract.bundle.envelope import open_envelope
from edge.contract.bundle.freshness import FRESHNESS_BEGINS, MAX_FRESHNESS_BYTES, is_freshness
from edge.contract.bundle.roles import Authority
from edge.contract.bundle.trust import CHAIN_BEGINS, MAX_CHAIN_BYTES, is_chain
from edge.errors import BundleError, CageclockError, DeviceError, OperatorError
from edge.outbox.lock import WriterLock
from edge.timing.clock import Clock, SystemClock


class Installer:
    """The one writer of a device's `bundles` folder. Use as a context manager: it holds the writer's lock."""

    def __init__(
        self,
        config: Config,
        canary: Callable[[Path, Sequence[bytes]], Verdict] = ask_canary,
        clock: Clock | None = None,
    ) -> None:
        """Check the settings. canary: tries a bundle file, trusted keys given, before it is activated.

        Raises:
            OperatorError: the settings name a bundle of their own, or a trusted key cannot be read.
        """
        if config.bundle.path is not None:
            raise OperatorError(
                f"bundle.path: the settings name {config.bundle.path}, so an installed bundle would not be used; "
                "remove bundle.path first"
            )
        self._learning = Learning(config, clock or SystemClock())
        self._canary = canary
        self._channel, self._groups = config.bundle.channel, config.bundle.target_groups
        self._state_dir = Path(config.state_dir)
        self._slots = Slots(self._state_dir)
        self._lock: WriterLock | None = None

    def __enter__(self) -> Installer:
        """Take the lock, and remove what a run that was killed left behind.

        Raises:
            OperatorError: another installation runs, or the folder cannot be made.
        """
        try:
            self._slots.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise OperatorError(f"{self._slots.folder}: cannot be made: {error.strerror}; correct its owner") from error
        self._lock = WriterLock(self._slots.folder / "lock", os.fspath(self._slots.folder))
        self._slots.sweep()
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.release()

    def install(self, file: str, source: int) -> Entry:
        """Install the open file and return the result; a refusal is an entry too and changes nothing else.

        The file may hold trust statements by themselves as well, which are taken where they follow from those held.

        Raises:
            BundleError: the history, or what is held of trust statements, is damaged.
            DeviceError: the card failed or is full; the active bundle is what it was.
            FileChanges: it was written to while it was copied.
        """
        history, _ = self._settled()
        file = printable(file)
        hours = hours_asked(file)
        try:
            if is_chain(os.pread(source, CHAIN_BEGINS, 0)):
                chain = os.pread(source, MAX_CHAIN_BYTES + 1, 0)
                return self._note(*self._learning.learn_by_itself(history, file, chain))
            if is_freshness(os.pread(source, FRESHNESS_BEGINS, 0)):
                word = os.pread(source, MAX_FRESHNESS_BYTES + 1, 0)
                return self._note_quietly(history, self._learning.learn_freshness(history, file, word))
            if file.endswith(REVERT):
                return self._leave(history, file, os.pread(source, 100, 0))
            history = self._learning.learn(history, read_chain(source))
            return self._install(history, file, source, hours)
        except BundleError as error:
            return self._note(history, refusal(file, str(error)))
        except OSError as error:
            raise DeviceError(f"{self._slots.folder}: {error.strerror}; the active bundle is unchanged") from error
        except MemoryError as error:
            raise DeviceError(f"{file}: no memory is left to read it; the active bundle is unchanged") from error
        except (CageclockError, FileChanges):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a file makes our code raise, it must not stop the next one
            return self._note(
                read_history(self._state_dir), refusal(file, f"it cannot be read: {type(error).__name__}: {error}")
            )

    def refuse(self, file: str, reason: str) -> Entry:
        """Note that a file was refused without a look into it.

        Raises:
            BundleError: the history is damaged.
            DeviceError: it cannot be noted.
        """
        return self._note(self._settled()[0], refusal(file, reason))

    def note_waiting(self, file: str, reason: str) -> None:
        """Note why a file has to wait, where that can be written; once for each reason."""
        with contextlib.suppress(CageclockError, OSError):
            _add_waiting(self._state_dir, file, reason)

    def roll_back(self) -> Entry:
        """Make the previous bundle the active one and refuse the present one from now on.

        Where the present one has just failed its trial, that is carried out instead: it goes to the same bundle. One
        that cannot be read, or whose key is trusted no longer, is gone afterwards.

        Raises:
            OperatorError: there is no previous bundle.
            BundleError: the previous one no longer passes, or the history is damaged.
        """
        history, settled = self._settled()
        active, previous = self._slots.target(ACTIVE), self._slots.target(PREVIOUS)
        if settled is not None and settled.result == "rolled back":
            return settled
        if previous is None:
            raise OperatorError(f"{self._slots.folder}: there is no previous bundle to go back to; install one")
        bundle = self._examined(previous, self._learning.keys)
        self._learning.check_revoked(bundle)
        reason = self._trials().reason(bundle.sha256)
        if reason is not None:
            raise BundleError(f"{previous}: it failed its trial on this device: {reason}; install another")
        usable = self._read(ACTIVE)
        bad = usable.sha256 if usable is not None else self._unverified_digest(active, history)
        if bad is not None:
            history = history.refusing(bad)
        history = msgspec.structs.replace(history.allowing(bundle), channel=bundle.manifest.channel)
        # The refusal first: after a power cut between the two the rolled back one must not come back by itself.
        write_history(self._state_dir, history)
        if usable is not None:
            self._slots.swap()
        else:
            self._slots.go_back()
        why = f"went back from {bad[:12]}" if bad is not None else "went back from one that cannot be read"
        entry = entry_of("rolled back", active.name if active is not None else "", bundle, why)
        return self._note(history, msgspec.structs.replace(entry, left=bad))

    def reset_floor(self, channel: str, release: int, reason: str) -> Entry:
        """Set the highest release of a channel by hand; a bundle has to be above it. The lab gets an event.

        Raises:
            BundleError: the history is damaged.
            DeviceError: it cannot be written.
        """
        history, _ = self._settled()
        noted = f"it was {history.floors.get(channel, 0)}; {reason}"
        entry = Entry(at=now(), result="floor reset", file="", reason=noted[:500], channel=channel, release=release)
        return self._note(history.reset(channel, release), entry)

    def settle(self) -> None:
        """Carry out what capture's trial decided since the last run, and install nothing.

        Raises:
            BundleError: the history is damaged.
            DeviceError: the card failed or is full.
        """
        self._settled()

    def _settled(self) -> tuple[History, Entry | None]:
        """Carry out what capture's trial decided since the last run; return the history and what was done."""
        history = read_history(self._state_dir)
        try:
            adopted = history
            for bundle in self._linked():
                adopted = adopted.adopting(bundle)
            if adopted is not history:
                write_history(self._state_dir, adopted)
            settled, entry = settle(self._state_dir, self._slots, self._learning.keys, adopted, self._trials())
            return self._learning.begin(settled, self._trials()), entry
        except OSError as error:
            raise DeviceError(f"{self._slots.folder}: {error.strerror}; the active bundle is unchanged") from error

    def _leave(self, history: History, file: str, content: bytes) -> Entry:
        """Go back from the bundle whose digest the file holds, or run it in the shadow no longer.

        Where it is neither, there is nothing to do, so that the same file twice goes back once.
        """
        digest = content.decode("ascii", "replace").strip()
        if re.fullmatch("[0-9a-f]{64}", digest) is None:
            raise BundleError(f"revert: expected the 64 digits of the digest to go back from, got {digest[:20]!r}")
        order = read_order(self._state_dir)
        if order is not None and order.sha256 == digest and self._slots.target(SHADOW) is not None:
            self._slots.unshade()
            self._slots.sweep()
            entry = Entry(at=now(), result="shadow ended", file=file, sha256=digest, reason="it was taken back")
            return self._note(history, entry)
        active = self._read(ACTIVE)
        if active is None or active.sha256 != digest:
            text = f"{digest[:12]} is not active, there is nothing to go back from"
            return self._note(history, Entry(at=now(), result="active already", file=file, sha256=digest, reason=text))
        try:
            return self.roll_back()
        except OperatorError as error:
            raise BundleError(f"nothing before: {error}") from error

    def _install(self, history: History, file: str, source: int, hours: float | None = None) -> Entry:
        before = os.fstat(source)
        may_sign = self._learning.may_sign(self._channel)
        check_signature(source, may_sign)  # what nobody has signed is not even copied
        candidate = self._slots.copy_in(source)
        try:
            if _version(os.fstat(source)) != _version(before):
                raise FileChanges(file)
            bundle = read_bundle(candidate, may_sign)
            if not history.refuses(bundle) and self._is_active(bundle):
                return self._note(self._bound(history, bundle), entry_of("active already", file, bundle))
            channel = self._channel or self._present_channel(history)
            check_channel(bundle.manifest, channel, by_settings=self._channel is not None)
            note = self._learning.check(history, bundle)
            check_release(history, bundle)
            check_target(bundle.manifest, self._groups)
            self._examined(candidate, may_sign)
            slot = self._slots.keep(candidate, bundle)
            if hours is not None:
                return self._shade(history, file, bundle, slot, hours)
        except BundleError as error:
            # The copy's hidden name means nothing to the reader.
            raise BundleError(str(error).replace(f"{candidate}: ", "")) from error
        finally:
            candidate.unlink(missing_ok=True)
        return self._switch(history, file, bundle, slot, note)

    def _shade(self, history: History, file: str, bundle: Bundle, slot: Path, hours: float) -> Entry:
        """Let a slot run beside the active one; floors and the channel stay what they are."""
        manifest = bundle.manifest
        order = ShadowOrder(
            sha256=bundle.sha256,
            name=manifest.name,
            model_version=manifest.model_version,
            channel=manifest.channel,
            release=manifest.release,
            hours=hours,
            since=now(),
        )
        write_order(self._state_dir, order)
        self._slots.shade(slot)
        self._slots.sweep()
        return self._note(history, entry_of("shadow", file, bundle, f"for {hours:g} hours"))

    def _switch(self, history: History, file: str, bundle: Bundle, slot: Path, note: str) -> Entry:
        """Make a slot the active one: the floor first, so that a number never comes twice with another content."""
        history = self._bound(history, bundle).raised(bundle)
        write_history(self._state_dir, history)
        before = self._slots.target(ACTIVE)
        displace = displaces(self._slots, self._learning.keys, self._trials())
        self._slots.activate(slot, displace=displace)
        try:
            read_bundle(self._slots.folder / ACTIVE, self._learning.keys)
        except BundleError:
            if before is not None:
                self._slots.activate(before, displace=False)  # what was written cannot be read back: the card
            raise
        self._slots.unshade()  # whatever ran beside the bundle before is compared with it no longer
        self._slots.sweep()
        return self._note(history, entry_of("installed", file, bundle, note))

    def _bound(self, history: History, bundle: Bundle) -> History:
        return msgspec.structs.replace(history, channel=bundle.manifest.channel)

    def _present_channel(self, history: History) -> str | None:
        """Return the channel that the device keeps to; earlier versions noted it with each bundle only."""
        if history.channel is not None:
            return history.channel
        active = self._read(ACTIVE)
        if active is not None:
            return active.manifest.channel
        ran = (entry for entry in reversed(history.entries) if entry.result in ("installed", "rolled back"))
        return next((entry.channel for entry in ran), None)

    def _examined(self, path: Path, trusted: Trusted) -> Bundle:
        """Return the bundle once the canary has met its golden outputs.

        Raises:
            BundleError: it has not.
        """
        bundle = read_bundle(path, trusted)
        keys = trusted.pems(open_envelope(bundle.envelope)) if isinstance(trusted, Authority) else trusted
        verdict = self._canary(path, keys)
        if verdict.problems:
            raise BundleError("; ".join(verdict.problems))
        return bundle

    def _is_active(self, bundle: Bundle) -> bool:
        active = self._read(ACTIVE)
        return active is not None and active.sha256 == bundle.sha256  # a damaged slot is replaced by the same bundle

    def _read(self, link: str) -> Bundle | None:
        slot = self._slots.target(link)
        try:
            return None if slot is None else read_bundle(slot, self._learning.keys)
        except BundleError:
            return None

    def _linked(self) -> list[Bundle]:
        return [bundle for link in (ACTIVE, PREVIOUS) if (bundle := self._read(link)) is not None]

    def _trials(self) -> Trials:
        """Return what capture knows of its bundles, by their present names."""
        trials = read_trials(self._state_dir)
        for bundle in self._linked():
            trials = trials.adopting(bundle)
        return trials

    def _unverified_digest(self, slot: Path | None, history: History) -> str | None:
        """Return the digest that an unreadable or untrusted slot states, to refuse it; None if unknown."""
        if slot is None:
            return None
        known = (entry.sha256 for entry in reversed(history.entries) if entry.sha256 is not None)
        by_name = next((sha256 for sha256 in known if slot.name.endswith(f"-{sha256[:16]}.bundle")), None)
        return unverified_sha256(slot) or by_name

    def _note_quietly(self, history: History, entry: Entry) -> Entry:
        """Note an entry, but not that a fresh word came, which it does every few hours for years."""
        return entry if entry.result == "active already" else self._note(history, entry)

    def _note(self, history: History, entry: Entry) -> Entry:
        try:
            write_history(self._state_dir, history.adding(entry))
        except OSError as error:
            raise DeviceError(f"{self._slots.folder}: {error.strerror}; the history could not be written") from error
        return entry


class FileChanges(Exception):
    """A file was written to while it was copied; it is looked at again later."""


def note_waiting(config: Config, file: str, reason: str) -> None:
    """Note in the history, from which it is reported to the lab, why a file has to wait; once for each reason.

    Raises:
        CageclockError: it cannot be noted.
        OSError: it cannot be written.
    """
    folder = Path(config.state_dir) / FOLDER
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    lock = WriterLock(folder / "lock", os.fspath(folder))
    try:
        _add_waiting(Path(config.state_dir), file, reason)
    finally:
        lock.release()


def _add_waiting(state_dir: Path, file: str, reason: str) -> None:
    history = read_history(state_dir)
    added = history.adding_waiting(file, reason)
    if added is not history:
        write_history(state_dir, added)


def _version(state: os.stat_result) -> tuple[int, int]:
    return state.st_size, state.st_mtime_ns
