"""The pages of rollouts: what runs, where each device is and why."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from edge.errors import OperatorError
from station.fleet.actions import counts
from station.fleet.keep.alarms import load_alarms
from station.fleet.keep.rollouts import load_rollouts
from station.fleet.rollout.state import Rollout
from station.fleet.texts import rollout_values
from station.page.devices.fleet import fleet
from station.page.texts import text
from station.page.web import Visit


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """One rollout in the list. counts: devices by phase."""

    rollout: Rollout
    counts: dict[str, int]
    made_at: datetime
    made_by: str


def show_rollouts(visit: Visit) -> Response:
    """Return the list of rollouts, the newest first."""
    with fleet(visit.data) as connection:
        lines = [] if connection is None else _lines(connection)
        alarms = [] if connection is None else load_alarms(connection)
    return visit.answer("rollouts.html", lines=lines, alarms=alarms, there=connection is not None)


def show_rollout(visit: Visit) -> Response:
    """Return one rollout: its rings, where each device is and why, what the shadow run showed, and its history."""
    number = visit.value("number")
    with fleet(visit.data) as connection:
        try:
            if connection is None or not (number.isascii() and number.isdecimal() and len(number) < 10):
                raise OperatorError(text("rollout.unknown"))
            values = rollout_values(connection, int(number))
        except OperatorError:
            return visit.answer("problem.html", 404, title=text("problem.missing"), said=text("rollout.unknown"))
    return visit.answer("rollout.html", one=values, rings=_rings(values))


def _lines(connection: sqlite3.Connection) -> list[RolloutLine]:
    made = {
        row["number"]: (datetime.fromtimestamp(row["made_s"], UTC), row["made_by"])
        for row in connection.execute("SELECT number, made_s, made_by FROM rollouts").fetchall()
    }
    return [RolloutLine(one, counts(one), *made[one.number]) for one in reversed(load_rollouts(connection))]


def _rings(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rings in order: what each is, whether it is open, and its devices by phase."""
    found = []
    for number, ring in enumerate(values["plan"]["rings"], 1):
        devices = [one for one in values["devices"] if one["ring"] == number]
        phases: dict[str, int] = {}
        for one in devices:
            phases[str(one["phase"])] = phases.get(str(one["phase"]), 0) + 1
        found.append({"number": number, "of": ring, "open": number <= values["ring"], "phases": phases})
    return found
