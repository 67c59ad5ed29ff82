"""What people do with rollouts: make, approve, start, pause, resume, abort. Each is one transaction and one line."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from edge.contract.bundle.bundle import Bundle, read_bundle, read_unverified
from edge.contract.bundle.description import describe
from edge.contract.bundle.trust import Trust
from edge.errors import BundleError, OperatorError
from station.fleet.keep.bundles import bundle_path, keep_bundle, keep_file
from station.fleet.keep.history import keep
from station.fleet.keep.rollouts import add_rollout, load_rollout, load_rollouts, save_rollout
from station.fleet.keep.trust import load_trust
from station.fleet.observe import Known, look
from station.fleet.rollout.advance import revert, settled
from station.fleet.rollout.assign import assign
from station.fleet.rollout.plan import Plan
from station.fleet.rollout.state import Device, Member, Phase, Rollout, Stage, Status
from station.transaction import transaction

BUSY = (Status.RUNNING, Status.PAUSED)
OVER = (Status.DONE, Status.REVERTING, Status.REVERTED)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would happen: who is asked in which ring, and who is not and why.

    balanced: of so many devices the arm of the study is known, and counted in the order of the rings.
    """

    rollout: Rollout
    devices: dict[str, Device]
    balanced: int = 0


def check_bundle(fleet: sqlite3.Connection, file: Path, channel: str) -> tuple[Bundle, Trust | None]:
    """Return the bundle of a file once its signatures hold by the published trust statements.

    Without published statements its form and digests are checked alone: then only the devices know whose they trust.

    Raises:
        BundleError: no bundle, not signed as the channel takes it, revoked, or another channel's.
    """
    trust = load_trust(fleet)
    if trust is None:
        bundle = read_unverified(file)
    else:
        bundle = read_bundle(file, trust.authority(channel))
        if bundle.sha256 in trust.newest.revoked_bundles:
            raise BundleError(f"{file}: trust statement {trust.newest.version} revokes this bundle")
        floor = trust.newest.floors.get(channel)
        if floor is not None and bundle.manifest.release < floor.release:
            raise BundleError(
                f"{file}: release {bundle.manifest.release} is below the floor {floor.release} of channel {channel}"
            )
    if bundle.manifest.channel != channel:
        raise BundleError(f"{file}: it is made for channel {bundle.manifest.channel!r}, not for {channel!r}")
    return bundle, trust


def approvals_of(trust: Trust | None, channel: str) -> int:
    """Return how many persons beside the one who makes a rollout must approve it: as many as sign, less one."""
    if trust is None:
        return 0
    return trust.newest.channels[channel].threshold - 1


def dry_run(fleet: sqlite3.Connection, plan: Plan, known: Known, now_s: float, number: int = 0) -> DryRun:
    """Return what a plan would do with the devices as they are now; nothing is written.

    Raises:
        OperatorError: a ring of a number of devices finds none that fits into it.
    """
    devices = look(fleet, plan, number, known, {}, now_s)
    units: dict[str, list[str]] = {}
    arms: dict[str, frozenset[str]] = {}
    for name, device in devices.items():
        if not device.excluded:
            units.setdefault(device.unit, []).append(name)
            arms[device.unit] = arms.get(device.unit, frozenset()) | known.arm.get(name, frozenset())
    rings = assign(plan.sha256, plan.rings, units, arms)
    for ring, one in enumerate(plan.rings):
        if one.devices is not None and units and ring not in rings.values():
            raise OperatorError(
                f"--rings: no device fits into ring {ring + 1} of {one.devices}: all belong to studies whose cages "
                "switch together; begin with a larger ring"
            )
    last = len(plan.rings) - 1
    stage = Stage.SHADOW if plan.shadow is not None else Stage.SWITCH
    members = {name: Member(name, one.unit, rings.get(name, last)) for name, one in devices.items()}
    rollout = Rollout(number, plan, stage=stage, members=members)
    seen = {name: settled(one, devices, rollout, now_s) for name, one in members.items()}
    balanced = sum(1 for name in rings if known.arm.get(name))
    return DryRun(replace(rollout, members=seen), devices, balanced)


def create(
    fleet: sqlite3.Connection, data: Path, file: Path, bundle: Bundle, trust: Trust | None, plan: Plan, known: Known,
    who: str, now_s: float,
) -> Rollout:  # fmt: skip
    """Keep the bundle's file and a rollout of it as a draft, and return it.

    Raises:
        OperatorError: there is a draft or a rollout of this bundle already, or as `dry_run`.
        StorageError: the file cannot be kept.
    """
    keep_file(data, file, bundle.sha256)
    size = bundle_path(data, bundle.sha256).stat().st_size
    signatures = describe(bundle, None if trust is None else trust.newest)["signatures"]
    with transaction(fleet):
        for other in load_rollouts(fleet):
            if other.plan.sha256 == bundle.sha256:
                _check_same(other)
        keep_bundle(fleet, now_s, who, bundle, size, signatures)
        made = dry_run(fleet, plan, known, now_s).rollout
        return add_rollout(fleet, now_s, who, made)


def _check_same(other: Rollout) -> None:
    """Refuse a second rollout of a bundle where the first still is one, or where devices have left the bundle."""
    if other.status in (Status.DRAFT, *BUSY, Status.DONE):
        raise OperatorError(f"rollout {other.number} of this bundle is {other.status} already")
    left = (Phase.RETURNING, Phase.RETURNED)  # out of the shadow it may come again
    if other.stage is Stage.SWITCH and any(one.phase in left and one.good_s for one in other.members.values()):
        raise OperatorError(
            f"rollout {other.number} took this bundle back, and a device that left one refuses it from then on: sign "
            "it again as a new release"
        )


def approve(fleet: sqlite3.Connection, number: int, who: str, now_s: float) -> Rollout:
    """Keep a person's approval of a draft.

    Raises:
        OperatorError: no draft of this number, or it is the one who made it who asks.
    """
    with transaction(fleet):
        rollout = _wanted(fleet, number, (Status.DRAFT,), "approve")
        if made_by(fleet, number) == who:
            raise OperatorError(f"rollout {number}: {who} made it; another person must approve it")
        fleet.execute("INSERT OR IGNORE INTO approvals VALUES (?, ?, ?)", (number, who, now_s))
        keep(fleet, now_s, who, "approve", rollout=number)
    return rollout


def start(fleet: sqlite3.Connection, number: int, who: str, now_s: float) -> Rollout:
    """Let a draft begin; what other rollouts of its channel are still about ends with that.

    Raises:
        OperatorError: approvals are missing, or another rollout of the channel is under way.
    """
    with transaction(fleet):
        rollout = _wanted(fleet, number, (Status.DRAFT,), "start")
        given = approved_by(fleet, number)
        if len(given) < rollout.plan.approvals:
            raise OperatorError(
                f"rollout {number}: channel {rollout.plan.channel} takes {rollout.plan.approvals} approvals beside "
                f"{made_by(fleet, number)}'s, got {', '.join(given) or 'none'}; another person types "
                f"`cageclock-station rollout approve {number}`"
            )
        for other in load_rollouts(fleet, (*BUSY, *OVER)):
            if other.plan.channel != rollout.plan.channel:
                continue
            if other.status in BUSY:
                raise OperatorError(
                    f"rollout {other.number} of channel {other.plan.channel} is {other.status}: abort it first"
                )
            text = f"rollout {number} takes its place"
            save_rollout(fleet, now_s, other, replace(other, status=Status.SUPERSEDED, reason=text), who)
        begun = replace(rollout, status=Status.RUNNING, reason="", stage_since_s=now_s)
        save_rollout(fleet, now_s, rollout, begun, who)
    return begun


def pause(fleet: sqlite3.Connection, number: int, who: str, now_s: float, reason: str) -> Rollout:
    """Ask no further devices; those that have the bundle are watched on.

    Raises:
        OperatorError: it does not run.
    """
    with transaction(fleet):
        rollout = _wanted(fleet, number, (Status.RUNNING,), "pause")
        after = replace(rollout, status=Status.PAUSED, reason=f"paused by {who}: {reason}".rstrip(": "))
        save_rollout(fleet, now_s, rollout, after, who)
    return after


def resume(fleet: sqlite3.Connection, number: int, who: str, now_s: float) -> Rollout:
    """Go on.

    Raises:
        OperatorError: it is not paused.
    """
    with transaction(fleet):
        rollout = _wanted(fleet, number, (Status.PAUSED,), "resume")
        members, plan = rollout.members, rollout.plan
        if rollout.stage is Stage.SHADOW and plan.shadow is not None:  # it gets its whole time once more
            shadow = msgspec.structs.replace(plan.shadow, runs=plan.shadow.runs + 1, judged=0)
            plan = msgspec.structs.replace(plan, shadow=shadow)
            members = {
                name: replace(one, good_s=now_s) if one.phase is Phase.SHADOW else one for name, one in members.items()
            }
        after = replace(rollout, status=Status.RUNNING, reason="", members=members, plan=plan)
        save_rollout(fleet, now_s, rollout, after, who)
    return after


def abort(fleet: sqlite3.Connection, number: int, who: str, now_s: float, reason: str) -> Rollout:
    """Take it back: every device that has the bundle is asked to leave it. A draft is given up.

    Raises:
        OperatorError: it is over already.
    """
    text = f"aborted by {who}: {reason}".rstrip(": ")
    with transaction(fleet):
        rollout = _wanted(fleet, number, (Status.DRAFT, *BUSY, Status.DONE), "abort")
        if rollout.status is Status.DRAFT:
            after = replace(rollout, status=Status.SUPERSEDED, reason=text)
        else:
            after = revert(rollout, text)
        save_rollout(fleet, now_s, rollout, after, who)
    return after


def made_by(fleet: sqlite3.Connection, number: int) -> str:
    """Return who made a rollout."""
    row = fleet.execute("SELECT made_by FROM rollouts WHERE number = ?", (number,)).fetchone()
    return str(row["made_by"])


def approved_by(fleet: sqlite3.Connection, number: int) -> list[str]:
    """Return who approved a rollout, first the first."""
    rows = fleet.execute("SELECT who FROM approvals WHERE rollout = ? ORDER BY at_s", (number,)).fetchall()
    return [row["who"] for row in rows]


def running_bundles(data: Path, devices: dict[str, Device], beside: Path | None = None) -> dict[str, Bundle]:
    """Return the bundles that devices run now and the station keeps, by digest: what a new one is compared with.

    beside: a file to compare with in any case.

    Raises:
        BundleError: that file is no bundle.
    """
    named = None if beside is None else read_unverified(beside)
    found: dict[str, Bundle] = {} if named is None else {named.sha256: named}
    for digest in {one.running for one in devices.values() if one.running is not None} - set(found):
        path = bundle_path(data, digest)
        if path.is_file():
            found[digest] = read_unverified(path)
    return found


def plan_values(plan: Plan) -> dict[str, object]:
    """Return a plan as plain values."""
    values: dict[str, object] = msgspec.to_builtins(plan)
    values["rings"] = [str(ring) for ring in plan.rings]
    values["window"] = None if plan.window is None else str(plan.window)
    return values


def _wanted(fleet: sqlite3.Connection, number: int, statuses: tuple[Status, ...], what: str) -> Rollout:
    rollout = load_rollout(fleet, number)
    if rollout is None:
        known = ", ".join(str(one.number) for one in load_rollouts(fleet)) or "none"
        raise OperatorError(f"{what}: expected the number of a rollout ({known}), got {number}")
    if rollout.status not in statuses:
        expected = " or ".join(statuses)
        text = f"{what}: rollout {number} is {rollout.status}, expected {expected}: {rollout.reason}"
        raise OperatorError(text.rstrip(": "))
    return rollout


def counts(rollout: Rollout) -> dict[str, int]:
    """Return how many devices are in which phase."""
    found = {phase.value: 0 for phase in Phase}
    for one in rollout.members.values():
        found[one.phase.value] += 1
    return {phase: count for phase, count in found.items() if count}
