"""The whole report of a run: report.json, report.html and report.md of the same sections."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from training.json_values import plain
from training.report import (
    abstention,
    baselines,
    coverage,
    domain,
    groups,
    leakage,
    learning,
    regression,
    retest,
    saliency,
    transfer,
)
from training.report.material import Material
from training.report.page import page
from training.report.section import Picture, Section
from training.run import REPORT, Run
from training.whole_file import write_text

SHEET = "contact-sheet.png"


def sections_of(material: Material, sheet: bytes) -> list[Section]:
    """Return the sections in the order of the page; sheet: the contact sheet as a PNG."""
    answers = (
        groups.section,
        partial(transfer.section, factor="camera"),
        partial(transfer.section, factor="site"),
        baselines.section,
        leakage.section,
        regression.section,
        coverage.section,
        abstention.section,
        domain.section,
        retest.section,
        learning.section,
        saliency.section,
    )
    return [*(answer(material) for answer in answers), _sheet(sheet)]


def write_report(
    run: Run, metrics: Mapping[str, float], title: str, notice: str, material: Material, sheet: bytes
) -> None:
    """Write report.json, report.html and report.md; metrics: figures of the whole, under their names in report.json.

    The sections stand below them, each under its key.
    """
    sections = sections_of(material, sheet)
    figures = {**plain(dict(metrics)), **{one.key: one.json() for one in sections}}
    run.write_json(REPORT, figures)
    write_text(run.path("report.html"), page(title, notice, sections, metrics))
    write_text(run.path("report.md"), markdown(title, notice, sections, metrics))


def overall(report: Mapping[str, object]) -> dict[str, float]:
    """Return the figures of the whole of a report.json, without its sections."""
    return {name: float(value) for name, value in report.items() if isinstance(value, int | float)}


def markdown(title: str, notice: str, sections: list[Section], metrics: Mapping[str, float]) -> str:
    """Return the answers in plain words and the figures of the whole."""
    lines = [f"# {title}", "", f"**{notice}**", ""]
    for one in sections:
        lines.append(f"- {one.title} " + (f"No answer: {one.missing}." if one.missing is not None else one.summary))
        lines += [f"  **{one.beware}**"] if one.beware else []
    lines += ["", "How each was measured, with tables and plots: `report.html`.", ""]
    lines += ["| figure | value |", "| --- | ---: |"]
    lines += [f"| {name} | {value:.4g} |" for name, value in metrics.items()]
    return "\n".join(lines) + "\n"


def _sheet(png: bytes) -> Section:
    caption = "The best, typical and worst test readings; weeks."
    return Section(
        "contact_sheet", "What do hits and misses look like?", "Crops of the best, typical and worst readings.",
        figures={"file": SHEET}, pictures=(Picture(caption, png),),
    )  # fmt: skip
