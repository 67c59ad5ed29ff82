"""The forest plot and survival curves of `associate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from training.statistics.age_term import AgeTerm
from training.statistics.effects import design
from training.statistics.panel import ALPHA, Row

_PANELS = (
    (("days",), "Difference in age gap, weeks", 0.0),
    (("sd",), "Phenotype, SD per {unit} of gap", 0.0),
    (("odds",), "Odds ratio per {unit} of gap", 1.0),
    (("hazard",), "Hazard ratio per {unit} of gap", 1.0),
    (("ratio",), "Ageing rate, treated / control", 1.0),
)
_COLOURS = ("#1b3a5b", "#c0562f")


def forest(path: Path, cohorts: list[list[Row]], interventions: list[list[dict]], unit: str) -> None:  # type: ignore[type-arg]
    """Draw one panel a scale, one line an association, both cohorts on it; filled where p after correction < 0.05."""
    from matplotlib.figure import Figure

    groups = [(scales, title, none, _lines(cohorts, interventions, scales)) for scales, title, none in _PANELS]
    groups = [group for group in groups if group[3]]
    heights = [0.55 * len(group[3]) + 1.15 for group in groups]
    figure = Figure(figsize=(11, sum(heights) + 0.7), dpi=130)
    axes = figure.subplots(len(groups), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    names = [rows[0].cohort if rows else f"cohort {n + 1}" for n, rows in enumerate(cohorts)]
    for axis, (scales, title, none, lines) in zip(axes, groups, strict=True):
        _panel(axis, lines, title.format(unit=unit), none, logarithmic=scales[0] in ("odds", "hazard", "ratio"))
    handles = [
        axes[0].plot([], [], "s" if n == 0 else "D", color=_COLOURS[n], label=name)[0]
        for n, name in enumerate(names[: len(cohorts)])
    ]
    handles.append(axes[0].plot([], [], "s", mfc="white", color="#666666", label="open: p ≥ 0.05 after correction")[0])
    figure.legend(handles=handles, loc="upper left", ncol=3, frameon=False, fontsize=9, bbox_to_anchor=(0.015, 0.998))
    bottom, top = 0.5 / figure.get_figheight(), 1 - 0.55 / figure.get_figheight()
    figure.subplots_adjust(left=0.22, right=0.68, bottom=bottom, top=top, hspace=1.3 / float(np.mean(heights)))
    figure.savefig(path)


def survival_curves(path: Path, table: pd.DataFrame, title: str, term: AgeTerm = "spline") -> dict[str, dict[str, int]]:
    """Draw Kaplan-Meier curves by tercile of the gap at given age, number at risk below; return those numbers.

    table: subject, _time, _event, _entry, gap_days, age_days. Terciles are of the gap freed of its course with age (for
    the grouping only), else the young would fill the highest.
    """
    from lifelines import KaplanMeierFitter
    from lifelines.plotting import add_at_risk_counts
    from matplotlib.figure import Figure

    course = design(table, "gap_days", ["age_days"], term).drop(columns=["gap_days"], errors="ignore").to_numpy()
    given_age = table["gap_days"] - course @ np.linalg.lstsq(course, table["gap_days"].to_numpy(float), rcond=None)[0]
    tercile = pd.qcut(given_age.rank(method="first"), 3, labels=["looks young", "middle", "looks old"])
    figure = Figure(figsize=(7.5, 5.6), dpi=130)
    axis = figure.subplots()
    fits = []
    for name, colour in zip(tercile.cat.categories, ("#3b7d5e", "#888888", "#c0562f"), strict=True):
        rows = table[tercile == name]
        entry = rows["_entry"] / 7 if (rows["_entry"] > 0).any() else None
        fit = KaplanMeierFitter(label=str(name))
        fit.fit(rows["_time"] / 7, rows["_event"], entry=entry)
        fit.plot_survival_function(ax=axis, ci_alpha=0.12, color=colour, show_censors=True, censor_styles={"ms": 5})
        fits.append(fit)
    axis.set(
        ylim=(0, 1.02),
        ylabel="alive",
        xlabel="weeks" if not (table["_entry"] > 0).any() else "weeks of age",
        title=title,
    )
    start_at = float(table["_entry"].min()) / 7
    axis.set_xlim(max(0.0, start_at - 2), float(table["_time"].max()) / 7 * 1.01)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.tight_layout()
    add_at_risk_counts(*fits, ax=axis, rows_to_show=["At risk", "Events"], fig=figure)
    figure.tight_layout()
    figure.savefig(path, bbox_inches="tight")
    marks = [float(mark) for mark in axis.get_xticks() if axis.get_xlim()[0] <= mark <= axis.get_xlim()[1]]
    return {
        str(name): {
            f"{mark:g} weeks": int(
                ((table["_entry"] / 7 < mark + 1e-9) & (table["_time"] / 7 >= mark) & (tercile == name)).sum()
            )
            for mark in marks
        }
        for name in tercile.cat.categories
    }


def _lines(
    cohorts: list[list[Row]],
    interventions: list[list[dict]],  # type: ignore[type-arg]
    scales: tuple[str, ...],
) -> list[tuple[str, list[tuple[int, float, float, float, bool, str]]]]:
    """Return (label, [(cohort, estimate, low, high, significant, text)]) of a panel."""
    if scales == ("ratio",):
        lines = []
        for number, found in enumerate(interventions[0] if interventions else []):
            points = []
            for which, cohort in enumerate(interventions):
                if number >= len(cohort):
                    continue
                one = cohort[number]
                low, high = (one["low"], one["high"]) if one["low"] is not None else (-np.inf, np.inf)
                text = f"{one['ratio']:.2f} [{low:.2f}, {high:.2f}]   {_p(one['p_holm'])}   "
                text += f"{one['units_treated']}+{one['units_control']} {one['unit']}s"
                points.append((which, one["ratio"], low, high, one["p_holm"] < ALPHA, text))
            lines.append((f"{found['treated']} / {found['control']}", points))
        return lines
    lines = []
    for number, first in enumerate(cohorts[0] if cohorts else []):
        if first.effect.scale not in scales:
            continue
        points = []
        for which, rows in enumerate(cohorts):
            effect = rows[number].effect
            values = np.array([effect.estimate, effect.low, effect.high])
            values = np.exp(values) if effect.scale in ("odds", "hazard") else values
            values = values / 7 if effect.scale == "days" else values
            count = f"n {effect.n}" + (f", {effect.events} ev." if effect.events is not None else "")
            text = f"{values[0]:.2f} [{values[1]:.2f}, {values[2]:.2f}]   {_p(rows[number].p_bh)}   {count}"
            points.append((which, *values.tolist(), rows[number].p_bh < ALPHA, text))
        lines.append((first.name, points))
    return lines


def _panel(axis, lines, title: str, none: float, logarithmic: bool) -> None:  # type: ignore[no-untyped-def]
    # Not further than three times the point estimates: one hopeless interval would hide all others.
    points = [point for _, found in lines for point in found]
    move = (lambda value: np.log(np.maximum(value, 1e-3))) if logarithmic else (lambda value: np.asarray(value, float))
    ends = np.array([[float(move(point[2])), float(move(point[3]))] for point in points])
    centres = np.array([float(move(point[1])) for point in points]) - float(move(none))
    limit = max(3 * float(np.abs(centres).max()), float(np.median(np.ptp(ends, axis=1)[np.isfinite(ends).all(axis=1)]))
                if np.isfinite(ends).all(axis=1).any() else 0.0, 0.1)  # fmt: skip
    shown = np.clip(ends - float(move(none)), -limit, limit)
    reach = 1.08 * max(float(np.abs(shown).max()), float(np.abs(centres).max()))
    back = np.exp if logarithmic else (lambda value: value)
    if logarithmic:
        axis.set_xscale("log")
    axis.set_xlim(float(back(move(none) - reach)), float(back(move(none) + reach)))
    axis.axvline(none, color="#444444", lw=0.9)
    for place, (_label, found) in enumerate(lines):
        for order, (which, estimate, low, high, significant, text) in enumerate(found):
            y = place + (order - (len(found) - 1) / 2) * 0.36
            left, right = axis.get_xlim()
            axis.plot([max(low, left), min(high, right)], [y, y], color=_COLOURS[which], lw=1.6, solid_capstyle="butt")
            for beyond, edge, mark in ((low < left, left, "<"), (high > right, right, ">")):
                if beyond:
                    axis.plot(edge, y, mark, color=_COLOURS[which], ms=5, clip_on=False)
            face = _COLOURS[which] if significant else "white"
            axis.plot(estimate, y, "s" if which == 0 else "D", color=_COLOURS[which], mfc=face, ms=6.5 - which)
            axis.text(
                1.02, y, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8, color=_COLOURS[which]
            )
    axis.set_yticks(range(len(lines)), [label for label, _ in lines], fontsize=9)
    axis.set_ylim(len(lines) - 0.4, -0.6)
    axis.set_xlabel(title, fontsize=9)
    axis.tick_params(axis="y", length=0)
    axis.tick_params(axis="x", labelsize=8)
    if logarithmic:
        from matplotlib.ticker import NullLocator

        left, right = axis.get_xlim()
        wide = right / left > 8
        marks = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20] if wide else [0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.6, 2, 2.5, 4]
        marks = [mark for mark in marks if left <= mark <= right]
        axis.set_xticks(marks, [f"{mark:g}" for mark in marks])
        axis.xaxis.set_minor_locator(NullLocator())
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p {value:.3f}"
