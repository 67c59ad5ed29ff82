"""What people read of a rollout: plain values for programs and the page, and the text of the same for a terminal."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from edge.contract.bundle.bundle import Bundle
from edge.contract.bundle.description import describe, difference
from edge.errors import OperatorError
from station.fleet.actions import DryRun, approved_by, counts, made_by, plan_values
from station.fleet.keep.bundles import load_bundle
from station.fleet.keep.devices import load_heard
from station.fleet.keep.history import load_history
from station.fleet.keep.lease import Lease
from station.fleet.keep.rollouts import load_comparison, load_rollout, load_rollouts
from station.fleet.rollout.state import Phase

Values = dict[str, Any]
WITHIN_S = 60.0
"""Assumed, not measured: in which a connected device gets a statement and says so, until one has shown how long."""


def no_fleet_process(fleet: sqlite3.Connection, now_s: float) -> str:
    """Return the line that says that nothing will happen, "" where a fleet process works."""
    if Lease.held_by(fleet, now_s):
        return ""
    return (
        "no fleet process works now, and nothing reaches the devices: `systemctl start cageclock-fleet`, or "
        "`cageclock-station fleet --data ...`\n"
    )


def time_until_safe(delays: Mapping[str, float], behind: Mapping[str, bool]) -> list[str]:
    """Return in words how long it took and will take until every device holds the newest statement.

    delays: of those that hold it, seconds after it was published. behind: of the others, whether they are connected.
    """
    lines = []
    if delays:
        half, slowest = statistics.median(delays.values()), max(delays.values())
        lines.append(f"they held it {half:.0f} s after it was published (median), the slowest after {slowest:.0f} s")
    connected = sum(behind.values())
    if connected:
        within = max([WITHIN_S, *delays.values()])
        basis = "" if delays else " (assumed: no device has shown yet how long it takes)"
        lines.append(f"{_devices(connected)} connected: expected to hold it within {within:.0f} s{basis}")
    if away := len(behind) - connected:
        lines.append(f"{_devices(away)} not connected: as before until it comes back, then within {WITHIN_S:.0f} s")
    if not behind:
        lines.append("the fleet is safe: every device holds it")
    return lines


def _devices(count: int) -> str:
    return f"{count} device{'' if count == 1 else 's'}"


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
        lines.append(
            f"devices run {digest[:12]}, of which the station keeps no file: `--beside OLD.bundle` compares the two"
        )
    for number, ring in enumerate(values["rings"], 1):
        more = " ..." if len(ring["devices"]) > 12 else ""
        lines.append(
            f"ring {number} ({ring['ring']}): {_devices(len(ring['devices']))}  {' '.join(ring['devices'][:12])}{more}"
        )
    if not values["taking_part"] and not values["skipped"]:
        lines.append("no device was ever heard here: `cageclock-station fleet` hears them, once it runs")
    if values["balanced_by_arm"]:
        lines.append(
            f"the rings hold the study's arms in equal shares: they are known of {values['balanced_by_arm']} devices"
        )
    if values["plan"]["shadow"] is None:
        lines.append(
            "no shadow run (--shadow 24h --margin DAYS): nothing will show that ages before and after can be compared"
        )
    if values["skipped"]:
        lines.append(f"{_devices(len(values['skipped']))} without a part in it:")
        lines += [f"  {name}: {why}" for name, why in sorted(values["skipped"].items())]
    if values["not_connected"]:
        lines.append(f"not connected, asked once they are: {', '.join(values['not_connected'])}")
    if "rollout" not in values:
        return "\n".join([*lines, "nothing was written (--dry-run)"])
    return "\n".join([*lines, next_step(values["rollout"], "draft", values["plan"]["approvals"])])


def next_step(number: int, status: str, approvals: int) -> str:
    """Return in words what a person can do next. approvals: how many more it takes."""
    command = "`cageclock-station rollout"
    if status == "draft" and approvals:
        people = "another person types" if approvals == 1 else f"{approvals} other persons type"
        return f"next: {people} {command} approve {number}`, then anybody {command} start {number}`"
    return {
        "draft": f"next: {command} start {number}`",
        "running": f"it goes on by itself; {command} pause {number}` or {command} abort {number}` stop it",
        "paused": f"next: {command} resume {number}`, or {command} abort {number}`",
        "done": f"devices that come late get it too; {command} abort {number}` takes it back everywhere",
        "reverting": "devices are being taken back; those that are not connected follow when they are",
        "reverted": "a device that left it refuses it from now on: mend the model, sign a new release, roll that out",
        "superseded": "a later rollout has taken its place, or it was given up",
    }[status]


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
            "before": one.before,
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
        "fleet_process": Lease.held_by(fleet, time.time()) or None,
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
        f"{values['status']}{_where(values)}: {values['reason']}".rstrip(": "),
        next_step(values["rollout"], values["status"], max(0, needed - len(values["approved_by"]))),
        f"made by {values['made_by']}, approved by {', '.join(values['approved_by']) or 'nobody'} ({needed} needed)",
        "devices: "
        + (", ".join(f"{count} {_phase(phase, values)}" for phase, count in values["counts"].items()) or "none"),
    ]
    if values["status"] in ("running", "reverting") and values["fleet_process"] is None:
        lines.insert(2, "no fleet process works now, and nothing goes on: `systemctl start cageclock-fleet`")
    lines += _shadow_lines(values["shadow"])
    for one in values["devices"]:
        failed = " (failed)" if one["failed"] and one["phase"] != "failed" else ""
        state = f"{_phase(one['phase'], values)}{failed}{'' if one['online'] else ', not connected'}"
        lines.append(f"  ring {one['ring']}  {one['device']:<20} {state}  {one['reason']}".rstrip())
    lines.append("history:")
    for one in values["history"][-30:]:
        about = f" {one['device']}" if one["device"] else ""
        lines.append(f"  {one['at']} {one['who']}: {one['what']}{about} {one['text']}".rstrip())
    return "\n".join(lines)


def _where(values: Values) -> str:
    if values["status"] not in ("running", "paused"):
        return ""
    stage = "shadow run" if values["stage"] == "shadow" else "rollout"
    return f", {stage} in ring {values['ring']} of {len(values['plan']['rings'])}"


def _phase(phase: str, values: Values) -> str:
    """Return a phase for people: what waits in a rollout that is over was never asked, and never will be."""
    over = values["status"] in ("reverting", "reverted", "superseded")
    return "not asked" if phase == "waiting" and over else phase


def device_values(fleet: sqlite3.Connection, device: str, last: int) -> Values:
    """Return what a device runs, and its part in the newest rollouts that asked it something, newest first.

    Raises:
        OperatorError: nothing was ever heard of it.
    """
    heard = load_heard(fleet).get(device)
    if heard is None:
        raise OperatorError(f"device: expected one that was heard by the fleet process, got {device!r}")
    parts = []
    for rollout in reversed(load_rollouts(fleet)):
        one = rollout.members.get(device)
        if one is None or (one.asked_s is None and one.phase is not Phase.SKIPPED):
            continue
        parts.append(
            {
                "rollout": rollout.number,
                "bundle": f"{rollout.plan.name} release {rollout.plan.release}",
                "sha256": rollout.plan.sha256,
                "status": rollout.status,
                "phase": one.phase,
                "failed": one.failed,
                "reason": one.reason,
                "before": one.before,
                "asked_at": _iso(one.asked_s),
                "good_at": _iso(one.good_s),
            }
        )
    reported = heard.reported
    running = None if reported is None or reported.running is None else reported.running
    return {
        "device": device,
        "online": heard.online,
        "running": None if running is None else msgspec.to_builtins(running),
        "installs": parts[:last],
    }


def device_text(values: Values) -> str:
    """Return the text of a device's story."""
    running, state = values["running"], "connected" if values["online"] else "not connected"
    what = "no model" if running is None else f"{running['name']} release {running['release']} ({running['state']})"
    lines = [f"{values['device']}, {state}, runs {what}"]
    for one in values["installs"]:
        when = f"asked {one['asked_at'][:16]}" if one["asked_at"] else "not asked"
        good = f", good since {one['good_at'][:16]}" if one["good_at"] and one["phase"] == "good" else ""
        before = f", ran {one['before'][:12]} before" if one["before"] else ""
        failed = " (failed)" if one["failed"] and one["phase"] != "failed" else ""
        text = f"rollout {one['rollout']}: {one['bundle']}: {one['phase']}{failed}, {when}{good}{before}"
        lines.append(f"  {text}{': ' + one['reason'] if one['reason'] else ''}")
    if not values["installs"]:
        lines.append("  no rollout has asked it anything")
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
