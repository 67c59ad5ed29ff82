"""Does the scale fit the animals? What px_per_mm, body parts and boxes say of a mouse's length, and of the picture."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from training.dataset.finding import Finding
from training.dataset.table import PLACE

SHORTEST_MM, LONGEST_MM = 50.0, 120.0
"""From snout to tail base, stretched: weanlings to the largest outbred mice."""
CURLED_MM = 20.0
"""Below it no posture explains the distance."""
WIDEST_MM = 3000.0
_TYPICAL_MM = 85.0
_EXPECTED = f"{SHORTEST_MM:.0f} to {LONGEST_MM:.0f} for a mouse"
_POINTS = PLACE[4:]


def body_lengths(table: pd.DataFrame) -> pd.Series:
    """Return float64 by line: from snout to tail base in mm, NaN where points or scale are not given."""
    given = table.reindex(columns=[*_POINTS, "px_per_mm"]).astype(float)
    apart = np.hypot(given.snout_x - given.tail_base_x, given.snout_y - given.tail_base_y)
    return apart / given.px_per_mm


def check_scale(table: pd.DataFrame, sizes: dict[int, tuple[int, int]]) -> list[Finding]:
    """Return where scale or places cannot be right; sizes: width and height of the pictures, pixels, by line."""
    return _outside(table, sizes) + _lengths(table) + _fields(table, sizes)


def _lengths(table: pd.DataFrame) -> list[Finding]:
    """Return lengths that no mouse has: by camera where most are so (the scale), else by line (the points)."""
    findings = []
    lengths = body_lengths(table)
    for camera, rows in table.assign(mm=lengths)[lengths.notna()].groupby("camera"):
        middle = float(rows.mm.median())
        whose = f"camera '{camera}'" if camera else "the pictures"
        wrong = rows[(rows.mm < SHORTEST_MM) | (rows.mm > LONGEST_MM)]
        if len(rows) >= 3 and not SHORTEST_MM <= middle <= LONGEST_MM and len(wrong) > 0.5 * len(rows):
            exchanged = _exchanged_throughout(rows)
            if exchanged:
                text = f"snout and tail base are as far apart as in a mouse only with {exchanged} in {len(rows)} lines"
                findings.append(Finding(int(rows.index[0]), exchanged.split(" ")[0], f"{text} of {whose}"))
                continue
            times, way = (middle / _TYPICAL_MM, "small") if middle > _TYPICAL_MM else (_TYPICAL_MM / middle, "large")
            text = (
                f"snout and tail base are {middle:.3g} mm apart in the middle of {len(rows)} lines of {whose}, "
                f"expected {_EXPECTED}: px_per_mm is about {times:.2g} times too {way}"
            )
            findings.append(Finding(int(wrong.index[0]), "px_per_mm", text))
            continue
        for line, row in wrong.iterrows():
            findings.append(_one_length(int(line), row))
    return findings


def _exchanged_throughout(rows: pd.DataFrame) -> str:
    """Return "snout_x and snout_y exchanged" where that alone makes nine of ten lengths those of mice, else ""."""
    for part, other in (("snout", "tail_base"), ("tail_base", "snout")):
        across, down = rows[f"{part}_y"] - rows[f"{other}_x"], rows[f"{part}_x"] - rows[f"{other}_y"]
        if (np.hypot(across, down) / rows.px_per_mm).between(SHORTEST_MM, LONGEST_MM).mean() >= 0.9:
            return f"{part}_x and {part}_y exchanged"
    return ""


def _one_length(line: int, row: pd.Series) -> Finding:
    """Return what is wrong with one line among right ones: two coordinates exchanged, the scale, or a curled animal."""
    sentence = f"snout and tail base are {row.mm:.3g} mm apart, expected {_EXPECTED}"
    for part, other in (("snout", "tail_base"), ("tail_base", "snout")):
        x, y = row[f"{part}_y"], row[f"{part}_x"]
        swapped = math.hypot(x - row[f"{other}_x"], y - row[f"{other}_y"]) / row.px_per_mm
        if SHORTEST_MM <= swapped <= LONGEST_MM and abs(x - y) * math.sqrt(2) / row.px_per_mm > SHORTEST_MM / 2:
            return Finding(
                line, f"{part}_x", f"{sentence}; with {part}_x and {part}_y exchanged they are {swapped:.0f} mm"
            )
    if CURLED_MM <= row.mm < SHORTEST_MM:
        return Finding(line, "px_per_mm", f"{sentence}: a curled animal, or px_per_mm is too large", "warning")
    return Finding(line, "px_per_mm", f"{sentence}: px_per_mm, or one of the points, is wrong")


def _outside(table: pd.DataFrame, sizes: dict[int, tuple[int, int]]) -> list[Finding]:
    """Return points and boxes that lie outside their picture, and boxes that are none."""
    findings = []
    for line, row in table.reindex(columns=[*PLACE]).astype(float).iterrows():
        size = sizes.get(int(line))
        if row.x0 >= row.x1 or row.y0 >= row.y1:
            findings.append(Finding(int(line), "x0", f"expected x0 < x1 and y0 < y1, got {_box(row)}"))
        if size is None:
            continue
        for x, y in (("snout_x", "snout_y"), ("tail_base_x", "tail_base_y"), ("x1", "y1"), ("x0", "y0")):
            if not _within(row[x], row[y], size):
                hint = f"; are {x} and {y} exchanged?" if _within(row[y], row[x], size) else ""
                text = f"({row[x]:g}, {row[y]:g}) lies outside the picture of {size[0]} x {size[1]} pixels{hint}"
                findings.append(Finding(int(line), x, text))
        if row.notna().all():
            near = 0.1 * max(row.x1 - row.x0, row.y1 - row.y0)  # boxes are drawn by hand
            for part in ("snout", "tail_base"):
                x, y = row[f"{part}_x"], row[f"{part}_y"]
                if not (row.x0 - near <= x <= row.x1 + near and row.y0 - near <= y <= row.y1 + near):
                    findings.append(Finding(int(line), f"{part}_x", f"({x:g}, {y:g}) lies outside the box {_box(row)}"))
    return findings


def _fields(table: pd.DataFrame, sizes: dict[int, tuple[int, int]]) -> list[Finding]:
    """Return scales with which no mouse fits into the picture, or the picture shows a whole room."""
    findings = []
    given = table.reindex(columns=["px_per_mm"]).astype(float).px_per_mm
    for scale, lines in given[given.notna()].groupby(given).groups.items():
        for line in (int(one) for one in lines if int(one) in sizes):
            width_mm = max(sizes[line]) / float(scale)
            if not SHORTEST_MM <= width_mm <= WIDEST_MM:
                text = (
                    f"with {scale:g} px a mm the picture of {sizes[line][0]} x {sizes[line][1]} pixels shows "
                    f"{width_mm:.3g} mm: {'no mouse fits' if width_mm < SHORTEST_MM else 'more than any cage'}"
                )
                findings.append(Finding(line, "px_per_mm", text))
                break
    return findings


def _within(x: float, y: float, size: tuple[int, int]) -> bool:
    """Return whether the point is in the picture or on its edge; one that is not given is."""
    return bool(np.isnan(x) or np.isnan(y) or (0 <= x <= size[0] and 0 <= y <= size[1]))


def _box(row: pd.Series) -> str:
    return f"x {row.x0:g} to {row.x1:g}, y {row.y0:g} to {row.y1:g}"
