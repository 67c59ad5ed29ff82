"""Which wall times a message may state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from edge.errors import MessageError

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2200
FIRST_S: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp() - 86400.0
LAST_S: Final = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp() + 86400.0
"""The Unix times that a date of those years can have in any zone."""


def check_time(at: datetime) -> datetime:
    """Return the time itself.

    A device whose clock was never set begins in 1970, which is accepted. A date at either end of the calendar cannot be
    moved into another zone, and one far outside an experiment makes a plot of everything else useless.

    Raises:
        MessageError: it has no offset from UTC, or its year is not 1970-2200.
    """
    if at.tzinfo is None:
        raise MessageError(f"expected a time with its offset from UTC, got {at.isoformat()}")
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise MessageError(f"expected a date of the years {FIRST_YEAR}-{LAST_YEAR}, got {at.isoformat()}")
    return at
