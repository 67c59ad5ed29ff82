"""The rules that a bundle must meet beside its signature: channel, release, target group, runtime."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from edge.bundle.history import History
from edge.contract.bundle.bundle import Bundle
from edge.contract.bundle.statement import Statement
from edge.contract.manifest import Manifest
from edge.errors import BundleError

ANY = "any"
"""The target group of a bundle that is for every device."""
MOST_FIRST = 1_000_000_000
"""The highest release that may be the first of its channel on a device; room for dates such as 20261128."""
MOST_AHEAD = 100_000
"""How far a release may lie above the highest before it; dates such as 20261231 and 20270101 are 8,870 apart."""
_NAMED = re.compile(r"(?:([A-Za-z][A-Za-z0-9_-]*) )?([0-9]+(?:\.[0-9]+)*)")


def check_channel(manifest: Manifest, channel: str | None, *, by_settings: bool) -> None:
    """Refuse a bundle of another channel than the device's. channel: None where it has none yet.

    by_settings: `bundle.channel` names it; otherwise it is the one of the bundle that was installed before.

    Raises:
        BundleError: another channel.
    """
    if channel is None or manifest.channel == channel:
        return
    why = "by bundle.channel in the settings" if by_settings else "as its earlier bundles did"
    raise BundleError(
        f"channel: this device keeps to {channel!r}, {why}; the bundle is of {manifest.channel!r}. To change over, set "
        f"bundle.channel: {manifest.channel} in the settings"
    )


def check_release(history: History, bundle: Bundle) -> None:
    """Refuse what was condemned on this device, and a release that does not rise or rises beyond all measure.

    The bundle that raised the floor to where it is may come again: a power cut may have kept it from becoming active.

    Raises:
        BundleError: a rule does not hold; the text names it.
    """
    manifest = bundle.manifest
    floor = history.floors.get(manifest.channel, 0)
    if history.refuses(bundle):
        raise BundleError(f"sha256 {bundle.sha256[:12]} was rolled back on this device; sign a new release")
    if manifest.release == floor and history.floor_of.get(manifest.channel) == bundle.sha256:
        return
    if manifest.release <= floor:
        raise BundleError(
            f"release: expected more than {floor}, which channel {manifest.channel!r} had already, got "
            f"{manifest.release}; going back is a new release with the old content, or `cageclock bundle rollback`; "
            "a floor that is too high is set with `cageclock bundle reset-floor`"
        )
    most = floor + MOST_AHEAD if floor else MOST_FIRST
    if manifest.release > most:
        raise BundleError(
            f"release: expected at most {most} on channel {manifest.channel!r}, got {manifest.release}; a number so "
            "far ahead would use up the channel: sign a lower one, or set the floor with `cageclock bundle reset-floor`"
        )


def check_trust(statement: Statement, bundle: Bundle, now: datetime, note: str) -> None:
    """Refuse what the lab's newest trust statement does not let in. now, note: from `trust_store.judge_time`.

    Raises:
        BundleError: the statement has expired, it revokes the bundle, or its release is below the channel's floor.
    """
    version, channel = statement.version, bundle.manifest.channel
    check_revoked(statement, bundle)
    floor = statement.floors.get(channel)
    if floor is not None and bundle.manifest.release < floor.release:
        raise BundleError(
            f"release: trust statement {version} lets in {floor.release} or more on channel {channel!r}, got "
            f"{bundle.manifest.release}; sign a new release"
        )
    if now >= statement.expires_at:
        raise BundleError(
            f"expired: trust statement {version} held until {statement.expires_at.isoformat(timespec='seconds')}; send "
            f"a newer trust.json; what is installed goes on{'; ' + note if note else ''}"
        )


def check_revoked(statement: Statement, bundle: Bundle) -> None:
    """Refuse a bundle whose digest is revoked.

    Raises:
        BundleError: it is.
    """
    if bundle.sha256 in statement.revoked_bundles:
        raise BundleError(
            f"revoked bundle: trust statement {statement.version} revokes sha256 {bundle.sha256[:12]}; "
            "sign a new release"
        )


def check_target(manifest: Manifest, groups: Sequence[str]) -> None:
    """Refuse a bundle that is for other devices. groups: those that this device belongs to.

    Raises:
        BundleError: the bundle is neither for one of them nor for `any`.
    """
    if manifest.target_group == ANY or manifest.target_group in groups:
        return
    device = f"in {', '.join(map(repr, groups))}" if groups else "in no group"
    raise BundleError(
        f"target_group: the bundle is for {manifest.target_group!r}, this device is {device}; send a bundle for "
        "it, or correct bundle.target_groups in the settings"
    )


def check_runtime(runtime_min: str, runtime: str) -> None:
    """Refuse a bundle that needs a newer or another runtime than the device has.

    runtime_min: alternatives such as `ai-edge-litert 1.4 / tflite-runtime 2.14`; a version without a name is for any
    runtime. runtime: for example `ai-edge-litert 2.3.0`.

    Raises:
        BundleError: none of the alternatives holds, or one cannot be read.
    """
    name, _, version = runtime.rpartition(" ")
    for alternative in runtime_min.split("/"):
        found = _NAMED.fullmatch(alternative.strip())
        if found is None:
            raise BundleError(
                f"runtime_min: expected alternatives such as 'ai-edge-litert 1.4 / tflite-runtime 2.14', got "
                f"{runtime_min[:100]!r}; make the bundle again"
            )
        if found[1] in (None, name) and _numbers(version) >= _numbers(found[2]):
            return
    raise BundleError(
        f"runtime_min: the bundle needs {runtime_min[:100]}, this device has {runtime}; update the program's "
        "runtime or send a bundle made for it"
    )


def _numbers(version: str) -> tuple[int, ...]:
    """Return the release part of a version, trailing zeros dropped: 2.0 is not above 2."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found is not None else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
