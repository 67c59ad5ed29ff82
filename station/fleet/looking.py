"""One look of the fleet process at every rollout: read, decide, keep, all of it in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge.contract.bundle.statement import Statement
from station.fleet.figures import load_figures
from station.fleet.keep.alarms import set_alarms
from station.fleet.keep.commands import close_old
from station.fleet.keep.devices import Heard, load_heard
from station.fleet.keep.lease import Lease
from station.fleet.keep.rollouts import LIVE, load_comparison, load_rollouts, save_comparison, save_rollout
from station.fleet.keep.trust import load_trust
from station.fleet.observe import Known, load_known, look
from station.fleet.rollout.advance import advance, revert
from station.fleet.rollout.state import Figures, Phase, Rollout, Stage, Status
from station.fleet.shadow import load_shadow
from station.fleet.wishes import holds_back_trust
from station.store.schema import has_log, open_for_reading
from station.transaction import transaction

SLOWLY = 12
"""Looks between two readings of the log: the figures of hundreds of devices take a while."""
FROZEN_S = 12 * 3600.0
"""A device that is connected for so long and lacks what was published is an alarm: well within a day."""
EXPIRES_SOON = timedelta(days=14)
_Figures = Mapping[str, tuple[Figures, Figures]]


class Looking:
    """Keeps what is read from the log between the looks."""

    def __init__(self, data: Path, lease: Lease) -> None:
        """Nothing is read yet."""
        self._data, self._lease = data, lease
        self._known = Known()
        self._figures: dict[int, _Figures] = {}
        self._looks = 0

    def look(self, fleet: sqlite3.Connection, now_s: float) -> None:
        """Let every rollout go on as far as it can.

        Raises:
            LeaseLost: another process has taken over; nothing was written.
        """
        rollouts = load_rollouts(fleet, LIVE)
        comparisons = self._read_log(rollouts, now_s)
        with transaction(fleet):
            self._lease.check(fleet)
            for number, body in comparisons.items():
                save_comparison(fleet, now_s, number, body)
            trust = load_trust(fleet)
            statement = None if trust is None else trust.newest
            # Again, inside the transaction: a person may have paused one meanwhile.
            rollouts = load_rollouts(fleet, LIVE)
            after = [self._advance(fleet, one, statement, now_s) for one in rollouts]
            close_old(fleet, now_s)
            set_alarms(fleet, now_s, find_alarms(load_heard(fleet), after, statement, self._trusted_s(fleet), now_s))

    def _advance(
        self, fleet: sqlite3.Connection, rollout: Rollout, statement: Statement | None, now_s: float
    ) -> Rollout:
        before = rollout
        figures = self._figures.get(rollout.number, {})
        devices = look(fleet, rollout.plan, rollout.number, self._known, figures, now_s)
        going = (Status.RUNNING, Status.PAUSED, Status.DONE)
        if statement is not None and rollout.plan.sha256 in statement.revoked_bundles and rollout.status in going:
            rollout = revert(rollout, f"trust statement {statement.version} revokes the bundle")
        after = advance(rollout, devices, now_s, load_comparison(fleet, rollout.number)[0])
        if before.status is Status.RUNNING and before.stage_since_s is None:
            after = replace(after, stage_since_s=now_s)
        if after != before:
            save_rollout(fleet, now_s, before, after)
        return after

    def _read_log(self, rollouts: list[Rollout], now_s: float) -> dict[int, dict[str, object]]:
        """Read what the log says, now and then; return what shadow runs have shown."""
        self._looks += 1
        if self._looks % SLOWLY != 1:
            return {}
        with _log(self._data) as log:
            self._known = load_known(log)
            self._figures = {one.number: load_figures(log, one, now_s) for one in rollouts}
            running = [one for one in rollouts if one.stage is Stage.SHADOW and one.status is Status.RUNNING]
            return {one.number: load_shadow(log, one) for one in running}

    @staticmethod
    def _trusted_s(fleet: sqlite3.Connection) -> float:
        row = fleet.execute("SELECT at_s FROM trust").fetchone()
        return 0.0 if row is None else float(row["at_s"])


@contextmanager
def _log(data: Path) -> Iterator[sqlite3.Connection | None]:
    """Hand out the station's log, None where there is none yet."""
    if not has_log(data):
        yield None
        return
    with closing(open_for_reading(data)) as log:
        yield log


def find_alarms(
    heard: Mapping[str, Heard], rollouts: list[Rollout], statement: Statement | None, trusted_s: float, now_s: float
) -> dict[tuple[str, str], str]:
    """Return what a person must look at: (device, kind) -> sentence; device "" for the whole fleet."""
    found: dict[tuple[str, str], str] = {}
    for name, one in heard.items():
        found |= {(name, kind): text for kind, text in _of_device(one, statement, trusted_s, now_s).items()}
    for rollout in rollouts:
        for name, member in rollout.members.items():
            if member.failed and member.phase is Phase.ASKED:
                found[(name, "model_not_taken")] = f"rollout {rollout.number}: {member.reason}"
        if rollout.status in (Status.REVERTING, Status.REVERTED, Status.PAUSED):
            found[("", f"rollout_{rollout.number}_{rollout.status}")] = f"rollout {rollout.number}: {rollout.reason}"
    if statement is not None and statement.expires_at - datetime.fromtimestamp(now_s, UTC) < EXPIRES_SOON:
        found[("", "trust_expires")] = (
            f"trust statement {statement.version} holds until {statement.expires_at:%Y-%m-%d}; nothing is installed "
            "after that: sign a new one (`cageclock-train keys rotate`), then `cageclock-station trust publish`"
        )
    return found


def _of_device(one: Heard, statement: Statement | None, trusted_s: float, now_s: float) -> dict[str, str]:
    found: dict[str, str] = {}
    reported = one.reported
    if reported is None:
        return found
    if reported.state == "safe_mode":
        found["safe_mode"] = reported.advice or "no model can be used: pictures and health only, no age is estimated"
    trust = reported.trust
    if trust is not None and trust.frozen:
        found["frozen"] = f"something keeps it from what is new: {trust.frozen}"
    since_s = max(trusted_s, one.since_s or now_s)
    if (
        statement is not None
        and one.online
        and holds_back_trust(one, statement.version)
        and now_s - since_s >= FROZEN_S
    ):
        held = 0 if trust is None else trust.version
        found["trust_behind"] = (
            f"it is connected and holds trust statement {held}, {statement.version} was published: does something keep "
            "messages from it? `cageclock bundle status` there says more"
        )
    return found
