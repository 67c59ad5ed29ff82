"""What the bundle unit does about a bundle that failed its trial: the links move, the digest is refused for good."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.bundle.history import Entry, History, entry_of, write_history
from edge.bundle.slots import ACTIVE, PREVIOUS, Slots
from edge.bundle.trial import Trials
from edge.contract.bundle.bundle import Bundle, Trusted, read_bundle
from edge.errors import BundleError


def settle(
    state_dir: Path, slots: Slots, keys: Trusted, history: History, trials: Trials
) -> tuple[History, Entry | None]:
    """Carry out capture's verdict on the active bundle; return the history and what was done, None without a verdict.

    The refusal is durable before the links move: after a power cut between the two this is done again, to the same end.

    Raises:
        OSError: the card failed or is full; capture goes on with the bundle before.
    """
    bad = _read(slots.target(ACTIVE), keys)
    reason = None if bad is None else trials.reason(bad.sha256)
    if bad is None or reason is None:
        return history, None
    good = _read(slots.target(PREVIOUS), keys)
    if good is not None and (good.sha256 == bad.sha256 or trials.reason(good.sha256) is not None):
        good = None
    known = history.refuses(bad)
    if known and good is None:
        return history, None
    file = f"{bad.manifest.release:06d}-{bad.sha256[:16]}.bundle"
    if good is not None:
        entry = entry_of("rolled back", file, good, f"{bad.sha256[:12]} failed its trial: {reason}")
    else:
        entry = entry_of(
            "refused", file, bad, f"it failed its trial, and there is no earlier bundle to go back to: {reason}"
        )
    entry = msgspec.structs.replace(entry, by="trial", left=bad.sha256)
    if not known:
        history = history.refusing(bad.sha256).adding(entry)
        write_history(state_dir, history)
    if good is not None:
        slots.go_back()
    return history, entry


def displaces(slots: Slots, keys: Trusted, trials: Trials) -> bool:
    """Return whether a new bundle makes the active one the previous one.

    Not where the active one is condemned, nor where it has still to prove itself and the previous one has done so: what
    is gone back to is the newest that is known to work.
    """
    active, previous = _read(slots.target(ACTIVE), keys), _read(slots.target(PREVIOUS), keys)
    if active is None or trials.reason(active.sha256) is not None:
        return False
    return active.sha256 in trials.good or previous is None or previous.sha256 not in trials.good


def _read(slot: Path | None, keys: Trusted) -> Bundle | None:
    try:
        return None if slot is None else read_bundle(slot, keys)
    except BundleError:
        return None  # a damaged slot is nothing to go back to
