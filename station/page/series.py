"""A curve as the browser gets it: a line of JSON, then columns of 64-bit floats, little-endian. Pure.

4 bytes   length of the JSON, which is padded so that the columns begin at a multiple of 8
JSON      {"columns": [names], "rows": N, ...}
columns   one after the other, N numbers each; NaN where there is none
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from math import nan
from statistics import median
from sys import byteorder
from typing import Any

from station.curves.curve import Curve, Window, begin_of
from station.curves.text_table import describe, sentence, why_no_age
from station.page.read import OneReading
from station.registry.lifetime import midnight

LIGHTS = ("light", "dark", "unknown")


def pack(columns: Mapping[str, Sequence[float]], more: Mapping[str, Any]) -> bytes:
    """Return columns of equal length in the form above."""
    rows = len(next(iter(columns.values()), ()))
    head = json.dumps({"columns": list(columns), "rows": rows, **more}, ensure_ascii=False, separators=(",", ":"))
    text = head.encode()
    text += b" " * (-(len(text) + 4) % 8)
    body = array("d")
    for values in columns.values():
        if len(values) != rows:
            raise ValueError(f"expected columns of {rows} rows, got {len(values)}")
        body.extend(values)
    if byteorder == "big":
        body.byteswap()
    return len(text).to_bytes(4, "little") + text + body.tobytes()


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Return what `pack` was given, for the server's own use and for tests."""
    length = int.from_bytes(content[:4], "little")
    head = json.loads(content[4 : 4 + length])
    numbers = array("d")
    numbers.frombytes(content[4 + length :])
    if byteorder == "big":
        numbers.byteswap()
    rows = head["rows"]
    return head, {name: list(numbers[n * rows : (n + 1) * rows]) for n, name in enumerate(head["columns"])}


def pack_days(curve: Curve) -> bytes:
    """Return a curve by day: age, interval and true age in days of life, medians by light, numbers of readings."""
    by_light: dict[tuple[object, str], list[float]] = {}
    for one in curve.sightings:
        by_light.setdefault((begin_of(one.at, "day", curve.zone), one.light), []).append(one.age_days)
    windows = [window for window in curve.windows if sum(window.captures.values()) or sum(window.readings.values())]
    columns: dict[str, list[float]] = {
        "at": [midnight(window.begins, curve.zone).timestamp() + 43200.0 for window in windows],
        "age": [_or_nan(window.age_days) for window in windows],
        "low": [_or_nan(window.low_days) for window in windows],
        "high": [_or_nan(window.high_days) for window in windows],
        "true": [_or_nan(window.chronological_days) for window in windows],
        "readings": [float(sum(window.readings.values())) for window in windows],
        "captures": [float(sum(window.captures.values())) for window in windows],
    }
    for light in ("light", "dark"):
        values = [by_light.get((window.begins, light)) for window in windows]
        columns[light] = [median(found) if found else nan for found in values]
    return pack(columns, _about(curve))


def pack_readings(found: Sequence[OneReading]) -> bytes:
    """Return the readings of a window, one row each; light and accepted as numbers, epochs by their place in a list."""
    epochs = {name: number for number, name in enumerate(dict.fromkeys((one.device, one.epoch) for one in found))}
    columns: dict[str, list[float]] = {
        "at": [one.at_s for one in found],
        "age": [_or_nan(one.age_days) for one in found],
        "low": [_or_nan(one.low_days) for one in found],
        "high": [_or_nan(one.high_days) for one in found],
        "accepted": [float(one.accepted) for one in found],
        "light": [float(LIGHTS.index(one.light)) if one.light in LIGHTS else 2.0 for one in found],
        "epoch": [float(epochs[one.device, one.epoch]) for one in found],
        "seq": [float(one.seq) for one in found],
    }
    return pack(columns, {"epochs": [list(key) for key in epochs]})


def _about(curve: Curve) -> dict[str, Any]:
    """Return what a curve says beside its numbers."""
    return {
        "name": curve.name,
        "named": curve.named,
        "about": describe(curve),
        "cage": curve.cage,
        "device": curve.device,
        "born": curve.born.isoformat() if curve.born else None,
        "died": curve.died.isoformat() if curve.died else None,
        "accepted": curve.accepted,
        "captures_in_all": curve.captured,
        "why_no_age": None if curve.accepted else why_no_age(curve),
        "notices": list(curve.notices),
        "left_out": [sentence(left) for left in curve.left_out],
        "refused": [list(pair) for pair in curve.refused],
        "marks": [
            {
                "at": mark.at.timestamp(),
                "until": mark.until.timestamp() if mark.until else None,
                "kind": mark.kind,
                "text": mark.text,
            }
            for mark in curve.marks
        ],
        "weeks": [_week(window, curve) for window in curve.weeks],
    }


def _week(window: Window, curve: Curve) -> dict[str, Any]:
    return {
        "begins": window.begins.isoformat(),
        "from": midnight(window.begins, curve.zone).timestamp(),
        "until": midnight(window.ends, curve.zone).timestamp(),
        "true": window.chronological_days,
        "age": window.age_days,
        "low": window.low_days,
        "high": window.high_days,
        "gap": window.gap_days,
        "light": window.readings.get("light", 0),
        "dark": window.readings.get("dark", 0),
        "readings": sum(window.readings.values()),
        "captures": sum(window.captures.values()),
    }


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
