"""The report of `associate`: report.json, associations.csv, forest.png, survival_*.png, report.md and report.html."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.json_values import plain
from training.statistics.age_term import AgeTerm, age_knots, in_words
from training.statistics.cohort import Cohort
from training.statistics.panel import Row

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }
img { max-width: 100% } table { border-collapse: collapse; font-size: 13px }
th, td { text-align: left; padding: .25em .7em; border-bottom: 1px solid #ddd } th { border-bottom: 2px solid #444 }
</style></head><body><h1>{{ title }}</h1>
<ul>{% for line in lines %}<li>{{ line }}</li>{% endfor %}</ul>
{% for name, picture in pictures %}<h2>{{ name }}</h2><img alt="{{ name }}" src="data:image/png;base64,{{ picture }}">
{% endfor %}<h2>Table</h2><table><tr>{% for name in columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table>
{% if warnings %}<h2>Beware</h2><ul>{% for line in warnings %}<li>{{ line }}</li>{% endfor %}</ul>{% endif %}
</body></html>
"""
_TITLE = "What the age gap goes with"
STRAIGHT = (
    "age enters as a straight line only: where gap and phenotype both bend with age (a plateau in mid-life, an ever "
    "faster rise), associations are found that are not there"
)


class Written(NamedTuple):
    """What the report says: its sentences, and the figures in them by name."""

    lines: list[str]
    figures: dict[str, float]


def write_report(
    out: Path,
    cohorts: list[Cohort],
    tables: list[list[Row]],
    interventions: list[list[dict[str, Any]]],
    at_risk: dict[str, Any],
    unit_days: float,
    term: AgeTerm = "spline",
) -> Written:
    """Write all files but the pictures, which must be there; return the report's sentences and their figures."""
    flat = [row.flat() for rows in tables for row in rows]
    knots = [_knots(cohort, term) for cohort in cohorts]
    lines = _lines(cohorts, tables, interventions, unit_days)
    lines.insert(len(cohorts) + 1, in_words(knots[0], term))
    warnings = _warnings(cohorts, flat, interventions)
    if any(not len(at) and _bends(cohort) for cohort, at in zip(cohorts, knots, strict=True)):
        warnings.insert(0, STRAIGHT)
    report = {
        "cohorts": [_numbers(cohort) | {"age_knots_days": list(at)} for cohort, at in zip(cohorts, knots, strict=True)],
        "age_term": term,
        "unit_days": unit_days,
        "tests": len(tables[0]) if tables else 0,
        "associations": flat,
        "interventions": [one for found in interventions for one in found],
        "at_risk": at_risk,
        "in_words": lines,
        "warnings": warnings,
    }
    _whole(out / "report.json", json.dumps(plain(report), indent=1) + "\n")
    _whole(out / "associations.csv", pd.DataFrame(flat).to_csv(index=False))
    pictures = [path for path in (out / "forest.png", *sorted(out.glob("survival_*.png"))) if path.exists()]
    _whole(out / "report.md", _markdown(lines, warnings, pictures))
    _whole(out / "report.html", _page(flat, lines, warnings, pictures))
    return Written(lines, _figures(cohorts, tables))


def _figures(cohorts: list[Cohort], tables: list[list[Row]]) -> dict[str, float]:
    """Return each cohort's animals, and the associations that hold as their sentences give them."""
    found: dict[str, float] = {one["name"]: one["animals"] for one in map(_numbers, cohorts)}
    return found | {row.name: _size(row) for row in (tables[0] if tables else []) if row.p_bh < 0.05}


def _size(row: Row) -> float:
    """Return an effect's size: weeks of looks, standard deviations, or how many times the odds or the hazard."""
    estimate = row.effect.estimate
    if row.effect.scale == "days":
        return round(abs(estimate) / 7, 1)
    return round(abs(estimate) if row.effect.scale == "sd" else float(np.exp(estimate)), 2)


def _numbers(cohort: Cohort) -> dict[str, Any]:
    animals = cohort.animals.drop_duplicates("subject")
    return {
        "name": cohort.name,
        "animals": len(animals),
        "cages": int(animals["cage"].replace("", np.nan).nunique()),
        "readings": len(cohort.readings),
        "readings_not_accepted": cohort.refused,
        "correlation_gap_age": _correlation(animals),
    }


def _knots(cohort: Cohort, term: AgeTerm) -> NDArray[np.float64]:
    """Return the knots of a model on all animals; one with fewer of them has its own, by the same rule."""
    animals = cohort.animals.drop_duplicates("subject")
    return age_knots(animals["age_days"].to_numpy(float), len(animals), term)


def _bends(cohort: Cohort) -> bool:
    """Return whether the animals' ages could show a bend: through two ages a line passes exactly."""
    return len(np.unique(cohort.animals["age_days"].round())) > 2


def _correlation(animals: pd.DataFrame) -> float | None:
    if not (np.ptp(animals["age_days"]) > 0 and np.ptp(animals["gap_days"]) > 0):
        return None
    return float(np.corrcoef(animals["gap_days"], animals["age_days"])[0, 1])


def _lines(
    cohorts: list[Cohort], tables: list[list[Row]], interventions: list[list[dict[str, Any]]], unit_days: float
) -> list[str]:
    numbers = [_numbers(cohort) for cohort in cohorts]
    lines = [
        f"{one['name']}: {one['animals']} animals, {one['readings']} accepted readings, "
        f"{one['readings_not_accepted']} left out as not accepted."
        for one in numbers
    ]
    lines += [cohort.matched for cohort in cohorts if cohort.matched]
    lines += [f"{cohort.name}: {text}." for cohort in cohorts for text in cohort.warnings]
    lines.append(
        "The gap is predicted minus true age, raw. Age and sex are covariates in every model, because the gap leans on "
        f"age (r = {numbers[0]['correlation_gap_age'] or 0:.2f}). One unit of gap is {unit_days:.0f} days: the spread "
        "between animals of one age and sex, unless --unit-days says otherwise."
    )
    if tables and tables[0]:
        found = [row for row in tables[0] if row.p_bh < 0.05]
        holm = sum(row.p_holm < 0.05 for row in tables[0])
        lines.append(
            f"{len(found)} of {len(tables[0])} associations hold at 5% after Benjamini and Hochberg's correction, "
            f"{holm} after Holm's."
        )
        lines += [f"{row.name}: {_words(row, unit_days)}" for row in found]
    if len(tables) > 1:
        tried = [row for row in tables[1] if row.replicated is not None]
        good = [row for row in tried if row.replicated]
        names = f" ({', '.join(row.name for row in good)})" if good else ""
        lines.append(
            f"{len(good)} of {len(tried)} replicate in {cohorts[1].name}{names}: same sign, and p < 0.05 there after "
            "correction for all tests."
        )
    for one in (one for found in interventions for one in found):
        ends = f"{one['low']:.2f} to {one['high']:.2f}" if one["low"] is not None else "unbounded"
        lines.append(
            f"{one['cohort']}: animals on {one['treated']} come to look older at {one['ratio']:.2f} times the rate of "
            f"{one['control']} (95% interval {ends}, p {one['p_holm']:.3g} for no difference)."
        )
    return lines


def _words(row: Row, unit_days: float) -> str:
    effect = row.effect
    if effect.scale == "days":
        than = "older" if effect.estimate > 0 else "younger"
        per = "an allele" if row.kind == "genotype" else "on the treatment"
        return f"animals look {_size(row):.1f} weeks {than} {per} (n {effect.n}, corrected p {row.p_bh:.2g})"
    if effect.scale == "sd":
        way = "more" if effect.estimate > 0 else "less"
        size = f"{_size(row):.2f} standard deviations {way}"
        return f"{size} for each {unit_days:.0f} days of gap (n {effect.n}, corrected p {row.p_bh:.2g})"
    what = "odds" if effect.scale == "odds" else "hazard"
    size = f"{what} times {_size(row):.2f} for each {unit_days:.0f} days of gap"
    return f"{size} (n {effect.n}, {effect.events} events, corrected p {row.p_bh:.2g})"


def _warnings(
    cohorts: list[Cohort], flat: list[dict[str, Any]], interventions: list[list[dict[str, Any]]]
) -> list[str]:
    remarks = [f"{cohort.name}: {text}" for cohort in cohorts for text in cohort.warnings]
    for cohort in cohorts:
        correlation = _correlation(cohort.animals.drop_duplicates("subject"))
        if correlation is not None and abs(correlation) > 0.5:
            remarks.append(
                f"{cohort.name}: gap and age are strongly tied (r = {correlation:.2f}); without age as a covariate "
                "every phenotype that changes with age would seem to go with the gap"
            )
    remarks += [f"{row['cohort']}, {row['name']}: {row['warnings']}" for row in flat if row["warnings"]]
    for one in (one for found in interventions for one in found):
        remarks += [f"{one['cohort']}, {one['treated']} / {one['control']}: {text}" for text in one["warnings"]]
    return remarks


def _markdown(lines: list[str], warnings: list[str], pictures: list[Path]) -> str:
    parts = [f"# {_TITLE}", "", *(f"- {line}" for line in lines), ""]
    parts += [f"![{path.stem}]({path.name})" for path in pictures]
    if warnings:
        parts += ["", "## Beware", "", *(f"- {line}" for line in warnings)]
    return "\n".join(parts) + "\n"


def _page(flat: list[dict[str, Any]], lines: list[str], warnings: list[str], pictures: list[Path]) -> str:
    import jinja2

    names = [name for name in (flat[0] if flat else {}) if name != "warnings"]
    rows = [[_cell(row[name]) for name in names] for row in flat]
    drawn = [(path.stem.replace("_", " "), base64.b64encode(path.read_bytes()).decode()) for path in pictures]
    template = jinja2.Environment(autoescape=True).from_string(_PAGE)
    return template.render(title=_TITLE, lines=lines, pictures=drawn, columns=names, rows=rows, warnings=warnings)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _whole(path: Path, text: str) -> None:
    half = path.with_name(f"{path.name}.part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
