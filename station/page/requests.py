"""Requests to devices, such as a picture now: rows of the fleet's queue, which its own process sends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from starlette.responses import Response

from edge.errors import OperatorError
from station.fleet.keep.commands import OPEN, Command, load_commands, queue_command
from station.fleet.keep.database import DATABASE, fleet_database
from station.page.changes import keep_change
from station.page.database import page_database
from station.page.texts import text
from station.page.web import Visit
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
    if name != "capture":
        raise OperatorError(f"request: expected capture, got {name[:40]!r}")
    with fleet_database(visit.data) as connection, transaction(connection):
        if len(load_commands(connection, device=device, states=OPEN)) >= MOST_OPEN:
            raise OperatorError(text("request.enough", count=MOST_OPEN))
        queue_command(connection, time.time(), visit.name, device, name)
    with page_database(visit.data) as connection:
        keep_change(connection, visit.name, f"asked for {name}", device, {}, {})
    return visit.go("/cage", text("request.queued"), device=device)


def load_requests(data: Path, device: str) -> Sequence[Command]:
    """Return the last requests to a device, the newest first; none where nothing was ever asked."""
    if not (data / DATABASE).exists():
        return ()
    with fleet_database(data) as connection:
        return load_commands(connection, device=device, most=MOST_SHOWN)[::-1]


def fleet_runs(data: Path) -> bool:
    """Return whether the process that sends requests works."""
    if not (data / DATABASE).exists():
        return False
    with fleet_database(data) as connection:
        row = connection.execute("SELECT until_s FROM lease").fetchone()
    return row is not None and float(row["until_s"]) > time.time()
