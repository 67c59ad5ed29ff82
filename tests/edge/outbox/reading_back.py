"""An outbox in a folder, and what the publishing side then reads in it."""

from __future__ import annotations

from pathlib import Path

from edge.config import tree
from edge.contract import jsontext
from edge.contract.record import Event
from edge.outbox import Outbox
from edge.outbox.reader import Reader
from edge.outbox.row import Row
from tests.losses import Loss, read_losses

SMALL = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=0)


def opened(folder: Path, settings: tree.Outbox = SMALL, serial: str = "board-1") -> Outbox:
    return Outbox.open(folder, settings, device_id="cage07", serial=serial)


def rows_of(folder: Path) -> list[Row]:
    reader = Reader(folder / "outbox.db")
    reader.changed()
    found = [row for held in reader.epochs() for row in reader.rows(held.epoch, 1, 10**9)]
    reader.close()
    return found


def events_of(folder: Path) -> list[Event]:
    return [jsontext.decode(row.body, Event) for row in rows_of(folder) if row.schema == "cageclock/event/1"]


def losses_of(folder: Path) -> list[Loss]:
    return [loss for row in rows_of(folder) for loss in read_losses(row.schema, row.body)]
