"""Whom a rollout asks next: the open rings' devices in order, within the hours, some at a time, units whole. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby

from station.fleet.rollout.assign import place
from station.fleet.rollout.state import Device, Member, Phase, Rollout, Stage, Status


def offer(rollout: Rollout, devices: Mapping[str, Device], now_s: float) -> dict[str, Member]:
    """Return the members that are asked now, with their new phase; the reason why the others wait stands in theirs.

    A unit is asked whole or not at all, once all of its devices are connected: half a study on a new model would
    confound its treatment. A device that is not connected is not asked: its message would arrive at any hour.
    """
    busy = sum(1 for one in rollout.members.values() if _switching(one, devices.get(one.device)))
    failed = {one.unit: one for one in rollout.members.values() if one.failed}
    changed: dict[str, Member] = {}
    for unit, members in _waiting(rollout):
        known = [(one, devices.get(one.device)) for one in members]
        why = _why_not(rollout, failed.get(unit), known, now_s)
        if not why and busy and busy + len(members) > rollout.plan.limit:
            why = f"waits its turn: {busy} devices are switching, {rollout.plan.limit} may at a time"
        if why:
            changed |= {one.device: replace(one, reason=why) for one in members if one.reason != why}
            continue
        busy += len(members)
        changed |= {one.device: _asked(one, devices[one.device], rollout, now_s) for one in members}
    return changed


def _waiting(rollout: Rollout) -> list[tuple[str, list[Member]]]:
    """Return the units of the open rings with devices that wait, in the order in which they are asked."""
    upto = rollout.ring if rollout.status is Status.RUNNING else len(rollout.plan.rings)
    members = [one for one in rollout.members.values() if one.phase is Phase.WAITING and one.ring <= upto]
    members.sort(key=lambda one: (one.ring, place(rollout.plan.sha256, one.unit), one.unit, one.device))
    return [(unit, list(found)) for unit, found in groupby(members, key=lambda one: one.unit)]


def _why_not(rollout: Rollout, failed: Member | None, known: list[tuple[Member, Device | None]], now_s: float) -> str:
    if failed is not None:
        return f"stays as {failed.device} of {failed.unit}, which {failed.reason}"
    away = [one.device for one, device in known if device is None or not device.online]
    if away:
        return f"{known[0][0].unit} waits for {', '.join(away[:5])}: not connected" if known[1:] else "not connected"
    window = rollout.plan.window
    if window is not None and not all(window.holds(now_s, device.zone) for _, device in known if device is not None):
        return f"waits for its hours, {window}"
    return ""


def _switching(member: Member, device: Device | None) -> bool:
    if member.failed or device is None or not device.online:
        return False
    return member.phase is Phase.ASKED or (member.phase is Phase.SHADOW and device.shadow is None)


def _asked(member: Member, device: Device, rollout: Rollout, now_s: float) -> Member:
    phase = Phase.SHADOW if rollout.stage is Stage.SHADOW and rollout.status is Status.RUNNING else Phase.ASKED
    known = member.known if member.asked_s is not None else tuple(sorted(device.problems))
    before = device.running if member.before is None else member.before
    return replace(member, phase=phase, reason="", asked_s=now_s, before=before, known=known)
