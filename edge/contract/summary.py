"""What a device says of its animals' newest day and week, retained."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from edge.contract.base import Count, Counters, Days, Fraction, Name, Struct

SUMMARY_SCHEMA: Final = "cageclock/summary/1"


class Window(Struct, frozen=True, kw_only=True):
    """A day's or week's estimate from accepted readings. Raw means: no correction for regression to the mean.

    readings: accepted ones; `captures`: all due slots, so that coverage can be seen, by light phase.
    """

    kind: Literal["day", "week"]
    begins_at: datetime
    ends_at: datetime
    age_days: Days | None
    interval_low_days: Days | None
    interval_high_days: Days | None
    coverage: Fraction | None
    readings: Count
    captures: Count
    readings_by_light: Counters
    captures_by_light: Counters


class Summary(Struct, frozen=True, kw_only=True):
    """The newest day and week of one subject, or of a cage where no animal is named."""

    schema: Literal["cageclock/summary/1"] = SUMMARY_SCHEMA
    device_id: Name
    cage_id: Name
    subject: Name | None
    identity_method: Name
    model_sha256: Name | None
    windows: Annotated[tuple[Window, ...], msgspec.Meta(max_length=64)]
