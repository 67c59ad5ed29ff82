"""Which rows hold values that the contract has, as SQL: an earlier version stored others, and people edit databases."""

from __future__ import annotations

from typing import Final

from edge.contract.times import FIRST_S, LAST_S

MAX_DAYS: Final = 1e6
AHEAD: Final = "ahead"
AHEAD_S: Final = 86400.0
"""`time_basis` of a row that is dated more than this after the station received it: the device's clock was wrong.

A day, because that moves no age by more, and because the station's own clock may have been off by a zone.
"""
SOUND_TIME: Final = f"{{}} BETWEEN {FIRST_S} AND {LAST_S} AND typeof(device) = 'text'"
"""Of the column that is put in. Numbers compare below texts and blobs, and NULL with nothing: none is between two."""
SOUND_PLACE: Final = "typeof(cage) = 'text' AND typeof(light) = 'text'"
SOUND_READING: Final = f"{SOUND_TIME.format('captured_s')} AND {SOUND_PLACE}"


def _days(column: str) -> str:
    return f"{column} BETWEEN {-MAX_DAYS} AND {MAX_DAYS}"


_INTERVAL = " AND ".join(f"({name} IS NULL OR {_days(name)})" for name in ("interval_low_days", "interval_high_days"))
"""A bundle whose animals were too few for an interval gives none."""
_ESTIMATE = f"{_days('estimate_days')} AND {_INTERVAL}"
SOUND_ANIMAL: Final = (
    f"(estimate_days IS NULL OR ({_ESTIMATE})) AND (age_days IS NULL OR {_days('age_days')}) "
    "AND typeof(device) = 'text'"
)
