"""The curves as text for a terminal. Ages in weeks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from station.curves.curve import By, Curve, LeftOut, Trend, Window
from station.printable import printable
from station.registry import attribution as whose
from station.registry.lifetime import AFTER_DEATH, AFTER_DEPARTURE, BEFORE_ARRIVAL, BEFORE_BIRTH

_HEADER = (
    f"  {'begins':<10} {'age':>6} {'looks':>6} {'interval':>15} {'gap':>6} {'gap*':>6} {'readings':>8} {'of':>5}  "
    "light/dark"
)

_READINGS, _DAYS = "accepted readings", "the days' medians by their accepted readings"


def draw_table(curves: Sequence[Curve], trend: Trend | None, by: By) -> str:
    """Return the whole text: what the model says of itself, then each curve's windows, then what the columns mean.

    Names and texts of others are spelt so that they cannot steer the terminal.
    """
    lines = [f"NOTE  {notice}" for notice in sorted({notice for curve in curves for notice in curve.notices})]
    for curve in curves:
        about = describe(curve)
        lines += ["", f"{title(curve)}: {about}" if about else title(curve)]
        if curve.windows:
            lines += [_HEADER, *(_line(window, trend) for window in curve.windows)]
        if not curve.accepted and (curve.captured or not curve.left_out):
            lines.append(f"  {why_no_age(curve)}")
        lines += [f"  ! {mark.at:%Y-%m-%d %H:%M} {mark.kind}: {mark.text}" for mark in curve.marks]
        lines += [f"  ! {sentence(left)}" for left in curve.left_out]
    gaps = "gap = looks - age, raw"
    if trend is not None:
        gaps += f"; gap* = freed of regression to the mean over {trend.animals} animals, never a measure of accuracy"
    lines += [
        "",
        f"weeks; one line a {by}; looks = median of {_READINGS if by == 'day' else _DAYS}, "
        f"interval = medians of their ends; {gaps}",
    ]
    if any(curve.left_out for curve in curves):
        lines.append("what is nobody's is on no animal's curve and in no gap*; `export` gives it without a subject")
    return "\n".join(printable(line) for line in lines).lstrip("\n")


def why_no_age(curve: Curve) -> str:
    """Return why a curve has no accepted reading: outcomes of its captures, and reasons of the estimates."""
    if not curve.captured and not curve.refused:
        return "no accepted reading: no capture of it yet"
    parts = [f"of {curve.captured} captures {_counts(curve.outcomes)}"]
    if curve.refused:
        parts.append(f"estimates not accepted: {_counts(curve.refused)}")
    return "no accepted reading: " + "; ".join(parts)


def sentence(left: LeftOut) -> str:
    """Return in words which readings a curve leaves out, why, and what a person can do."""
    when = (
        f"{left.first:%Y-%m-%d}"
        if left.first.date() == left.last.date()
        else f"{left.first:%Y-%m-%d} to {left.last:%Y-%m-%d}"
    )
    count = f"{left.readings} reading{'s' if left.readings != 1 else ''}"
    names = ", ".join(left.about)
    cage = left.cage if left.cage == left.device else f"{left.cage} (device {left.device})"
    if left.reason == whose.CLOCK_NEVER_SET:
        return (
            f"left out: {count} of a boot that never got the time (labelled {when}), cage {cage}; "
            "let the device reach a time server"
        )
    if left.reason == whose.CLOCK_AHEAD:
        return (
            f"left out: {count} dated after they came (labelled {when}), cage {cage}; the device's clock was ahead: "
            "let it reach a time server"
        )
    if left.reason == whose.SEVERAL_ANIMALS:
        return (
            f"{count} {when} are the cage's, not an animal's: the table has {names} in cage {cage} at once; give "
            "date_of_departure or date_of_death of the one, date_of_arrival of the other"
        )
    if left.reason == whose.TABLE_NAMES_ANOTHER:
        return (
            f"{count} {when} are the cage's, not an animal's: the device of cage {cage} names {left.about[0]}, the "
            f"table {', '.join(left.about[1:])}; correct the one that is wrong"
        )
    return f"{count} {when} in cage {cage} are nobody's: {_BOUND[left.reason].format(names)}"


_BOUND = {
    BEFORE_BIRTH: "before the birth of {}",
    BEFORE_ARRIVAL: "before the arrival of {}",
    AFTER_DEPARTURE: "after the departure of {}",
    AFTER_DEATH: "after the death of {}",
    whose.NO_ANIMAL_THEN: "of the animals that the table has there ({}) none lived there then",
}


def weeks(days: float | None) -> str:
    """Return an age in weeks with one decimal, or a dash."""
    return "-" if days is None else f"{days / 7:.1f}"


def describe(curve: Curve) -> str:
    """Return what is known of the animal or cage, for a title."""
    parts = [curve.strain, curve.sex, f"cage {curve.cage}" if curve.named else None]
    if curve.cage != curve.device:
        parts.append(f"device {curve.device}")
    parts.append(f"born {curve.born}" if curve.born else None)
    parts.append(f"arrived {curve.arrived}" if curve.arrived else None)
    parts.append(f"left {curve.left}" if curve.left else None)
    parts.append(f"died {curve.died}" if curve.died else None)
    return ", ".join(part for part in parts if part)


def title(curve: Curve) -> str:
    """Return whose curve it is."""
    if curve.named:
        return curve.name
    return f"cage {curve.name} (animals not told apart)" if curve.windows else f"cage {curve.name}"


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


def _counts(found: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{number} {name}" for name, number in found)
