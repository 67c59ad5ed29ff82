"""The curves as a picture. The station's only user of matplotlib.

Colours: Okabe & Ito 2008, "Color Universal Design", told apart with every common colour vision; light and dark phase
differ in shape too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from math import ceil
from pathlib import Path
from typing import Any

from edge.errors import OperatorError
from station.curve import DAYS_A_WEEK, By, Curve, Mark, age_on
from station.table import describe

LIGHT, DARK, UNKNOWN = "#E69F00", "#0072B2", "#8A8A8A"
CURVE, TRUTH = "#1A1A1A", "#009E73"
MARKS = {"model": "#D55E00", "conflict": "#CC79A7", "camera": "#8A6D00", "database": "#CC79A7"}
_PHASES = (("light", LIGHT, "o"), ("dark", DARK, "s"), ("unknown", UNKNOWN, "^"))
_MOST_DOTS = 4000
_HEAD_IN, _FOOT_IN = 0.6, 0.3

Place = Callable[[datetime], Any]
"""Where a time stands on the x axis."""


def draw_png(curves: Sequence[Curve], by: By, path: Path, *, include_rejected: bool = False) -> None:
    """Write one panel a curve: estimates, band, true age where known, and how many readings stand behind it.

    Raises:
        OperatorError: there is nothing to draw, or the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    if not curves:
        raise OperatorError("show: no readings to draw yet")
    columns = 1 if len(curves) == 1 else 2
    rows = ceil(len(curves) / columns)
    style: Any = {
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#666666",
        "axes.titlelocation": "left",
        "xtick.color": "#444444",
        "ytick.color": "#444444",
    }
    with pyplot.rc_context(style):
        height = 4.3 * rows + _HEAD_IN + _FOOT_IN
        figure: Any = pyplot.figure(figsize=(6.9 * columns, height), dpi=130, layout="constrained")
        figure.get_layout_engine().set(rect=(0, _FOOT_IN / height, 1, 1 - (_HEAD_IN + _FOOT_IN) / height))
        panels = figure.subplots(
            2 * rows, columns, squeeze=False, gridspec_kw={"height_ratios": [3.6, 1.0] * rows, "hspace": 0.02}
        )
        for index in range(rows * columns):
            upper = panels[2 * (index // columns)][index % columns]
            lower = panels[2 * (index // columns) + 1][index % columns]
            if index < len(curves):
                lower.sharex(upper)
                _panel(upper, lower, curves[index], by)
            else:
                upper.axis("off")
                lower.axis("off")
        _same_height([panels[2 * (i // columns)][i % columns] for i in range(len(curves))])
        _legend(figure, curves, by, include_rejected)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        except (OSError, ValueError) as error:
            raise OperatorError(f"{path}: the picture cannot be written: {error}") from error
        finally:
            pyplot.close(figure)


def _panel(upper: Any, lower: Any, curve: Curve, by: By) -> None:
    born = curve.born
    place: Place = (lambda at: at) if born is None else (lambda at: age_on(at, born) / DAYS_A_WEEK)
    name = curve.name if curve.named else f"cage {curve.name} (animals not told apart)"
    upper.set_title(name, fontweight="bold", fontsize=11.5, pad=16)
    upper.annotate(
        describe(curve),
        (0, 1),
        xytext=(0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        color="#555555",
        fontsize=8.5,
    )
    _curve(upper, curve, place)
    _truth(upper, curve, place)
    _marks(upper, lower, curve, place)
    _counts(lower, curve, place, by)
    upper.set_ylabel("looks (weeks)")
    upper.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    upper.set_axisbelow(True)
    upper.tick_params(labelbottom=False, bottom=False)
    lower.set_ylabel(f"readings\na {by}", fontsize=8.5)
    lower.set_xlabel("age (weeks)" if curve.born is not None else "date (UTC)")
    if curve.born is None:
        lower.tick_params(axis="x", rotation=25)


def _curve(axes: Any, curve: Curve, place: Place) -> None:
    for phase, colour, shape in _PHASES:
        seen = [sighting for sighting in curve.sightings if sighting.light == phase]
        seen = seen[:: max(1, len(curve.sightings) // _MOST_DOTS)]
        for accepted in (True, False):
            dots = [sighting for sighting in seen if sighting.accepted is accepted]
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
        axes.text(0.5, 0.5, "no accepted reading", transform=axes.transAxes, ha="center", color="#777777")
        return
    for stretch in _stretches(drawn, curve.marks):
        xs = [place(window.middle) for window in stretch]
        lows = [(window.low_days or 0.0) / DAYS_A_WEEK for window in stretch]
        highs = [(window.high_days or 0.0) / DAYS_A_WEEK for window in stretch]
        ages = [(window.age_days or 0.0) / DAYS_A_WEEK for window in stretch]
        axes.fill_between(xs, lows, highs, color=CURVE, alpha=0.11, linewidth=0, zorder=1)
        axes.plot(xs, ages, color=CURVE, linewidth=1.8, marker="o", markersize=3.4, zorder=3)
        if len(stretch) == 1:
            axes.vlines(xs, lows, highs, color=CURVE, alpha=0.35, linewidth=1.5, zorder=1)


def _stretches(windows: Sequence[Any], marks: Sequence[Mark]) -> list[list[Any]]:
    """Return the windows cut where the model changed or nothing was captured: no line joins what differs in kind."""
    cuts = sorted(mark.at for mark in marks if mark.kind in ("model", "gap"))
    stretches: list[list[Any]] = []
    before: datetime | None = None
    for window in windows:
        if before is None or any(before < cut <= window.middle for cut in cuts):
            stretches.append([])
        stretches[-1].append(window)
        before = window.middle
    return stretches


def _truth(axes: Any, curve: Curve, place: Place) -> None:
    if curve.born is None or not curve.captures:
        return
    ends = [curve.captures[0].at, curve.captures[-1].at]
    axes.plot(
        [place(at) for at in ends],
        [age_on(at, curve.born) / DAYS_A_WEEK for at in ends],
        color=TRUTH,
        linewidth=1.5,
        linestyle=(0, (5, 2)),
        zorder=2.5,
    )


def _marks(upper: Any, lower: Any, curve: Curve, place: Place) -> None:
    for mark in curve.marks:
        for axes in (upper, lower):
            if mark.until is not None:
                axes.axvspan(place(mark.at), place(mark.until), color="#000000", alpha=0.06, linewidth=0)
            else:
                axes.axvline(place(mark.at), color=MARKS[mark.kind], linewidth=1.2, linestyle=":")
        if mark.until is None:
            _say(upper, place(mark.at), mark.text, MARKS[mark.kind])
        else:
            _say(upper, place(mark.at), mark.text, "#777777")
    if curve.died is not None:
        at = datetime(curve.died.year, curve.died.month, curve.died.day, tzinfo=UTC)
        upper.axvline(place(at), color=CURVE, linewidth=1.6)
        _say(upper, place(at), "died", CURVE)


def _say(axes: Any, x: Any, text: str, colour: str) -> None:
    # Curves rise: at the left the upper corner is free, at the right the lower one.
    left, right = axes.get_xlim()
    upper = 2 * axes.convert_xunits(x) < left + right
    axes.annotate(
        text if len(text) <= 40 else text[:39] + "…",
        (x, 1 if upper else 0),
        xytext=(3, -3 if upper else 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        rotation=90,
        va="top" if upper else "bottom",
        fontsize=7,
        color=colour,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        zorder=4,
    )


def _counts(axes: Any, curve: Curve, place: Place, by: By) -> None:
    bottoms = [0] * len(curve.windows)
    lefts, widths = [], []
    for window in curve.windows:
        left, right = place(_midnight(window.begins)), place(_midnight(window.ends))
        lefts.append(left)
        widths.append((right - left) * 0.86)
    captured = [sum(window.captures.values()) for window in curve.windows]
    axes.bar(lefts, captured, widths, align="edge", color="#EFEFEF", edgecolor="#C9C9C9", linewidth=0.5)
    for phase, colour, _ in _PHASES:
        heights = [window.readings.get(phase, 0) for window in curve.windows]
        axes.bar(lefts, heights, widths, align="edge", bottom=bottoms, color=colour, linewidth=0)
        bottoms = [low + height for low, height in zip(bottoms, heights, strict=True)]
    axes.set_ylim(0, max([1, *captured, *bottoms]) * 1.08)
    axes.locator_params(axis="y", nbins=3, integer=True)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _same_height(axes: Sequence[Any]) -> None:
    """Give every panel one scale: curves of two animals are there to be compared."""
    lows, highs = zip(*(one.get_ylim() for one in axes), strict=True)
    for one in axes:
        one.set_ylim(max(0.0, min(lows)), max(highs))


def _legend(figure: Any, curves: Sequence[Curve], by: By, include_rejected: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    phases = {sighting.light for curve in curves for sighting in curve.sightings}
    handles: list[Any] = [
        Line2D([], [], color=CURVE, linewidth=1.8, marker="o", markersize=3.4, label=f"median of a {by}"),
        Patch(color=CURVE, alpha=0.13, linewidth=0, label=f"interval ({_coverage(curves)})"),
    ]
    if any(curve.born for curve in curves):
        handles.append(Line2D([], [], color=TRUTH, linewidth=1.5, linestyle=(0, (5, 2)), label="true age"))
    for phase, colour, shape in _PHASES:
        if phase in phases:
            label = {"light": "light phase", "dark": "dark phase", "unknown": "phase unknown"}[phase]
            handles.append(Line2D([], [], color=colour, marker=shape, markersize=5, linewidth=0, label=label))
    if include_rejected:
        handles.append(Line2D([], [], color="#888888", marker="x", markersize=5, linewidth=0, label="not accepted"))
    handles.append(Patch(facecolor="#EFEFEF", edgecolor="#C9C9C9", label="captures without an accepted age"))
    figure.suptitle("How old each animal looks", x=0.012, ha="left", fontsize=14, fontweight="bold", y=0.995)
    figure.legend(handles=handles, loc="upper right", ncols=4, frameon=False, fontsize=8.5, bbox_to_anchor=(0.995, 1.0))
    notices = sorted({notice for curve in curves for notice in curve.notices})
    ends = max((curve.captures[-1].at for curve in curves if curve.captures), default=None)
    drawn = f"until {ends:%Y-%m-%d}" if ends else ""
    text = "   ".join(["Model: " + "; ".join(notices) if notices else "", drawn]).strip()
    figure.text(0.012, 0.008, text, fontsize=9, color="#A33B00" if notices else "#555555", va="bottom")


def _coverage(curves: Sequence[Curve]) -> str:
    return "of single readings, calibrated" if any(curve.sightings for curve in curves) else "calibrated"
