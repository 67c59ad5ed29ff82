"""The curves as pictures: pages of panels with a common scale, a heading and a legend.

Every panel has its place in inches, so that one animal and fifty are drawn without anything lying on anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from edge.errors import OperatorError
from station.curves.curve import DAYS_A_WEEK, By, Curve
from station.curves.layout import Layout, layout_for
from station.curves.panel import CURVE, PHASES, TRUTH, draw_panel, fitting

DPI = 130
_FOOT_IN = 0.5
_MOST_PANELS = 60
"""On one picture; more go into further files beside it."""


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
            draw_panel(upper, lower, curve, by, layout, highest)
        _heading(figure, curves, handles, in_a_row, width, height)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        except (OSError, ValueError) as error:
            raise OperatorError(f"{path}: the picture cannot be written: {error}") from error
        finally:
            pyplot.close(figure)


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
    for phase, colour, shape in PHASES:
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
    ends = max((curve.ends[1] for curve in curves if curve.ends), default=None)
    parts = [f"until {ends:%Y-%m-%d}"] if ends else []
    left_out = sum(found.readings for found in {found for curve in curves for found in curve.left_out})
    parts += [f"{left_out} readings left out, see the table"] if left_out else []
    figure.text(left, 0.08 / height, "   ".join(parts), fontsize=9, color="#555555", va="bottom")
    if notices:
        text = fitting("Model: " + "; ".join(notices), width - 0.3, 9)
        figure.text(left, 0.27 / height, text, fontsize=9, color="#A33B00", va="bottom")


def _coverage(curves: Sequence[Curve]) -> str:
    return "of single readings, calibrated" if any(curve.sightings for curve in curves) else "calibrated"
