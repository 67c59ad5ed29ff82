"""One look at a rollout: from what is known of the devices to the rollout as it stands afterwards. Pure.

It is called again and again, by one process, with whatever is known at the moment, and may be cut off between any two
calls: what it returns is kept whole or not at all, and looking twice at the same changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from station.fleet.rollout.assign import ring_of_late
from station.fleet.rollout.judge import equivalence, worse
from station.fleet.rollout.offer import offer
from station.fleet.rollout.plan import UNDECIDED_TIMES, Plan
from station.fleet.rollout.state import HELD, Comparison, Device, Member, Phase, Rollout, Stage, Status

UNREPORTED = "has never said which model it runs; a program before this version, or it was never connected"


def advance(
    rollout: Rollout, devices: Mapping[str, Device], now_s: float, comparison: Comparison | None = None
) -> Rollout:
    """Return the rollout after a look at its devices. now_s: Unix seconds. comparison: of the shadow run so far."""
    if rollout.status in (Status.DRAFT, Status.SUPERSEDED):
        return rollout
    rollout = _with(rollout, _joined(rollout, devices.values()))
    rollout = _with(rollout, {name: settled(one, devices, rollout, now_s) for name, one in rollout.members.items()})
    rollout = _with_units_together(rollout)
    if rollout.status in (Status.RUNNING, Status.PAUSED):
        stop = _too_many_errors(rollout)
        if stop:
            rollout = revert(rollout, stop)
    if rollout.status is Status.REVERTING and not _still_back(rollout):
        return replace(rollout, status=Status.REVERTED)
    if rollout.status is Status.REVERTED and _still_back(rollout):  # one that came late with the bundle on it
        return replace(rollout, status=Status.REVERTING)
    if rollout.status is Status.RUNNING:
        rollout = _next_ring(rollout, devices, now_s, comparison)
    if rollout.status in (Status.RUNNING, Status.DONE):
        return _with(rollout, offer(rollout, devices, now_s))
    return rollout


def revert(rollout: Rollout, reason: str) -> Rollout:
    """Return the rollout that takes itself back: every device that has the bundle, or may, is asked to leave it."""
    members = {
        name: replace(one, phase=Phase.RETURNING, reason=one.reason or reason) if one.phase in HELD else one
        for name, one in rollout.members.items()
    }
    return replace(rollout, status=Status.REVERTING, reason=reason, members=members)


def settled(member: Member, devices: Mapping[str, Device], rollout: Rollout, now_s: float) -> Member:
    """Return a device's place after what it reported. One of which nothing is known any more stays as it is."""
    device = devices.get(member.device)
    if device is None:
        return member
    if not device.reported:
        waits = member.phase in (Phase.WAITING, Phase.SKIPPED)
        return replace(member, phase=Phase.SKIPPED, reason=device.excluded or UNREPORTED) if waits else member
    sha256, phase = rollout.plan.sha256, member.phase
    if phase is Phase.RETURNING:
        return member if _has(device, sha256) else replace(member, phase=Phase.RETURNED)
    if phase is Phase.RETURNED:
        # What was installed by hand, or arrived late, is asked back like the rest.
        return replace(member, phase=Phase.RETURNING) if _has(device, sha256) else member
    if phase is Phase.FAILED:
        # A card that was written anew knows nothing of its refusal: what it took up all the same is asked back.
        return replace(member, phase=Phase.RETURNING) if device.running == sha256 else member
    if device.about == sha256 and device.state in ("refused", "rolled_back"):
        return _refused(member, device)
    if device.running == sha256 and (device.running_good or phase is Phase.GOOD):
        return _good(member, device, rollout, now_s)
    if phase is Phase.GOOD:
        # Another bundle was installed by hand since, or an older card is in it.
        return replace(member, phase=Phase.ASKED, good_s=None, asked_s=now_s, reason="it no longer runs the bundle")
    if phase in (Phase.ASKED, Phase.SHADOW):
        if device.excluded:
            return replace(member, phase=Phase.SKIPPED, reason=device.excluded)
        return _frozen(member, device, rollout, now_s)
    if device.excluded:
        return replace(member, phase=Phase.SKIPPED, reason=device.excluded)
    return member if phase is Phase.WAITING else replace(member, phase=Phase.WAITING, reason="")


def _refused(member: Member, device: Device) -> Member:
    said = "refused it" if device.state == "refused" else "went back by itself"
    reason = f"{said}: {device.reason}".rstrip(": ")
    if member.asked_s is None:  # before this rollout: it is not asked again, and is no error of this one
        return replace(member, phase=Phase.SKIPPED, reason=reason)
    return replace(member, phase=Phase.FAILED, failed=True, reason=reason)


def _good(member: Member, device: Device, rollout: Rollout, now_s: float) -> Member:
    if rollout.status in (Status.REVERTING, Status.REVERTED):
        return replace(member, phase=Phase.RETURNING, reason=rollout.reason)
    thresholds = rollout.plan.thresholds
    since_s = member.good_s if member.phase is Phase.GOOD and member.good_s is not None else now_s
    watched = now_s - since_s <= max(thresholds.watch_s, thresholds.soak_s)
    bad = worse(device, member, thresholds) if watched and member.asked_s is not None else ""
    if bad:
        return replace(member, phase=Phase.RETURNING, failed=True, reason=bad, good_s=since_s)
    if member.phase is Phase.GOOD and member.good_s == since_s and not member.failed and not member.reason:
        return member  # most devices at most looks
    return replace(member, phase=Phase.GOOD, failed=False, reason="", good_s=since_s)


def _has(device: Device, sha256: str) -> bool:
    coming = device.about == sha256 and device.state in ("waiting", "fetching", "installing", "pending", "shadow")
    return sha256 in (device.running, device.shadow) or coming


def in_shadow(device: Device | None, sha256: str) -> bool:
    """Return whether a device runs a bundle beside its own."""
    return device is not None and device.shadow == sha256


def _frozen(member: Member, device: Device, rollout: Rollout, now_s: float) -> Member:
    """Return the member as an error where it was connected all the time and has not done what it was asked."""
    limit_s = rollout.plan.thresholds.frozen_s
    if member.phase is Phase.SHADOW and in_shadow(device, rollout.plan.sha256):
        since_s = member.good_s if member.good_s is not None else now_s
        return replace(member, failed=False, reason="", good_s=since_s)
    known = [at_s for at_s in (member.asked_s, device.online_since_s) if at_s is not None]
    since_s = max(known) if len(known) == 2 else now_s
    if not device.online or now_s - since_s < limit_s or member.failed:
        return member
    said = f"; it says: {device.reason}" if device.about == rollout.plan.sha256 and device.reason else ""
    text = f"connected for {limit_s / 3600:g} h and has not taken up what it was asked{said}"
    return replace(member, failed=True, reason=text)


def _joined(rollout: Rollout, devices: Iterable[Device]) -> dict[str, Member]:
    """Return the devices that were not there before: in their unit's ring, else in the one where chance puts them."""
    rings = {one.unit: one.ring for one in rollout.members.values()}
    plan = rollout.plan
    found = {}
    for device in devices:
        if device.name not in rollout.members:
            ring = rings.get(device.unit)
            ring = ring_of_late(plan.sha256, device.unit, plan.rings) if ring is None else ring
            rings[device.unit] = ring
            found[device.name] = Member(device.name, device.unit, ring)
    return found


def _with_units_together(rollout: Rollout) -> Rollout:
    """Return the rollout in which what switches together goes back together: one that failed takes the others along."""
    failed = {one.unit: one for one in rollout.members.values() if one.failed and one.device != one.unit}
    changed = {}
    for name, one in rollout.members.items():
        cause = failed.get(one.unit)
        if cause is not None and one.phase in HELD:
            text = one.reason if one.failed else f"goes back with {cause.device} of {one.unit}: {cause.reason}"
            changed[name] = replace(one, phase=Phase.RETURNING, reason=text)
    return _with(rollout, changed)


def _too_many_errors(rollout: Rollout) -> str:
    """Return in words why the rollout must stop, "" where it need not."""
    for ring in range(rollout.ring + 1):
        members = rollout.of_ring(ring)
        failed = [one for one in members if one.failed]
        if failed and len(failed) > rollout.plan.thresholds.errors * len(members) + 1e-9:
            named = "; ".join(f"{one.device} {one.reason}" for one in failed[:5])
            more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
            return (
                f"ring {ring + 1}: {len(failed)} of {len(members)} devices failed, at most "
                f"{rollout.plan.thresholds.errors:.0%} may: {named}{more}"
            )
    return ""


def _still_back(rollout: Rollout) -> bool:
    return any(one.phase is Phase.RETURNING for one in rollout.members.values())


def _next_ring(rollout: Rollout, devices: Mapping[str, Device], now_s: float, comparison: Comparison | None) -> Rollout:
    """Return the rollout with the next ring open, the next stage begun, or DONE, as far as what is open is through."""
    while True:
        wait = why_not_through(rollout, devices, now_s)
        if wait:
            return replace(rollout, reason=wait)
        if rollout.ring + 1 < len(rollout.plan.rings):
            # A ring that was just opened and has devices to ask is not through: the loop ends there.
            rollout = replace(rollout, ring=rollout.ring + 1, reason="")
            continue
        if rollout.stage is Stage.SWITCH:
            return replace(rollout, status=Status.DONE, reason="every ring is through")
        return _after_shadow(rollout, now_s, comparison)


def _after_shadow(rollout: Rollout, now_s: float, comparison: Comparison | None) -> Rollout:
    shadow = rollout.plan.shadow
    assert shadow is not None
    # From when the last of them ran it: fetching does not count.
    begun_s = max(
        (one.good_s for one in rollout.members.values() if one.phase is Phase.SHADOW and one.good_s), default=now_s
    )
    verdict, why = equivalence(comparison, shadow)
    lengths = int((now_s - begun_s) // shadow.seconds)
    if lengths == 0:
        return replace(rollout, reason=f"shadow run until its {shadow.seconds / 3600:g} h are over; so far {why}")
    goes_on = f"shadow run goes on and is judged again after {(lengths + 1) * shadow.seconds / 3600:g} h; so far {why}"
    if lengths <= shadow.judged:
        return replace(rollout, reason=goes_on)
    rollout = replace(rollout, plan=_judged(rollout.plan, lengths))
    if verdict == "equivalent":
        members = {
            name: replace(one, phase=Phase.WAITING, reason="", good_s=None) if one.phase is Phase.SHADOW else one
            for name, one in rollout.members.items()
        }
        return replace(
            rollout, stage=Stage.SWITCH, ring=0, stage_since_s=now_s, reason=f"shadow run: {why}", members=members
        )
    if verdict == "different":
        return revert(rollout, f"shadow run: {why}")
    if lengths >= UNDECIDED_TIMES:
        text = f"shadow run: {why}; not shown after {UNDECIDED_TIMES:g} times its length: resume or abort"
        return replace(rollout, status=Status.PAUSED, reason=text)
    return replace(rollout, reason=goes_on)


def _judged(plan: Plan, lengths: int) -> Plan:
    assert plan.shadow is not None
    return msgspec.structs.replace(plan, shadow=msgspec.structs.replace(plan.shadow, judged=lengths))


def why_not_through(rollout: Rollout, devices: Mapping[str, Device], now_s: float) -> str:
    """Return in words what the open ring waits for, "" where it is through."""
    members = rollout.of_ring(rollout.ring)
    ring, thresholds = f"ring {rollout.ring + 1}", rollout.plan.thresholds
    good: list[str] = []
    soaking: list[str] = []
    left: list[str] = []
    away: list[str] = []
    for one in members:
        device = devices.get(one.device)
        if _is_through(one, device, rollout):
            (good if _soaked(one, rollout, now_s) else soaking).append(one.device)
        elif not one.failed and one.phase in (Phase.WAITING, Phase.SHADOW, Phase.ASKED):
            (away if device is None or not device.online else left).append(one.device)
    if soaking and not left:
        return f"{ring} watches {_listed(soaking)} for {thresholds.soak_s / 3600:g} h"
    if left:
        return f"{ring} waits for {_listed(left)}"
    if len(good) < thresholds.success * len(members) - 1e-9:
        text = f"{ring}: {len(good)} of {len(members)} devices are good, it takes {thresholds.success:.0%}"
        return f"{text}; not connected: {_listed(away)}" if away else text
    return ""


def _is_through(member: Member, device: Device | None, rollout: Rollout) -> bool:
    if member.phase is Phase.GOOD:
        return True
    if rollout.stage is Stage.SWITCH or member.phase is not Phase.SHADOW:
        return False
    return in_shadow(device, rollout.plan.sha256)


def _soaked(member: Member, rollout: Rollout, now_s: float) -> bool:
    if rollout.stage is Stage.SHADOW:
        return True
    return member.good_s is not None and now_s - member.good_s >= rollout.plan.thresholds.soak_s


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _with(rollout: Rollout, changed: Mapping[str, Member]) -> Rollout:
    return replace(rollout, members={**rollout.members, **changed}) if changed else rollout
