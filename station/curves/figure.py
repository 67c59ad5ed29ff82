"""The curves as pictures. The station's only user of matplotlib.

Every panel has its place in inches, so that one animal and fifty are drawn without anything lying on anything else.
Colours: Okabe & Ito 2008, "Color Universal Design", told apart with every common colour vision; light and dark phase
differ in shape too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from pathlib import Path
from typing import Any

from edge.errors import OperatorError
from station.curves.curve import DAYS_A_WEEK, By, Curve, Mark, age_on
from station.curves.text_table import describe, title
from station.printable import printable
from station.registry.lifetime import midnight

LIGHT, DARK, UNKNOWN = "#E69F00", "#0072B2", "#8A8A8A"
CURVE, TRUTH = "#1A1A1A", "#009E73"
MARKS = {"model": "#D55E00", "conflict": "#CC79A7", "camera": "#8A6D00", "database": "#CC79A7", "jump": "#D55E00"}
_PHASES = (("light", LIGHT, "o"), ("dark", DARK, "s"), ("unknown", UNKNOWN, "^"))
_MOST_DOTS = 4000
DPI = 130
_FOOT_IN = 0.5
_MOST_PANELS = 60
"""On one picture; more go into further files beside it."""

Place = Callable[[datetime], Any]
"""Where a time stands on the x axis."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How panels stand on one picture; lengths in inches. left, top, bottom: of a panel, for its labels and title."""

    columns: int
    width: float
    height: float
    font: float
    left: float = 0.75
    top: float = 0.5
    bottom: float = 0.55

    @property
    def small(self) -> bool:
        """Whether panels are too small for texts along the curve."""
        return self.height < 4


def layout_for(panels: int) -> Layout:
    """Return large panels for up to six curves, small ones in a grid about as wide as high for more."""
    if panels <= 6:
        return Layout(1 if panels == 1 else 2, 6.9, 4.3, 9.5)
    return Layout(min(6, ceil(panels**0.5)), 3.7, 2.6, 7.0, left=0.6, top=0.42, bottom=0.42)


def draw_png(curves: Sequence[Curve], by: By, path: Path, *, include_rejected: bool = False) -> list[Path]:
    """Return the pictures written: one panel a curve with estimates, band, true age where known, and counts below.

    More than sixty curves go into further files, `NAME-2.png` and so on; all have one scale.

    Raises:
        OperatorError: there is nothing to draw, or a file cannot be written.
    """
    drawn = [curve for curve in curves if curve.windows]
    if not drawn:
        raise OperatorError("show: no readings to draw yet")
    parts = pages(drawn)
    files = page_files(path, len(parts))
    highest = _highest(drawn)
    for page, file in zip(parts, files, strict=True):
        _draw_page(page, by, file, highest, include_rejected)
    return files


def pages(curves: Sequence[Curve]) -> list[Sequence[Curve]]:
    """Return the curves of each picture."""
    return [curves[first : first + _MOST_PANELS] for first in range(0, len(curves), _MOST_PANELS)]


def page_files(path: Path, number: int) -> list[Path]:
    """Return the file of each picture: the one asked for, then further ones beside it."""
    return [path, *(path.with_name(f"{path.stem}-{page}{path.suffix}") for page in range(2, number + 1))]


def size_in(layout: Layout, panels: int, legend_rows: int) -> tuple[float, float]:
    """Return width and height of a picture, inches."""
    rows = ceil(panels / layout.columns)
    return layout.width * layout.columns, layout.height * rows + _head_in(legend_rows) + _FOOT_IN


def _head_in(legend_rows: int) -> float:
    return 0.5 + 0.22 * legend_rows


def _draw_page(curves: Sequence[Curve], by: By, path: Path, highest: float, include_rejected: bool) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    layout = layout_for(len(curves))
    style: Any = {
        "font.size": layout.font,
        "text.parse_math": False,  # a name with two dollar signs is no formula
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#666666",
        "axes.titlelocation": "left",
        "xtick.color": "#444444",
        "ytick.color": "#444444",
    }
    handles = _handles(curves, by, include_rejected)
    in_a_row = min(len(handles), 3 if layout.columns == 1 else 5)
    legend_rows = ceil(len(handles) / in_a_row)
    head, (width, height) = _head_in(legend_rows), size_in(layout, len(curves), legend_rows)
    with pyplot.rc_context(style):
        figure: Any = pyplot.figure(figsize=(width, height), dpi=DPI)
        for index, curve in enumerate(curves):
            row, column = divmod(index, layout.columns)
            left, top = column * layout.width + layout.left, height - head - row * layout.height - layout.top
            wide, high = layout.width - layout.left - 0.2, layout.height - layout.top - layout.bottom
            counts = 0.22 * high
            upper = figure.add_axes((left / width, (top - 0.74 * high) / height, wide / width, 0.74 * high / height))
            lower = figure.add_axes((left / width, (top - high) / height, wide / width, counts / height), sharex=upper)
            _panel(upper, lower, curve, by, layout, highest)
        _heading(figure, curves, handles, in_a_row, width, height)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        except (OSError, ValueError) as error:
            raise OperatorError(f"{path}: the picture cannot be written: {error}") from error
        finally:
            pyplot.close(figure)


def _panel(upper: Any, lower: Any, curve: Curve, by: By, layout: Layout, highest: float) -> None:
    born = curve.born
    place: Place = (lambda at: at) if born is None else (lambda at: age_on(at, born, curve.zone) / DAYS_A_WEEK)
    room = layout.width - layout.left - 0.2
    upper.set_title(
        _fitting(title(curve), room, layout.font + 2, bold=True),
        fontweight="bold",
        fontsize=layout.font + 2,
        pad=layout.font + 6,
    )
    upper.annotate(
        _fitting(describe(curve), room, layout.font - 1),
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


def _fitting(text: str, room_in: float, font: float, *, bold: bool = False) -> str:
    """Return the text, cut where it would run beyond its panel; a letter is a little over half as wide as high."""
    most = int(room_in * 72 / (font * (0.64 if bold else 0.56)))
    text = printable(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def _curve(axes: Any, curve: Curve, place: Place) -> None:
    for phase, colour, shape in _PHASES:
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
        lows = [(window.low_days or 0.0) / DAYS_A_WEEK for window in stretch]
        highs = [(window.high_days or 0.0) / DAYS_A_WEEK for window in stretch]
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
    if curve.born is None or not curve.captures:
        return
    ends = [curve.captures[0].at, curve.captures[-1].at]
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
        _fitting(text, 0.7 * layout.height - 0.9, layout.font - 2),
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
    for phase, colour, _ in _PHASES:
        heights = [window.readings.get(phase, 0) for window in curve.windows]
        axes.bar(lefts, heights, widths, align="edge", bottom=bottoms, color=colour, linewidth=0)
        bottoms = [low + height for low, height in zip(bottoms, heights, strict=True)]
    axes.set_ylim(0, max([1, *captured, *bottoms]) * 1.08)
    axes.locator_params(axis="y", nbins=3, integer=True)


def _highest(curves: Sequence[Curve]) -> float:
    """Return the upper end of every panel's scale, weeks: curves of two animals are there to be compared."""
    seen = [sighting.age_days for curve in curves for sighting in curve.sightings]
    bands = [window.high_days or 0.0 for curve in curves for window in curve.windows]
    true = [window.chronological_days or 0.0 for curve in curves for window in curve.windows]
    return 1.08 * max([DAYS_A_WEEK, *seen, *bands, *true]) / DAYS_A_WEEK


def _handles(curves: Sequence[Curve], by: By, include_rejected: bool) -> list[Any]:
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
    return handles


def _heading(
    figure: Any, curves: Sequence[Curve], handles: Sequence[Any], in_a_row: int, width: float, height: float
) -> None:
    """Write title and legend above the panels, what the model says of itself and what is left out below them."""
    left = 0.12 / width
    figure.suptitle(
        "How old each animal looks", x=left, y=1 - 0.1 / height, ha="left", va="top", fontsize=14, fontweight="bold"
    )
    figure.legend(
        handles=handles,
        loc="upper left",
        ncols=in_a_row,
        frameon=False,
        fontsize=8.5,
        borderaxespad=0,
        borderpad=0,
        bbox_to_anchor=(left, 1 - 0.45 / height),
    )
    notices = sorted({notice for curve in curves for notice in curve.notices})
    ends = max((curve.captures[-1].at for curve in curves if curve.captures), default=None)
    parts = [f"until {ends:%Y-%m-%d}"] if ends else []
    left_out = sum(found.readings for found in {found for curve in curves for found in curve.left_out})
    parts += [f"{left_out} readings left out, see the table"] if left_out else []
    figure.text(left, 0.08 / height, "   ".join(parts), fontsize=9, color="#555555", va="bottom")
    if notices:
        text = _fitting("Model: " + "; ".join(notices), width - 0.3, 9)
        figure.text(left, 0.27 / height, text, fontsize=9, color="#A33B00", va="bottom")


def _coverage(curves: Sequence[Curve]) -> str:
    return "of single readings, calibrated" if any(curve.sightings for curve in curves) else "calibrated"
