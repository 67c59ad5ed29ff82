"""Which records a request names: a range of an epoch, a time range of whatever epochs, or all that is held."""

from __future__ import annotations

from datetime import datetime

from edge.contract.command import ReplayRequest
from edge.outbox.row import column_time
from edge.publish.delivery.source import RecordSource, ranges_held
from edge.publish.delivery.window import Held


def find_wanted(request: ReplayRequest, source: RecordSource) -> list[Held]:
    """Return what is held of what a request names.

    Raises:
        StorageError: a database cannot be read.
    """
    if isinstance(request.since, datetime) or isinstance(request.until, datetime):
        return source.between(_column(request.since), _column(request.until))
    held = ranges_held(source.all_epochs())
    if request.all is True:
        return held
    first, last = int(request.first_seq or 0), int(request.last_seq or 0)  # the contract has seen that they are set
    found = [Held(of.epoch, max(first, of.first), min(last, of.last)) for of in held if of.epoch == request.epoch]
    return [of for of in found if of.first <= of.last]


def _column(time: object) -> str:
    """Return a time as the column `recorded_at` has it, "" for none."""
    return column_time(time) if isinstance(time, datetime) else ""
