"""What people read of a rollout: plain values for programs and the page, and the text of the same for a terminal."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from edge.contract.bundle.bundle import Bundle
from edge.contract.bundle.description import describe, difference
from edge.errors import OperatorError
from station.fleet.actions import DryRun, approved_by, counts, made_by, plan_values
from station.fleet.keep.bundles import load_bundle
from station.fleet.keep.devices import load_heard
from station.fleet.keep.history import load_history
from station.fleet.keep.rollouts import load_comparison, load_rollout
from station.fleet.rollout.state import Phase

Values = dict[str, Any]


def dry_run_values(found: DryRun, bundle: Bundle, running: Mapping[str, Bundle]) -> Values:
    """Return what a plan would do. running: the bundles that the devices run now, as far as the station keeps them."""
    members = found.rollout.members.values()
    skipped = {one.device: one.reason for one in members if one.phase is Phase.SKIPPED}
    rings = [
        {
            "ring": str(ring),
            "devices": sorted(one.device for one in members if one.ring == number and one.phase is not Phase.SKIPPED),
        }
        for number, ring in enumerate(found.rollout.plan.rings)
    ]
    unknown = {one.running for one in found.devices.values() if one.running} - set(running) - {bundle.sha256}
    return {
        "bundle": describe(bundle)["bundle"],
        "metrics": dict(bundle.manifest.metrics),
        "plan": plan_values(found.rollout.plan),
        "rings": rings,
        "balanced_by_arm": found.balanced,
        "taking_part": sum(1 for one in members if one.phase is not Phase.SKIPPED),
        "skipped": skipped,
        "not_connected": sorted(name for name, one in found.devices.items() if not one.online and name not in skipped),
        "differences": {digest: difference(old, bundle) for digest, old in running.items() if digest != bundle.sha256},
        "running_and_not_kept": sorted(unknown),
    }


def dry_run_text(values: Values) -> str:
    """Return the text of a dry run."""
    bundle, lines = values["bundle"], []
    lines.append(
        f"{bundle['name']} {bundle['model_version']}, release {bundle['release']} of channel {bundle['channel']}"
    )
    lines.append(f"  digest {bundle['sha256']}")
    if not values["verified"]:
        lines.append("  its signatures were not verified: no trust statements are published (`trust publish`)")
    for digest, differing in values["differences"].items():
        lines += [f"beside {digest[:12]}, which devices run now:", *_difference_lines(differing)]
    for digest in values["running_and_not_kept"]:
        lines.append(f"devices run {digest[:12]}, which the station does not keep: no comparison")
    for number, ring in enumerate(values["rings"], 1):
        lines.append(
            f"ring {number} ({ring['ring']}): {len(ring['devices'])} devices  {' '.join(ring['devices'][:12])}"
        )
    if values["balanced_by_arm"]:
        lines.append(
            f"the rings hold the study's arms in equal shares: they are known of {values['balanced_by_arm']} devices"
        )
    if values["plan"]["shadow"] is None:
        lines.append(
            "no shadow run (--shadow 24h --margin DAYS): nothing will show that ages before and after can be compared"
        )
    if values["skipped"]:
        lines.append(f"{len(values['skipped'])} devices take no part:")
        lines += [f"  {name}: {why}" for name, why in sorted(values["skipped"].items())]
    if values["not_connected"]:
        lines.append(f"not connected, asked once they are: {', '.join(values['not_connected'])}")
    if "rollout" not in values:
        return "\n".join([*lines, "nothing was written (--dry-run)"])
    number, needed = values["rollout"], values["plan"]["approvals"]
    if needed:
        lines.append(
            f"rollout {number} is a draft: {needed} more must type `cageclock-station rollout approve {number}`"
        )
    lines.append(f"then `cageclock-station rollout start {number}`")
    return "\n".join(lines)


def _difference_lines(differing: Values) -> list[str]:
    lines = []
    for section in ("bundle", "metrics", "validity", "domain", "budget", "bytes"):
        for name, one in differing.get(section, {}).items():
            change = f" ({one['change']:+g})" if "change" in one else ""
            lines.append(f"  {name}: {one['before']} -> {one['after']}{change}")
    return lines


def rollout_values(fleet: sqlite3.Connection, number: int) -> Values:
    """Return where a rollout stands.

    Raises:
        OperatorError: there is none of this number.
    """
    rollout = load_rollout(fleet, number)
    if rollout is None:
        raise OperatorError(f"show: expected the number of a rollout, got {number}; `rollout list` prints them")
    heard, kept = load_heard(fleet), load_bundle(fleet, rollout.plan.sha256)
    devices = [
        {
            "device": name,
            "unit": one.unit,
            "ring": one.ring + 1,
            "phase": one.phase,
            "failed": one.failed,
            "reason": one.reason,
            "online": name in heard and heard[name].online,
            "asked_at": _iso(one.asked_s),
            "good_at": _iso(one.good_s),
        }
        for name, one in sorted(rollout.members.items(), key=lambda item: (item[1].ring, item[0]))
    ]
    return {
        "rollout": number,
        "plan": plan_values(rollout.plan),
        "signatures": {} if kept is None else kept.signatures,
        "made_by": made_by(fleet, number),
        "approved_by": approved_by(fleet, number),
        "status": rollout.status,
        "stage": rollout.stage,
        "ring": rollout.ring + 1,
        "reason": rollout.reason,
        "counts": counts(rollout),
        "devices": devices,
        "shadow": load_comparison(fleet, number)[1],
        "history": [
            {
                "at": one.at.isoformat(timespec="seconds"),
                "who": one.who,
                "what": one.what,
                "device": one.device,
                "text": one.text,
            }
            for one in load_history(fleet, rollout=number, most=1000)
        ],
    }


def rollout_text(values: Values) -> str:
    """Return the text of a rollout."""
    plan = values["plan"]
    rings, needed = ",".join(plan["rings"]), plan["approvals"]
    lines = [
        f"rollout {values['rollout']}: {plan['name']} release {plan['release']} on {plan['channel']}, rings {rings}",
        f"{values['status']}, {values['stage']}, ring {values['ring']} of {len(plan['rings'])}: {values['reason']}",
        f"made by {values['made_by']}, approved by {', '.join(values['approved_by']) or 'nobody'} ({needed} needed)",
        "devices: " + (", ".join(f"{count} {phase}" for phase, count in values["counts"].items()) or "none"),
    ]
    lines += _shadow_lines(values["shadow"])
    for one in values["devices"]:
        state = f"{one['phase']}{' (failed)' if one['failed'] else ''}{'' if one['online'] else ', not connected'}"
        lines.append(f"  ring {one['ring']}  {one['device']:<20} {state}  {one['reason']}".rstrip())
    lines.append("history:")
    for one in values["history"][-30:]:
        about = f" {one['device']}" if one["device"] else ""
        lines.append(f"  {one['at']} {one['who']}: {one['what']}{about} {one['text']}".rstrip())
    return "\n".join(lines)


def _shadow_lines(shadow: Values) -> list[str]:
    if not shadow:
        return []
    lines = [
        f"shadow run: {shadow['pairs']} pairs, both agree on acceptance in {shadow['agreement'] or 0:.0%}, median "
        f"{shadow['model_ms']['candidate']} ms beside {shadow['model_ms']['before']} ms"
    ]
    for name, one in {"all animals": shadow["all"], **shadow["groups"]}.items():
        if one["low_days"] is None:
            lines.append(f"  {name}: {one['animals']} animals, too few for an interval")
        else:
            span = f"{one['low_days']:+.1f} to {one['high_days']:+.1f}"
            lines.append(f"  {name}: {one['mean_days']:+.1f} days ({span}, 90%) over {one['animals']} animals")
    return lines


def _iso(at_s: float | None) -> str | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
