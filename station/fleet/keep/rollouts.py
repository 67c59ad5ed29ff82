"""Rollouts in the database: loaded and saved whole, each change of a device a line of the history."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from edge.contract import jsontext
from station.fleet.keep.history import FLEET, keep
from station.fleet.rollout.plan import Plan
from station.fleet.rollout.state import Comparison, Member, Phase, Rollout, Stage, Status

LIVE = (Status.RUNNING, Status.PAUSED, Status.DONE, Status.REVERTING, Status.REVERTED)
"""What the fleet process looks at."""


def load_rollout(connection: sqlite3.Connection, number: int) -> Rollout | None:
    """Return a rollout with its members, None where there is no such number."""
    row = connection.execute("SELECT * FROM rollouts WHERE number = ?", (number,)).fetchone()
    if row is None:
        return None
    members = {
        one["device"]: Member(
            one["device"],
            one["unit"],
            one["ring"],
            Phase(one["phase"]),
            bool(one["failed"]),
            one["reason"],
            one["before"],
            tuple(json.loads(one["known"])),
            one["asked_s"],
            one["good_s"],
        )
        for one in connection.execute("SELECT * FROM members WHERE rollout = ? ORDER BY device", (number,)).fetchall()
    }
    plan = jsontext.decode(row["plan"].encode(), Plan)
    return Rollout(
        number,
        plan,
        Status(row["status"]),
        Stage(row["stage"]),
        row["ring"],
        row["reason"],
        members,
        row["stage_since_s"],
    )


def load_rollouts(connection: sqlite3.Connection, statuses: Iterable[Status] = tuple(Status)) -> list[Rollout]:
    """Return the rollouts of these statuses, oldest first."""
    wanted = [status.value for status in statuses]
    marks = ", ".join("?" * len(wanted))
    rows = connection.execute(
        f"SELECT number FROM rollouts WHERE status IN ({marks}) ORDER BY number", wanted
    ).fetchall()
    found = (load_rollout(connection, row["number"]) for row in rows)
    return [one for one in found if one is not None]


def add_rollout(connection: sqlite3.Connection, now_s: float, who: str, made: Rollout) -> Rollout:
    """Keep a new rollout under the next number, in the caller's transaction, and return it with that."""
    cursor = connection.execute(
        "INSERT INTO rollouts (plan, status, stage, ring, reason, stage_since_s, made_s, made_by) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (jsontext.encode(made.plan).decode(), made.status, made.stage, made.ring, made.reason, None, now_s, who),
    )
    number = int(cursor.lastrowid or 0)
    connection.executemany(_PUT_MEMBER, [_row(number, one) for one in made.members.values()])
    text = f"{made.plan.name} release {made.plan.release}, rings {','.join(map(str, made.plan.rings))}"
    keep(connection, now_s, who, "create", text, rollout=number)
    return Rollout(number, made.plan, made.status, made.stage, made.ring, made.reason, made.members)


def save_rollout(
    connection: sqlite3.Connection, now_s: float, before: Rollout, after: Rollout, who: str = FLEET
) -> None:
    """Keep what changed from one state to the next, and say it in the history; in the caller's transaction."""
    if before is after:
        return
    number = after.number
    connection.execute(
        "UPDATE rollouts SET plan = ?, status = ?, stage = ?, ring = ?, reason = ?, stage_since_s = ? WHERE number = ?",
        (
            jsontext.encode(after.plan).decode(),
            after.status,
            after.stage,
            after.ring,
            after.reason,
            after.stage_since_s,
            number,
        ),
    )
    if (before.status, before.stage, before.ring) != (after.status, after.stage, after.ring):
        where = f"{after.status}, {after.stage}, ring {after.ring + 1} of {len(after.plan.rings)}"
        keep(connection, now_s, who, "rollout", f"{where}: {after.reason}".rstrip(": "), rollout=number)
    for name, member in after.members.items():
        old = before.members.get(name)
        if member == old:
            continue
        connection.execute(_PUT_MEMBER, _row(number, member))
        if old is None or (old.phase, old.failed) != (member.phase, member.failed):
            text = f"{member.phase}: {member.reason}".rstrip(": ")
            keep(connection, now_s, who, "device", text, rollout=number, device=name)


def save_comparison(connection: sqlite3.Connection, now_s: float, number: int, body: dict[str, object]) -> None:
    """Keep what the shadow run of a rollout has shown so far."""
    connection.execute("INSERT OR REPLACE INTO comparisons VALUES (?, ?, ?)", (number, now_s, json.dumps(body)))


def load_comparison(connection: sqlite3.Connection, number: int) -> tuple[Comparison | None, dict[str, object]]:
    """Return what the shadow run of a rollout has shown, and all of it in plain values."""
    row = connection.execute("SELECT body FROM comparisons WHERE rollout = ?", (number,)).fetchone()
    if row is None:
        return None, {}
    body = json.loads(row["body"])
    return Comparison(**body["all"]), body


_PUT_MEMBER = "INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def _row(number: int, one: Member) -> tuple[object, ...]:
    return (
        number, one.device, one.unit, one.ring, one.phase, int(one.failed), one.reason, one.before,
        json.dumps(one.known), one.asked_s, one.good_s,
    )  # fmt: skip
