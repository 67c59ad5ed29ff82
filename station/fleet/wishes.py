"""The messages for the devices: what each is asked to run, after pins and rollouts, and the lab's trust statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from edge.contract import jsontext
from edge.contract.desired import Desired, LocalHours
from station.fleet.keep.bundles import Kept, load_bundle
from station.fleet.keep.devices import Heard
from station.fleet.keep.groups import Pin
from station.fleet.rollout.plan import UNDECIDED_TIMES, Window
from station.fleet.rollout.state import Rollout
from station.fleet.rollout.want import wanted

NOTHING = b""
"""The message that takes a wish back."""


def wishes(
    fleet: sqlite3.Connection, rollouts: Iterable[Rollout], pins: Mapping[str, Pin], urls: Sequence[str]
) -> dict[str, bytes]:
    """Return the retained `model/desired` of each device of which something is wanted. rollouts: oldest first.

    The newest rollout that wants something of a device counts; a pin to a bundle goes before all of them.
    """
    found: dict[str, bytes] = {}
    for rollout in rollouts:
        kept = load_bundle(fleet, rollout.plan.sha256)
        if kept is None:
            continue
        for name, member in rollout.members.items():
            want = wanted(rollout, member)
            if want is None:
                continue
            found[name] = _message(name, f"{rollout.number}", want.mode, kept, urls, rollout)
    for name, pin in pins.items():
        kept = load_bundle(fleet, pin.sha256) if pin.sha256 else None
        if kept is not None:
            found[name] = _message(name, f"pin-{kept.sha256[:12]}", "install", kept, urls, None)
        else:
            found.pop(name, None)
    return found


def file_urls(urls: Sequence[str], sha256: str) -> tuple[str, ...]:
    """Return where a bundle's file lies, for the addresses of the settings."""
    return tuple(f"{url.rstrip('/')}/{sha256}.bundle" for url in urls)


def holds_back_trust(heard: Heard, version: int) -> bool:
    """Return whether a device says that it holds an older trust statement than the one that is published."""
    held = None if heard.reported is None else heard.reported.trust
    return held is not None and held.version < version


def _message(device: str, rollout: str, mode: str, kept: Kept, urls: Sequence[str], of: Rollout | None) -> bytes:
    revert = mode == "revert"
    shadow = of.plan.shadow if of is not None and mode == "shadow" else None
    made = Desired(
        device_id=device,
        rollout=rollout,
        mode="revert" if revert else "shadow" if shadow is not None else "install",
        digest=kept.sha256,
        channel=kept.channel,
        release=kept.release,
        model_version=kept.model_version,
        size=msgspec.UNSET if revert else kept.bytes,
        sha256=msgspec.UNSET if revert else kept.file_sha256,
        urls=() if revert else file_urls(urls, kept.sha256),
        shadow_hours=msgspec.UNSET
        if shadow is None
        else min(UNDECIDED_TIMES * shadow.runs * shadow.seconds / 3600.0, 1440.0),
        window=_hours(of.plan.window) if of is not None and not revert else None,
    )
    return jsontext.encode(made)


def _hours(window: Window | None) -> LocalHours | None:
    if window is None:
        return None
    begin, end = str(window).split("-")
    return LocalHours(begin=begin, end=end)


def as_time(at_s: float) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromtimestamp(at_s, UTC)
