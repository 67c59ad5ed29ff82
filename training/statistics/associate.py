"""`cageclock-train associate` from files to files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
from statsmodels.stats.multitest import multipletests

from edge.errors import OperatorError
from training.statistics.cohort import Cohort, read_cohort, split_cohort
from training.statistics.figures import forest, survival_curves
from training.statistics.intervention import intervene
from training.statistics.panel import AnalysisPlan, associate, gap_unit, replicate, survival_table
from training.statistics.write import Written, write_report


def associate_files(
    out: Path,
    predictions: Path,
    phenotypes: Path | None,
    plan: AnalysisPlan,
    *,
    validate: str | None = None,
    by: str | None = None,
    discovery: str | None = None,
    seed: int = 1,
) -> Written:
    """Write the report into `out` and return its sentences and their figures.

    Raises:
        OperatorError: nothing is asked, or file, row and column of what is wrong.
    """
    if not (plan.continuous or plan.binary or plan.genotype or plan.treatment or plan.survival):
        raise OperatorError(
            "associate: nothing to relate the gap to; give columns by --continuous, --binary, --genotype, --treatment "
            "or --survival"
        )
    cohorts = [read_cohort(predictions, phenotypes, "discovery" if validate else "all animals")]
    if validate:
        files = [Path(part.strip()) for part in validate.split(",")]
        if len(files) > 2:
            raise OperatorError(f"--validate: expected P2.csv,T2.csv, got {len(files)} files")
        cohorts.append(read_cohort(files[0], files[1] if len(files) == 2 else None, "validation"))
    elif by:
        cohorts = list(split_cohort(cohorts[0], by, discovery))
    shared = set(cohorts[0].animals["subject"]) & set(cohorts[-1].animals["subject"]) if len(cohorts) > 1 else set()
    if shared:
        raise OperatorError(f"{cohorts[1].source}: column subject: {sorted(shared)[0]} is in both cohorts")
    unit = plan.unit_days or gap_unit(cohorts[0], plan.age_term)
    tables = [associate(cohort, plan, unit) for cohort in cohorts]
    if len(tables) > 1:
        tables[1] = replicate(*tables)
    interventions = [_intervene(cohort, plan, seed) for cohort in cohorts]
    out.mkdir(parents=True, exist_ok=True)
    for old in (out / "forest.png", *out.glob("survival_*.png")):
        old.unlink(missing_ok=True)
    forest(out / "forest.png", tables, interventions, f"{unit:.0f} days")
    at_risk: dict[str, Any] = {}
    for cohort in cohorts:
        for time, event, entry in plan.survival:
            table = survival_table(cohort, time, event, entry, plan)
            if len(table) >= 9:
                name = f"survival_{re.sub(r'[^A-Za-z0-9]+', '-', f'{time}-{cohort.name}')}.png"
                at_risk[f"{cohort.name}, {time}"] = survival_curves(
                    out / name, table, f"Survival by age gap: {cohort.name}", plan.age_term
                )
    return write_report(out, cohorts, tables, interventions, at_risk, unit, plan.age_term)


def _intervene(cohort: Cohort, plan: AnalysisPlan, seed: int) -> list[dict[str, Any]]:
    """Return the ratios of ageing rates, p corrected for several arms; none where no animal was read on two days."""
    if plan.treatment is None:
        return []
    days: pd.Series = cohort.readings.groupby("subject")["age_days"].agg(lambda ages: ages.round().nunique())
    if not (days >= 2).any():
        return []
    found = intervene(cohort, plan.treatment, plan.control, seed)
    corrected = multipletests([one["p"] for one in found], method="holm")[1]
    return [one | {"p_holm": float(p)} for one, p in zip(found, corrected, strict=True)]
