"""From a wish to a file in the inbox: decide, fetch, verify, hand over, and see what became of it.

Every step is made durable before the next one, and each may be done again: a kill anywhere leaves a wish that is
carried out at the next start, once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.bundle.history import Entry, History, read_history
from edge.bundle.reasons import PASSING, code_of, refused_for_good, wish_stem
from edge.bundle.shadow import name_asking, read_order
from edge.bundle.slots import ACTIVE, PREVIOUS, SHADOW, Slots
from edge.bundle.wish import (
    FOLDER,
    INBOX,
    REVERT,
    FetchState,
    name_of_wish,
    read_fetch_state,
    read_wish,
    write_fetch_state,
)
from edge.config.tree import Config
from edge.contract.bundle.bundle import unverified_sha256
from edge.contract.desired import Desired
from edge.errors import BundleError
from edge.fetch.backoff import Backoff
from edge.fetch.download import LIMITS, CardFailed, Failed, Limits, Part, Paused, download
from edge.fetch.hosts import allowed_hosts
from edge.fetch.hours import DueCaptures, why_not_yet
from edge.fetch.tls import client_context
from edge.timing.clock import Clock

MOST_WRONG = 5
"""After so many whole files that are not the one wished for, the wish is given up."""
SAVE_S = 10.0


class Fetcher:
    """Carries out the newest wish, one step a cycle."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        alive: Callable[[], None] = lambda: None,
        limits: Limits = LIMITS,
        backoff: Backoff | None = None,
    ) -> None:
        """Go on where the last process stopped. alive: called all the while; it may raise Paused to end a download."""
        self._config, self._clock, self._alive, self._limits = config, clock, alive, limits
        self._state_dir = Path(config.state_dir)
        self._folder = self._state_dir / FOLDER
        self._slots, self._due = Slots(self._state_dir), DueCaptures(config)
        self._backoff = backoff or Backoff()
        self._state = read_fetch_state(self._state_dir)
        self._saved_s = 0.0

    def cycle(self) -> None:
        """Take the next step of the newest wish; what keeps it from being taken stands in the state file."""
        wish = read_wish(self._state_dir, self._config.device_id)
        if wish is None:
            if self._state.state != "none":
                self._sweep(None)
                self._save(FetchState())
            return
        if not self._state.is_of(wish):
            self._backoff.reset()
            self._sweep(wish)
            self._save(FetchState(wish=name_of_wish(wish), digest=wish.digest, state="waiting", since=_now()))
        if self._state.state in ("done", "refused"):
            return
        try:
            history = read_history(self._state_dir)
        except BundleError as error:
            self._note("waiting", "other", str(error))
            return
        if self._state.handed is not None:
            self._look_after(wish, history)
            return
        self._begin(wish, history)

    def note_fault(self, text: str) -> None:
        """Note what keeps the wish from being carried out, where that can be written: the lab hears of it."""
        with contextlib.suppress(Exception):
            self._note(self._state.state, "other", text)

    def _begin(self, wish: Desired, history: History) -> None:
        """Decide what an order that is not in the inbox yet needs."""
        if self._is_carried_out(wish):
            self._note("done", "", "it was so already")
            return
        known = refused_for_good(history.entries, wish.digest)
        if wish.mode != "revert" and (known is not None or wish.digest in history.refused):
            why = known.reason if known is not None else "it was rolled back here; sign a new release"
            self._note("refused", "refused_before", f"this device refused {wish.digest[:12]} before: {why}")
            return
        wait = why_not_yet(wish, self._config.light_cycle.zone, self._clock.now(), self._clock.synced())
        if wait is not None:
            self._note("refused" if wait[0] == "wish_expired" else "waiting", *wait)
            return
        gate = self._gate()
        if self._state.gate and gate == self._state.gate:
            return  # refused for want of a newer statement or a fresh word, of which none has come
        if wish.mode == "revert":
            self._hand_over(wish, history, None)
            return
        source = self._held(wish) or self._fetched(wish)
        if source is not None:
            self._hand_over(wish, history, source)

    def _is_carried_out(self, wish: Desired) -> bool:
        active, shadow = self._has(ACTIVE, wish.digest), self._has(SHADOW, wish.digest)
        if wish.mode == "install":
            return active
        if wish.mode == "revert":
            return not active and not shadow
        order = read_order(self._state_dir)
        return shadow and order is not None and abs(order.hours - float(wish.shadow_hours or 0.0)) < 0.01

    def _has(self, link: str, digest: str) -> bool:
        slot = self._slots.target(link)
        return slot is not None and slot.name.endswith(f"-{digest[:16]}.bundle")

    def _held(self, wish: Desired) -> Path | None:
        """Return a slot that holds the bundle already: it was in the shadow, or was the one before."""
        for link in (SHADOW, PREVIOUS, ACTIVE):
            slot = self._slots.target(link)
            if slot is not None and self._has(link, wish.digest) and unverified_sha256(slot) == wish.digest:
                return slot
        return None

    def _fetched(self, wish: Desired) -> Path | None:
        """Return the whole file, its digest checked; None where it is not there yet, with the reason noted."""
        if isinstance(wish.size, msgspec.UnsetType) or isinstance(wish.sha256, msgspec.UnsetType) or not wish.urls:
            self._note("waiting", "not_here", "the wish names no address, and the file is not on this device")
            return None
        part = Part(self._folder / f"{wish.sha256}.part")
        if part.length > wish.size:
            part.discard()
        if part.length < wish.size and not self._get_more(wish, part, wish.size):
            return None
        with part.path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wish.sha256:
            part.discard()
            self._wrong(f"what came has the SHA-256 {found[:12]}, the wish names {wish.sha256[:12]}")
            return None
        identity = unverified_sha256(part.path)
        if identity != wish.digest:
            part.discard()
            text = f"the file is the one wished for, but its bundle is {str(identity)[:12]}, not {wish.digest[:12]}"
            self._note("refused", "wrong_content", f"{text}; correct the rollout")
            return None
        return part.path

    def _get_more(self, wish: Desired, part: Part, size: int) -> bool:
        """Try the addresses in turn; return whether the file is whole."""
        if not self._backoff.due() or self._is_busy():
            return False
        free = shutil.disk_usage(self._state_dir).free
        if free - (size - part.length) < self._config.outbox.min_free_mb * 1_000_000:
            least = self._config.outbox.min_free_mb
            self._note("waiting", "disk_full", f"{free / 1e6:.0f} MB are free, and {least} MB are kept for readings")
            self._backoff.failed()
            return False
        before = part.length
        failed: Failed | None = None
        for url in wish.urls:
            self._note("fetching", "", "", bytes=part.length, size=size)
            try:
                hosts, context = allowed_hosts(self._config), client_context(self._config)
                download(url, part, size, hosts, lambda: self._tick(part, size), context, self._limits)
                return True
            except Paused:
                self._note("waiting", "captures_due", "a capture is due; it goes on after it", bytes=part.length)
                return False
            except CardFailed as error:
                self._note("waiting", "disk_full", str(error))
                self._backoff.failed()
                return False
            except Failed as error:
                if failed is None or failed.reason == "host_not_allowed":
                    failed = error  # the first reason counts, unless that address was never asked
        assert failed is not None
        if part.length > before:
            self._backoff.reset()
        wait_s = self._backoff.failed()
        if failed.reason == "host_not_allowed":
            self._note("refused", failed.reason, str(failed))
        elif failed.reason == "wrong_content":
            self._wrong(str(failed))
        else:
            text = f"{failed}; tried again in {_span(wait_s)}"
            self._note("fetching", failed.reason, text, bytes=part.length, size=size)
        return False

    def _wrong(self, text: str) -> None:
        self._backoff.failed()
        wrong = self._state.wrong + 1
        if wrong >= MOST_WRONG:
            self._note("refused", "wrong_content", f"{wrong} times: {text}; correct the file or the rollout")
        else:
            self._note("fetching", "wrong_content", f"{text}; tried again", bytes=0, wrong=wrong)

    def _tick(self, part: Part, size: int) -> None:
        """Between two chunks: stay alive, say how far it is, stop where a capture is due or the wish has changed."""
        self._alive()
        if self._is_busy():
            raise Paused
        now_s = time.monotonic()
        if now_s - self._saved_s >= SAVE_S:
            wish = read_wish(self._state_dir, self._config.device_id)
            if wish is None or not self._state.is_of(wish):
                raise Paused
            self._note("fetching", "", "", bytes=part.length, size=size)

    def _is_busy(self) -> bool:
        monotonic_s = self._clock.monotonic_s()
        offset_s = self._clock.now().timestamp() - monotonic_s if self._clock.synced() else None
        return self._due.is_near(monotonic_s, offset_s)

    def _hand_over(self, wish: Desired, history: History, source: Path | None) -> None:
        """Lay the file into the inbox. The number first: what is added to the history after it is the answer."""
        newest = history.entries[-1].number if history.entries else 0
        self._note("installing", "", "", handed=newest, gate=self._gate())
        self._lay(wish, source)

    def _lay(self, wish: Desired, source: Path | None) -> None:
        inbox = self._state_dir / INBOX
        path, fresh = inbox / self._file_name(wish), inbox / f".{wish_stem(wish.digest)}.fresh"
        try:
            inbox.mkdir(mode=0o770, exist_ok=True)
            fresh.unlink(missing_ok=True)
            if source is None:
                fresh.write_text(wish.digest, "ascii")
                fresh.chmod(0o640)
            elif source.parent == self._folder:
                os.link(source, fresh)  # it stays here too, until its end is known
            else:
                shutil.copyfile(source, fresh)
                fresh.chmod(0o640)
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(fresh, path)
        except OSError as error:
            self._note("waiting", "disk_full", f"{inbox}: {error.strerror}", handed=None, gate="")
            self._backoff.failed()

    def _file_name(self, wish: Desired) -> str:
        stem = wish_stem(wish.digest)
        if wish.mode == "revert":
            return stem + REVERT
        if wish.mode == "shadow" and not isinstance(wish.shadow_hours, msgspec.UnsetType):
            return name_asking(stem, wish.shadow_hours)
        return f"{stem}.bundle"

    def _look_after(self, wish: Desired, history: History) -> None:
        """See what the bundle unit made of the file."""
        waits = (self._state_dir / INBOX / self._file_name(wish)).exists()
        newest = history.entries[-1].number if history.entries else 0
        handed = self._state.handed or 0
        if newest < handed:
            handed = 0  # the history was moved aside: it counts from 1 again
        with contextlib.suppress(BundleError):
            history = read_history(self._state_dir)  # what was written before the file went
        entry = next((one for one in reversed(history.entries) if one.number > handed and _answers(one, wish)), None)
        if entry is None or entry.result == "waiting":
            if not waits and (entry is None or entry.result != "waiting"):
                self._note("waiting", "", "", handed=None, gate="")  # a kill came before the file was laid there
            elif entry is not None:
                self._note("installing", "other", entry.reason)
            return
        if waits and entry.result == "refused":
            return  # the unit is about to take it away
        if entry.result != "refused":
            self._sweep(None)
            self._note("done", "", entry.reason)
            return
        code = code_of(entry.reason)
        if code in PASSING:
            self._note("waiting", code, entry.reason, handed=None)
        else:
            self._sweep(None)
            self._note("refused", code, entry.reason)

    def _gate(self) -> str:
        """Return what changes when new statements or a fresh word come, or the settings' own."""
        marks = []
        for name in ("trust.json", "freshness.json"):
            with contextlib.suppress(OSError):
                marks.append(f"{name}:{(self._slots.folder / name).stat().st_mtime_ns}")
        return " ".join(marks) or "none"

    def _sweep(self, wish: Desired | None) -> None:
        """Remove what was fetched for another wish."""
        kept = f"{wish.sha256}.part" if wish is not None and not isinstance(wish.sha256, msgspec.UnsetType) else "-"
        for path in self._folder.glob("*.part*") if self._folder.is_dir() else ():
            if not path.name.startswith(kept):
                path.unlink(missing_ok=True)

    def _note(self, state: str, reason: str, advice: str, **more: object) -> None:
        before = self._state
        changed = (before.state, before.reason) != (state, reason)
        since = _now() if changed else before.since
        made = msgspec.structs.replace(before, state=state, reason=reason, advice=advice, since=since, **more)
        if made.state != "waiting":
            made = msgspec.structs.replace(made, gate=made.gate if made.handed is not None else "")
        self._save(made)

    def _save(self, state: FetchState) -> None:
        """Keep the state in memory whatever happens: on a full card the wish waits, and is not lost."""
        if state == self._state and time.monotonic() - self._saved_s < SAVE_S:
            return
        written = state != self._state
        self._state, self._saved_s = state, time.monotonic()
        if written:
            with contextlib.suppress(OSError):
                write_fetch_state(self._state_dir, state)


def _answers(entry: Entry, wish: Desired) -> bool:
    if entry.file.startswith(wish_stem(wish.digest)):
        return True
    return wish.mode == "revert" and entry.left == wish.digest


def _now() -> datetime:
    return datetime.now(UTC)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
