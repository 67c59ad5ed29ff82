"""Which wall times a message may state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from edge.errors import MessageError

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2200
_BEGIN: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_END: Final = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
FIRST_S: Final = _BEGIN.timestamp() - 86400.0
LAST_S: Final = _END.timestamp() + 86400.0
"""The Unix times that a stored date may have: earlier versions took the years by the date's own zone."""


def check_time(at: datetime) -> datetime:
    """Return the time itself.

    A device whose clock was never set begins in 1970, which is accepted. A date at either end of the calendar cannot be
    moved into another zone, and one far outside an experiment makes a plot of everything else useless.

    Raises:
        MessageError: it has no offset from UTC, or its year in UTC is not 1970-2200.
    """
    if at.tzinfo is None:
        raise MessageError(f"expected a time with its offset from UTC, got {at.isoformat()}")
    if not _BEGIN <= at < _END:  # compared as they are: a date at an end of the calendar has no UTC form
        raise MessageError(f"expected a date of the years {FIRST_YEAR}-{LAST_YEAR} in UTC, got {at.isoformat()}")
    return at
