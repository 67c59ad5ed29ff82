"""`model/reported`: what a device says of its model, from what capture, the fetcher and the bundle unit leave."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.bundle.fresh_word import NAME as WORD
from edge.bundle.fresh_word import read_word, why_frozen
from edge.bundle.history import NAME as HISTORY
from edge.bundle.history import Entry, History, read_history
from edge.bundle.reasons import code_of, wish_stem
from edge.bundle.shadow import NAME as SHADOW_ORDER
from edge.bundle.shadow import read_order, read_shadow_state, state_path
from edge.bundle.slots import ACTIVE, SHADOW, Slots
from edge.bundle.trial import FILE as TRIALS
from edge.bundle.trial import Trials, read_trials
from edge.bundle.trust_store import NAME as TRUST
from edge.bundle.trust_store import judge_time, read_trust
from edge.bundle.wish import FOLDER as FETCH
from edge.bundle.wish import STATE as FETCH_STATE
from edge.bundle.wish import WISH, FetchState, read_fetch_state, read_wish
from edge.config.state_folder import CAPTURE_STATUS, capture_folder, publish_folder
from edge.config.tree import Config
from edge.contract.desired import Desired
from edge.contract.reading import Model
from edge.contract.reported import InShadow, Reported, Running, TrustHeld
from edge.errors import BundleError, OperatorError
from edge.timing.clock import Clock

_OF_BUNDLES = ("installed", "active already", "refused", "rolled back", "waiting", "shadow", "shadow ended")
_NO_FETCHER = "nobody has taken the wish up yet: does the unit cageclock-fetch run on the device?"
_NO_MODEL = "no model can be used: pictures and health go on, and no age is estimated; install a bundle"
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Said:
    """What the message says of the newest attempt; see `Reported`."""

    state: str
    digest: str | None = None
    reason: str = ""
    advice: str = ""
    way: str = ""
    at: datetime | None = None
    bytes: int = 0
    size: int = 0


class ModelReport:
    """Makes the message; `since` is kept from one to the next."""

    def __init__(self, config: Config, clock: Clock) -> None:
        """Nothing was said yet."""
        self._config, self._clock, self._state_dir = config, clock, Path(config.state_dir)
        self._slots = Slots(self._state_dir)
        self._last: tuple[object, ...] = ()
        self._since = datetime.now(UTC)

    def fingerprint(self) -> tuple[object, ...]:
        """Return what changes when there may be something else to say: the files that it is made of."""
        folders = capture_folder(self._state_dir), publish_folder(self._state_dir), self._slots.folder
        capture, publish, bundles = folders
        paths = (
            capture / CAPTURE_STATUS,
            capture / TRIALS,
            state_path(self._state_dir),
            publish / WISH,
            self._state_dir / FETCH / FETCH_STATE,
            *(bundles / name for name in (HISTORY, SHADOW_ORDER, TRUST, WORD)),
        )
        found: list[object] = [os.readlink(bundles / ACTIVE)] if (bundles / ACTIVE).is_symlink() else []
        for path in paths:
            try:
                state = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((state.st_ino, state.st_mtime_ns, state.st_size))
        return tuple(found)

    def make(self, ran: Model | None, capture_begun: bool, unreadable: str) -> Reported:
        """Return the message. ran: capture's model. unreadable: why the newest wish is none."""
        history = self._history()
        trials = read_trials(self._state_dir)
        wish, fetched = read_wish(self._state_dir, self._config.device_id), read_fetch_state(self._state_dir)
        running = self._running(history, trials, ran)
        shadow = self._shadow()
        said = Said("refused", None, "unreadable", unreadable, "wish") if unreadable else None
        said = said or (None if wish is None else self._of_wish(wish, fetched, history, trials, shadow))
        said = said or self._of_history(history, trials, running)
        if running is None and capture_begun and said.state in ("none", "good", "pending"):
            said = Said("safe_mode", said.digest, "no_model", _NO_MODEL)
        key = (said.state, said.digest, said.reason, wish and wish.rollout)
        if key != self._last:
            self._last, self._since = key, said.at or datetime.now(UTC)
        channel = self._config.bundle.channel or history.channel
        return Reported(
            device_id=self._config.device_id,
            state=said.state,  # type: ignore[arg-type]
            digest=said.digest,
            reason=said.reason,
            advice=said.advice[:_MOST],
            rollout=wish.rollout if wish is not None and said.digest == wish.digest else None,
            way=said.way,  # type: ignore[arg-type]
            since=self._since,
            bytes=said.bytes,
            size=said.size,
            channel=channel,
            floor=max(0, history.floors.get(channel or "", 0)),
            running=running,
            shadow=msgspec.UNSET if shadow is None else shadow,
            trust=self._trust(history),
        )

    def _history(self) -> History:
        try:
            return read_history(self._state_dir)
        except BundleError:
            return History()  # its damage is reported where something is to be installed

    def _of_wish(
        self, wish: Desired, fetched: FetchState, history: History, trials: Trials, shadow: InShadow | None
    ) -> Said:
        if not fetched.is_of(wish):
            return Said("waiting", wish.digest, "other", _NO_FETCHER, "wish")
        if fetched.state != "done":
            sizes = {"bytes": fetched.bytes, "size": fetched.size} if fetched.state == "fetching" else {}
            return Said(fetched.state, wish.digest, fetched.reason, fetched.advice, "wish", fetched.since, **sizes)
        if wish.mode == "revert":
            return Said("rolled_back", wish.digest, "", fetched.advice, "wish", fetched.since)
        if wish.mode == "shadow":
            if shadow is None or shadow.digest != wish.digest:
                return Said("none", wish.digest, "", "it runs in the shadow no longer", "wish")
            if shadow.fault:
                return Said("shadow", wish.digest, "shadow_fault", shadow.fault, "wish", fetched.since)
            over = shadow.hours >= shadow.of_hours
            return Said("shadow", wish.digest, "shadow_complete" if over else "", "", "wish", fetched.since)
        return self._of_installed(wish.digest, history, trials, fetched.advice, "wish")

    def _of_installed(self, digest: str, history: History, trials: Trials, advice: str, way: str) -> Said:
        """Say what became of a bundle that was installed at some time."""
        reason = trials.reason(digest)
        left = next((one for one in reversed(history.entries) if one.left == digest), None)
        slot = self._slots.target(ACTIVE)
        active = slot is not None and slot.name.endswith(f"-{digest[:16]}.bundle")
        if reason is not None:
            return Said("rolled_back", digest, "trial", f"it failed its trial: {reason}", "trial")
        if not active and (left is not None or digest in history.refused):
            why = left.reason if left is not None else "another bundle runs"
            return Said("rolled_back", digest, "by_person", why, "person", None if left is None else left.at)
        if not active:
            return Said("none", digest, "", "another bundle was installed since", way)
        return Said("good" if digest in trials.good else "pending", digest, "", advice, way)

    def _of_history(self, history: History, trials: Trials, running: Running | None) -> Said:
        entry = next((one for one in reversed(history.entries) if one.result in _OF_BUNDLES and _is_bundle(one)), None)
        if entry is None:
            return Said("none") if running is None else Said(running.state, running.digest)
        way = "wish" if entry.file.startswith("wish-") else "trial" if entry.by == "trial" else "inbox"
        if entry.result == "refused":
            return Said("refused", entry.sha256, code_of(entry.reason), entry.reason, way, entry.at)
        if entry.result == "waiting":
            return Said("waiting", entry.sha256, "other", entry.reason, way, entry.at)
        if entry.result == "rolled back":
            reason = "trial" if entry.by == "trial" else "by_person"
            return Said("rolled_back", entry.left, reason, entry.reason, way, entry.at)
        if entry.result == "shadow":
            return Said("shadow", entry.sha256, "", entry.reason, way, entry.at)
        if entry.result == "shadow ended" or entry.sha256 is None:
            return Said("none") if running is None else Said(running.state, running.digest)
        return self._of_installed(entry.sha256, history, trials, entry.reason, way)

    def _running(self, history: History, trials: Trials, ran: Model | None) -> Running | None:
        """Return what runs: as capture says, else the active bundle by the history."""
        if ran is not None:
            entry = next((one for one in reversed(history.entries) if one.sha256 == ran.sha256), None)
            slot = self._slots.target(ACTIVE)
            installed = slot is not None and slot.name.endswith(f"-{ran.sha256[:16]}.bundle")
            good = ran.sha256 in trials.good or not installed
            return Running(
                digest=ran.sha256,
                name=ran.name,
                model_version=ran.model_version,
                channel=(entry.channel if entry is not None else None) or "",
                release=ran.release,
                state="good" if good else "pending",
            )
        return None

    def _shadow(self) -> InShadow | None:
        order = read_order(self._state_dir)
        if order is None or self._slots.target(SHADOW) is None:
            return None
        state = read_shadow_state(self._state_dir)
        ran = state.sha256 == order.sha256
        return InShadow(
            digest=order.sha256,
            name=order.name,
            model_version=order.model_version,
            channel=order.channel,
            release=order.release,
            hours=round(state.minutes / 60, 3) if ran else 0.0,
            of_hours=order.hours,
            captures=state.captures if ran else 0,
            fault=state.fault if ran else "",
        )

    def _trust(self, history: History) -> TrustHeld | None:
        try:
            trust = read_trust(self._config)
        except (BundleError, OperatorError):
            return None
        if trust is None:
            return None
        newest = trust.newest
        judged = judge_time(history, newest, self._clock)
        word = read_word(self._config, newest)
        return TrustHeld(
            version=newest.version,
            lab=newest.lab,
            expires_at=newest.expires_at,
            expired=judged[0] >= newest.expires_at,
            fresh_until=None if word is None else word.expires_at,
            frozen=why_frozen(word, newest, judged),
            clock=judged[1],
        )


def _is_bundle(entry: Entry) -> bool:
    """Return whether an entry is about a bundle, and not about statements or the online key's word by themselves."""
    return entry.sha256 is not None or not entry.file.endswith(".json") or entry.file.startswith(wish_stem("")[:5])
