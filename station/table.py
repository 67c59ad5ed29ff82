"""The curves as text for a terminal. Ages in weeks."""

from __future__ import annotations

from collections.abc import Sequence

from station.curve import By, Curve, Trend, Window

_HEADER = (
    f"  {'begins':<10} {'age':>6} {'looks':>6} {'interval':>15} {'gap':>6} {'gap*':>6} {'readings':>8} {'of':>5}  "
    "light/dark"
)


def draw_table(curves: Sequence[Curve], trend: Trend | None, by: By) -> str:
    """Return the whole text: what the model says of itself, then each curve's windows, then what the columns mean."""
    lines = [f"NOTE  {notice}" for notice in sorted({notice for curve in curves for notice in curve.notices})]
    for curve in curves:
        lines += ["", _title(curve), _HEADER]
        lines += [_line(window, trend) for window in curve.windows]
        lines += [f"  ! {mark.at:%Y-%m-%d %H:%M} {mark.kind}: {mark.text}" for mark in curve.marks]
    gaps = "gap = looks - age, raw"
    if trend is not None:
        gaps += f"; gap* = freed of regression to the mean over {trend.animals} animals, never a measure of accuracy"
    lines += [
        "",
        f"weeks; one line a {by}; looks = median of accepted readings, interval = medians of their ends; {gaps}",
    ]
    return "\n".join(lines).lstrip("\n")


def weeks(days: float | None) -> str:
    """Return an age in weeks with one decimal, or a dash."""
    return "-" if days is None else f"{days / 7:.1f}"


def describe(curve: Curve) -> str:
    """Return what is known of the animal or cage, for a title."""
    parts = [curve.strain, curve.sex, f"cage {curve.cage}" if curve.named else None]
    if curve.cage != curve.device:
        parts.append(f"device {curve.device}")
    parts.append(f"born {curve.born}" if curve.born else None)
    parts.append(f"died {curve.died}" if curve.died else None)
    return ", ".join(part for part in parts if part)


def _title(curve: Curve) -> str:
    name = curve.name if curve.named else f"cage {curve.name} (animals not told apart)"
    about = describe(curve)
    return f"{name}: {about}" if about else name


def _line(window: Window, trend: Trend | None) -> str:
    interval = "-"
    if window.low_days is not None and window.high_days is not None:
        interval = f"{weeks(window.low_days)} - {weeks(window.high_days)}"
    gap = "-" if window.gap_days is None else f"{window.gap_days / 7:+.1f}"
    corrected = trend.corrected_gap_days(window) if trend is not None else None
    corrected_text = "-" if corrected is None else f"{corrected / 7:+.1f}"
    by_light = "/".join(str(window.readings.get(light, 0)) for light in ("light", "dark"))
    unknown = window.readings.get("unknown", 0)
    return (
        f"  {window.begins.isoformat():<10} {weeks(window.chronological_days):>6} {weeks(window.age_days):>6} "
        f"{interval:>15} {gap:>6} {corrected_text:>6} {sum(window.readings.values()):>8} "
        f"{sum(window.captures.values()):>5}  {by_light}{f' +{unknown}?' if unknown else ''}"
    )
