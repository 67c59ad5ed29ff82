"""A fleet's database beside a lab: one rollout in its second ring, a device that refused it, and alarms."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from station.fleet.keep.alarms import set_alarms
from station.fleet.keep.database import fleet_database
from station.fleet.keep.rollouts import add_rollout, save_rollout
from station.fleet.rollout.plan import Plan, read_rings
from station.fleet.rollout.state import Member, Phase, Rollout, Status
from station.transaction import transaction

WHY = "too few signatures: 1 of 2"


def add_fleet(data: Path) -> None:
    """Make the database as the fleet's own commands and process do."""
    plan = Plan(sha256="b" * 64, channel="study", release=7, name="ageing", rings=read_rings("1,100%"))
    members = {name: Member(name, name, ring) for name, ring in (("cage-1", 0), ("cage-2", 1), ("cage-3", 1))}
    with fleet_database(data) as connection, transaction(connection):
        made = add_rollout(connection, time.time(), "anna", Rollout(0, plan, members=members))
        running = replace(
            made,
            status=Status.RUNNING,
            ring=1,
            members=made.members
            | {
                "cage-1": replace(members["cage-1"], phase=Phase.GOOD, reason="good since an hour"),
                "cage-2": replace(members["cage-2"], phase=Phase.FAILED, failed=True, reason=WHY),
            },
        )
        save_rollout(connection, time.time(), made, running)
        present = {("cage-2", "model_not_taken"): f"rollout 1: {WHY}", ("", "trust_expires"): "the statement expires"}
        set_alarms(connection, time.time(), present)
