"""Losses as tests look at them: one for each range, whichever form the record has."""

from __future__ import annotations

from typing import NamedTuple

from edge.contract import jsontext
from edge.contract.record import LOST_RANGES_SCHEMA, LOST_SCHEMA, Lost, LostRanges, ranges_of


class Loss(NamedTuple):
    """One range of numbers that a record names as lost."""

    what: str
    of_epoch: str
    first_seq: int
    last_seq: int
    reason: str


def read_losses(schema: str, body: bytes) -> list[Loss]:
    """Return what a record's body names as lost, nothing where it is no loss."""
    if schema == LOST_SCHEMA:
        lost: Lost | LostRanges = jsontext.decode(body, Lost)
    elif schema == LOST_RANGES_SCHEMA:
        lost = jsontext.decode(body, LostRanges)
    else:
        return []
    return [Loss(lost.what, *numbers, lost.reason) for numbers in ranges_of(lost)]
