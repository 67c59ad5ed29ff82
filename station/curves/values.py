"""The curves as plain values for programs. Ages are days, times ISO 8601 in UTC, days those of the animal's room."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from station.curves.curve import By, Curve, Trend, Window
from station.curves.text_table import sentence, why_no_age


def curve_values(curves: Sequence[Curve], trend: Trend | None, by: By) -> dict[str, Any]:
    """Return what `show` prints, ready for JSON."""
    line = None
    if trend is not None:
        line = {"offset_days": trend.offset_days, "slope": trend.slope, "animals": trend.animals}
    return {"by": by, "trend": line, "curves": [_values(curve) for curve in curves]}


def _values(curve: Curve) -> dict[str, Any]:
    return {
        "name": curve.name,
        "is_an_animal": curve.named,
        "device": curve.device,
        "cage": curve.cage,
        "strain": curve.strain,
        "sex": curve.sex,
        "born": _day(curve.born),
        "died": _day(curve.died),
        "accepted_readings": curve.accepted,
        "captures": curve.captured,
        "why_no_age": None if curve.accepted else why_no_age(curve),
        "notices": list(curve.notices),
        "windows": [_window(window) for window in curve.windows],
        "marks": [{"at": mark.at.isoformat(), "kind": mark.kind, "text": mark.text} for mark in curve.marks],
        "left_out": [
            {"reason": left.reason, "readings": left.readings, "text": sentence(left)} for left in curve.left_out
        ],
    }


def _window(window: Window) -> dict[str, Any]:
    return {
        "begins": _day(window.begins),
        "ends": _day(window.ends),
        "age_days": window.age_days,
        "low_days": window.low_days,
        "high_days": window.high_days,
        "chronological_days": window.chronological_days,
        "gap_days": window.gap_days,
        "readings": window.readings,
        "captures": window.captures,
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
