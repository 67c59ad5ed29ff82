"""Requests to devices, such as a picture now: rows of the fleet's queue, which its own process sends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from starlette.responses import Response

from edge.errors import OperatorError
from station.fleet.keep.commands import OPEN, Command, load_commands, queue_command
from station.fleet.keep.database import DATABASE, fleet_database
from station.fleet.keep.lease import Lease
from station.page.changes import keep_change
from station.page.database import page_database
from station.page.notes import check_day
from station.page.read import load_table
from station.page.texts import text
from station.page.web import Visit
from station.registry.lifetime import midnight
from station.transaction import transaction

MOST_SHOWN = 5
MOST_OPEN = 3
"""Of one device: who presses ten times gets no ten pictures."""


def ask_device(visit: Visit) -> Response:
    """Queue a request to a device.

    Raises:
        OperatorError: no such device or request, or enough of them wait already.
    """
    device, name = visit.value("device"), visit.value("request")
    if device not in visit.page.watch.cards:
        raise OperatorError(text("cage.unknown", device=device))
    values = _values(visit, name)
    with fleet_database(visit.data) as connection, transaction(connection):
        if len(load_commands(connection, device=device, states=OPEN)) >= MOST_OPEN:
            raise OperatorError(text("request.enough", count=MOST_OPEN))
        queue_command(connection, time.time(), visit.name, device, name, values)
    with page_database(visit.data) as connection:
        keep_change(connection, visit.name, f"asked for {name}", device, {}, values)
    if visit.value("back") == "device":
        return visit.go("/device", text("request.queued"), name=device)
    return visit.go("/cage", text("request.queued"), device=device)


def _values(visit: Visit, name: str) -> dict[str, Any]:
    """Return what a request says beside its name.

    Raises:
        OperatorError: there is no such request, or its days are none.
    """
    if name == "capture":
        return {}
    if name != "replay":
        raise OperatorError(f"request: expected capture or replay, got {name[:40]!r}")
    since, until = visit.value("since"), visit.value("until")
    if not since and not until:
        return {"all": True}
    zone = load_table(visit.data)[1].of(visit.value("device"))
    bounds = {}
    if since:
        bounds["since"] = midnight(date.fromisoformat(check_day(since)), zone).isoformat()
    if until:  # the whole day
        bounds["until"] = midnight(date.fromisoformat(check_day(until)) + timedelta(days=1), zone).isoformat()
    return bounds


def load_requests(data: Path, device: str, most: int = MOST_SHOWN) -> Sequence[Command]:
    """Return the last requests to a device, the newest first; none where nothing was ever asked."""
    if not (data / DATABASE).exists():
        return ()
    with fleet_database(data) as connection:
        return load_commands(connection, device=device, most=most)[::-1]


def fleet_runs(data: Path) -> bool:
    """Return whether the process that sends requests works."""
    if not (data / DATABASE).exists():
        return False
    with fleet_database(data) as connection:
        return Lease.held_by(connection, time.time()) != ""
