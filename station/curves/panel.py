"""One panel of a picture: an animal's estimates, band, true age and marks, and the counts below.

Colours: Okabe & Ito 2008, "Color Universal Design", told apart with every common colour vision; light and dark phase
differ in shape too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from math import nan
from typing import Any

from station.curves.curve import DAYS_A_WEEK, By, Curve, Mark, age_on
from station.curves.layout import Layout
from station.curves.text_table import describe, title
from station.printable import printable
from station.registry.lifetime import midnight

LIGHT, DARK, UNKNOWN = "#E69F00", "#0072B2", "#8A8A8A"
CURVE, TRUTH = "#1A1A1A", "#009E73"
MARKS = {"model": "#D55E00", "conflict": "#CC79A7", "camera": "#8A6D00", "database": "#CC79A7", "jump": "#D55E00"}
PHASES = (("light", LIGHT, "o"), ("dark", DARK, "s"), ("unknown", UNKNOWN, "^"))
_MOST_DOTS = 4000

Place = Callable[[datetime], Any]
"""Where a time stands on the x axis."""


def draw_panel(upper: Any, lower: Any, curve: Curve, by: By, layout: Layout, highest: float) -> None:
    """Draw one curve into its two pairs of axes: ages above, counts below. highest: the scale's end, weeks."""
    born = curve.born
    place: Place = (lambda at: at) if born is None else (lambda at: age_on(at, born, curve.zone) / DAYS_A_WEEK)
    room = layout.width - layout.left - 0.2
    upper.set_title(
        fitting(title(curve), room, layout.font + 2, bold=True),
        fontweight="bold",
        fontsize=layout.font + 2,
        pad=layout.font + 6,
    )
    upper.annotate(
        fitting(describe(curve), room, layout.font - 1),
        (0, 1),
        xytext=(0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        color="#555555",
        fontsize=layout.font - 1,
    )
    _curve(upper, curve, place)
    _truth(upper, curve, place)
    _counts(lower, curve, place, by)
    upper.set_ylim(0, highest)
    _marks(upper, lower, curve, place, layout)
    upper.set_ylabel("looks (weeks)")
    upper.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    upper.set_axisbelow(True)
    upper.tick_params(labelbottom=False, bottom=False)
    lower.set_ylabel(f"readings\na {by}", fontsize=layout.font - 1)
    lower.set_xlabel("age (weeks)" if born is not None else f"date ({curve.zone})", labelpad=1)
    if born is None:
        _few_dates(lower, layout, curve)
    else:
        upper.set_xlim(left=max(0.0, upper.get_xlim()[0]))


def _few_dates(axes: Any, layout: Layout, curve: Curve) -> None:
    from matplotlib import dates

    own: Any = dates  # its classes are not typed
    locator = own.AutoDateLocator(maxticks=4 if layout.small else 8, tz=curve.zone)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(own.ConciseDateFormatter(locator, tz=curve.zone))


def fitting(text: str, room_in: float, font: float, *, bold: bool = False) -> str:
    """Return the text, cut where it would run beyond its panel; a letter is a little over half as wide as high."""
    most = int(room_in * 72 / (font * (0.64 if bold else 0.56)))
    text = printable(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _curve(axes: Any, curve: Curve, place: Place) -> None:
    for phase, colour, shape in PHASES:
        seen = [sighting for sighting in curve.sightings if sighting.light == phase]
        seen = seen[:: max(1, len(curve.sightings) // _MOST_DOTS)]
        for accepted in (True, False):
            dots = [sighting for sighting in seen if sighting.accepted is accepted]
            if not dots:
                continue
            axes.scatter(
                [place(sighting.at) for sighting in dots],
                [sighting.age_days / DAYS_A_WEEK for sighting in dots],
                s=11,
                marker=shape if accepted else "x",
                color=colour,
                alpha=0.45 if accepted else 0.3,
                linewidths=0 if accepted else 0.8,
                zorder=2,
            )
    drawn = [window for window in curve.windows if window.age_days is not None]
    if not drawn:
        if not any(sighting.accepted for sighting in curve.sightings):
            axes.text(0.5, 0.5, "no accepted reading", transform=axes.transAxes, ha="center", color="#777777")
        return
    for stretch in _stretches(drawn, curve.marks):
        xs = [place(window.middle) for window in stretch]
        # Where there is no interval, no band is drawn.
        lows, highs = (
            [nan if end is None else end / DAYS_A_WEEK for end in ends]
            for ends in ([window.low_days for window in stretch], [window.high_days for window in stretch])
        )
        ages = [(window.age_days or 0.0) / DAYS_A_WEEK for window in stretch]
        axes.fill_between(xs, lows, highs, color=CURVE, alpha=0.11, linewidth=0, zorder=1)
        axes.plot(xs, ages, color=CURVE, linewidth=1.8, marker="o", markersize=3.4, zorder=3)
        if len(stretch) == 1:
            axes.vlines(xs, lows, highs, color=CURVE, alpha=0.35, linewidth=1.5, zorder=1)


def _stretches(windows: Sequence[Any], marks: Sequence[Mark]) -> list[list[Any]]:
    """Return the windows cut where the model changed or nothing was captured: no line joins what differs in kind."""
    cuts = sorted(mark.at for mark in marks if mark.kind in ("model", "gap", "jump"))
    stretches: list[list[Any]] = []
    before: datetime | None = None
    for window in windows:
        if before is None or any(before < cut <= window.middle for cut in cuts):
            stretches.append([])
        stretches[-1].append(window)
        before = window.middle
    return stretches


def _truth(axes: Any, curve: Curve, place: Place) -> None:
    ends = curve.ends
    if curve.born is None or ends is None:
        return
    axes.plot(
        [place(at) for at in ends],
        [age_on(at, curve.born, curve.zone) / DAYS_A_WEEK for at in ends],
        color=TRUTH,
        linewidth=1.5,
        linestyle=(0, (5, 2)),
        zorder=2.5,
    )


def _marks(upper: Any, lower: Any, curve: Curve, place: Place, layout: Layout) -> None:
    for mark in curve.marks:
        for axes in (upper, lower):
            if mark.until is not None:
                axes.axvspan(place(mark.at), place(mark.until), color="#000000", alpha=0.06, linewidth=0)
            else:
                axes.axvline(place(mark.at), color=MARKS[mark.kind], linewidth=1.2, linestyle=":")
        _say(upper, place(mark.at), mark.text, MARKS[mark.kind] if mark.until is None else "#777777", layout)
    for day, text in ((curve.arrived, "arrived"), (curve.left, "left"), (curve.died, "died")):
        if day is not None:
            at = midnight(day, curve.zone)
            upper.axvline(place(at), color=CURVE, linewidth=1.6)
            _say(upper, place(at), text, CURVE, layout)


def _say(axes: Any, x: Any, text: str, colour: str, layout: Layout) -> None:
    # Curves rise: at the left the upper corner is free, at the right the lower one.
    left, right = axes.get_xlim()
    upper = 2 * axes.convert_xunits(x) < left + right
    axes.annotate(
        fitting(text, 0.7 * layout.height - 0.9, layout.font - 2),
        (x, 1 if upper else 0),
        xytext=(3, -3 if upper else 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        rotation=90,
        va="top" if upper else "bottom",
        fontsize=layout.font - 2,
        color=colour,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        zorder=4,
    )


def _counts(axes: Any, curve: Curve, place: Place, by: By) -> None:
    bottoms = [0] * len(curve.windows)
    lefts, widths = [], []
    for window in curve.windows:
        left, right = place(midnight(window.begins, curve.zone)), place(midnight(window.ends, curve.zone))
        lefts.append(left)
        widths.append((right - left) * 0.86)
    captured = [sum(window.captures.values()) for window in curve.windows]
    axes.bar(lefts, captured, widths, align="edge", color="#EFEFEF", edgecolor="#C9C9C9", linewidth=0.5)
    for phase, colour, _ in PHASES:
        heights = [window.readings.get(phase, 0) for window in curve.windows]
        axes.bar(lefts, heights, widths, align="edge", bottom=bottoms, color=colour, linewidth=0)
        bottoms = [low + height for low, height in zip(bottoms, heights, strict=True)]
    axes.set_ylim(0, max([1, *captured, *bottoms]) * 1.08)
    axes.locator_params(axis="y", nbins=3, integer=True)
