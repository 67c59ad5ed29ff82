"""All associations of a cohort, corrected for their number, and again in a second cohort."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from edge.errors import OperatorError
from training.statistics import effects
from training.statistics.age_term import AgeTerm
from training.statistics.cohort import Cohort, alleles, arms, binary, events
from training.statistics.effects import Effect, design
from training.statistics.table import as_labels, column, numbers, refuse_unclear

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class AnalysisPlan:
    """What is asked. survival: (time, event, entry or None). covariates stand in every model besides x.

    follow_up: survival times count from the first reading, not from birth. unit_days: gap per which effects are given,
    None for one standard deviation of the gap at given age and sex. age_term: how age enters all models.
    """

    continuous: tuple[str, ...] = ()
    binary: tuple[str, ...] = ()
    genotype: tuple[str, ...] = ()
    treatment: str | None = None
    control: str | None = None
    survival: tuple[tuple[str, str, str | None], ...] = ()
    covariates: tuple[str, ...] = ("age_days", "sex")
    follow_up: bool = False
    unit_days: float | None = None
    age_term: AgeTerm = "spline"


@dataclass(frozen=True, slots=True)
class Row:
    """One association in one cohort. p_bh, p_holm: corrected over the cohort's tests."""

    kind: str
    name: str
    cohort: str
    effect: Effect
    p_bh: float = float("nan")
    p_holm: float = float("nan")
    replicated: bool | None = None

    def flat(self) -> dict[str, Any]:
        """Return it as one row of associations.csv; odds and hazard ratios are ratios here."""
        effect = self.effect
        ratio = effect.scale in ("odds", "hazard")
        numbers_of = {name: getattr(effect, name) for name in ("estimate", "low", "high")}
        return {
            "kind": self.kind,
            "name": self.name,
            "cohort": self.cohort,
            "scale": {"odds": "odds ratio", "hazard": "hazard ratio"}.get(effect.scale, effect.scale),
            **{key: float(np.exp(value)) if ratio else float(value) for key, value in numbers_of.items()},
            "p": effect.p,
            "p_bh": self.p_bh,
            "p_holm": self.p_holm,
            "n": effect.n,
            "events": effect.events,
            "method": effect.method,
            "replicated": self.replicated,
            "warnings": "; ".join(effect.warnings),
        }


def gap_unit(cohort: Cohort, term: AgeTerm = "spline") -> float:
    """Return the standard deviation, days, of the animals' raw gap at given age and sex."""
    animals = cohort.animals.drop_duplicates("subject")
    matrix = design(animals, "gap_days", ["age_days", "sex"], term).drop(columns=["gap_days"], errors="ignore")
    matrix = matrix.to_numpy()
    gap = animals["gap_days"].to_numpy(float)
    left = gap - matrix @ np.linalg.lstsq(matrix, gap, rcond=None)[0]
    spread = float(np.sqrt((left**2).sum() / max(1, len(gap) - matrix.shape[1])))
    if not spread > 1e-9:
        raise OperatorError(f"{cohort.source}: column predicted_days: the age gap does not vary between animals")
    return spread


def associate(cohort: Cohort, plan: AnalysisPlan, unit_days: float) -> list[Row]:
    """Return every association of the plan in a cohort, corrected for their number."""
    rows = [Row("phenotype", name, cohort.name, _phenotype(cohort, name, plan, unit_days)) for name in plan.continuous]
    rows += [Row("phenotype", name, cohort.name, _binary(cohort, name, plan, unit_days)) for name in plan.binary]
    for name in plan.genotype:
        rows.append(
            Row("genotype", f"{name}, per allele", cohort.name, _on_gap(cohort, name, alleles(cohort, name), plan))
        )
    if plan.treatment:
        control, others = arms(cohort, plan.treatment, plan.control)
        given = as_labels(cohort.animals[plan.treatment])
        for other in others:
            x = np.where(given == other, 1.0, np.where(given == control, 0.0, np.nan))
            rows.append(
                Row("treatment", f"{other} against {control}", cohort.name, _on_gap(cohort, plan.treatment, x, plan))
            )
    rows += [
        Row("survival", f"death ({time})", cohort.name, _survival(cohort, time, event, entry, plan, unit_days))
        for time, event, entry in plan.survival
    ]
    if not rows:
        return []
    p = np.array([row.effect.p for row in rows])
    bh, holm = (multipletests(p, ALPHA, method=method)[1] for method in ("fdr_bh", "holm"))
    return [replace(row, p_bh=float(a), p_holm=float(b)) for row, a, b in zip(rows, bh, holm, strict=True)]


def replicate(found: list[Row], again: list[Row]) -> list[Row]:
    """Return the validation's rows, each saying whether it replicates: same sign, and p_bh < 0.05 in both cohorts.

    None where the first cohort showed nothing that could be replicated.
    """
    return [
        replace(
            second,
            replicated=None
            if not first.p_bh < ALPHA
            else bool(np.sign(first.effect.estimate) == np.sign(second.effect.estimate) and second.p_bh < ALPHA),
        )
        for first, second in zip(found, again, strict=True)
    ]


def _complete(
    cohort: Cohort, names: list[str], plan: AnalysisPlan, *more: np.ndarray
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    for name in plan.covariates:
        if name != "sex":
            column(cohort.animals, name, cohort.source)
            refuse_unclear(cohort.animals, name, cohort.source)
    used = cohort.animals[[*names, *plan.covariates]].notna().all(axis=1)
    for values in more:
        used &= np.isfinite(values)
    return cohort.animals[used], [values[used.to_numpy()] for values in more]


def _with_gap(animals: pd.DataFrame, plan: AnalysisPlan, unit_days: float) -> pd.DataFrame:
    """Return the design of models whose x is the gap, in units of it; a row an animal or an examination."""
    table = animals.assign(gap_days=animals["gap_days"] / unit_days)
    return design(table, "gap_days", list(plan.covariates), plan.age_term, animals["subject"].nunique())


def _phenotype(cohort: Cohort, name: str, plan: AnalysisPlan, unit_days: float) -> Effect:
    values = numbers(cohort.animals, name, cohort.source).to_numpy()
    animals, (outcome,) = _complete(cohort, ["gap_days"], plan, values)
    if len(outcome) < 3 or not np.ptp(outcome) > 0:
        raise OperatorError(f"{cohort.source}: column {name}: expected values that differ, got {len(outcome)} the same")
    matrix = _with_gap(animals, plan, unit_days)
    outcome = outcome / outcome.std(ddof=1)
    remarks: list[str] = []
    with _named(cohort, name):
        if animals["subject"].duplicated().any():
            found = effects.mixed(outcome, matrix, "gap_days", animals["subject"], animals["cage"])
            if found is not None:
                return replace(found, scale="sd")
            remarks = ["the mixed model did not converge: animal means instead"]
            mean = matrix.assign(_y=outcome).groupby(animals["subject"]).mean()
            one = animals.groupby("subject")["cage"].first()
            found = effects.linear(mean.pop("_y").to_numpy(), mean, "gap_days", one, "sd")
        else:
            found = effects.linear(outcome, matrix, "gap_days", animals["cage"], "sd")
    return replace(found, warnings=[*remarks, *found.warnings])


def _binary(cohort: Cohort, name: str, plan: AnalysisPlan, unit_days: float) -> Effect:
    animals, (outcome,) = _complete(cohort, ["gap_days"], plan, binary(cohort, name))
    if len(np.unique(outcome)) < 2:
        raise OperatorError(f"{cohort.source}: column {name}: only one value is left among animals with all covariates")
    matrix = _with_gap(animals, plan, unit_days)
    # Several examinations of an animal are a cluster as a cage is.
    groups = animals["subject"] if animals["subject"].duplicated().any() else animals["cage"]
    with _named(cohort, name):
        return effects.logistic(outcome, matrix, "gap_days", groups)


def _on_gap(cohort: Cohort, name: str, x: np.ndarray, plan: AnalysisPlan) -> Effect:
    """Return by how many days of gap animals differ per unit of x: mixed model on all readings, else animal means."""
    animals, (x,) = _complete(cohort, [name], plan, x)
    animals = animals.assign(_x=x).drop_duplicates("subject")
    extra = [covariate for covariate in plan.covariates if covariate not in ("age_days", "sex")]
    fixed = animals[["subject", "_x", "sex", "cage", *extra]].rename(columns={"_x": name})
    remarks: list[str] = []
    with _named(cohort, name):
        per_cage = fixed.groupby("cage")[name].nunique()
        whole_cages = not fixed["cage"].eq("").any() and bool((per_cage == 1).all()) and len(per_cage) < len(fixed)
        if whole_cages:
            remarks = [f"whole cages share a value: the cage is the unit ({len(per_cage)} cages)"]
        readings = cohort.readings[["subject", "gap_days", "age_days"]].merge(fixed, on="subject")
        unit = readings["cage" if whole_cages else "subject"]
        matrix = design(readings, name, list(plan.covariates), plan.age_term, unit.nunique())
        if not whole_cages and unit.duplicated().any():
            found = effects.mixed(readings["gap_days"].to_numpy(), matrix, name, readings["subject"], readings["cage"])
            if found is not None:
                return found
            remarks.append("the mixed model did not converge: animal means instead")
        # The columns are averaged as the gap is: the curve of a mean age is not the mean of the curve.
        means = matrix.assign(_gap=readings["gap_days"]).groupby(unit).mean()
        gap = means.pop("_gap").to_numpy()
        means = means.loc[:, [column in ("intercept", name) or np.ptp(part) > 0 for column, part in means.items()]]
        cages = None if whole_cages else fixed.set_index("subject").loc[means.index, "cage"]
        found = effects.linear(gap, means, name, cages, "days")
    return replace(found, warnings=[*remarks, *found.warnings])


def survival_table(cohort: Cohort, time: str, event: str, entry: str | None, plan: AnalysisPlan) -> pd.DataFrame:
    """Return one row an animal: time, event, entry (NaN-free), baseline gap and age, and how many were left out.

    Only readings of an animal's first days count: later ones are seen only in those that lived. On the scale of age an
    animal enters at its last baseline reading, because it had to live until then to be photographed.
    """
    numbers(cohort.animals, time, cohort.source)
    column(cohort.animals, event, cohort.source)
    animals = cohort.animals.drop_duplicates("subject", keep="last")
    one = replace(cohort, animals=animals)
    table = animals.assign(
        _time=numbers(animals, time, cohort.source),
        _event=events(one, event),
        gap_days=animals["baseline_gap_days"],
        age_days=animals["baseline_age_days"],
    )
    if entry:
        table["_entry"] = numbers(animals, entry, cohort.source)
    else:
        table["_entry"] = 0.0 if plan.follow_up else animals["baseline_last_days"]
    table = table.dropna(subset=["_time", "_entry"])
    if not table["_event"].sum() > 0:
        raise OperatorError(f"{cohort.source}: column {event}: expected deaths or culls, got none")
    table = table[table["_time"] > table["_entry"]]
    if not table["_event"].sum() > 0:
        raise OperatorError(
            f"{cohort.source}: column {time}: no animal with an event lived beyond its first reading; is it an age in "
            "days? Say --follow-up where it counts from the first reading"
        )
    return table


def _survival(cohort: Cohort, time: str, event: str, entry: str | None, plan: AnalysisPlan, unit_days: float) -> Effect:
    table = survival_table(cohort, time, event, entry, plan)
    table = table.dropna(subset=list(plan.covariates))
    out = cohort.animals["subject"].nunique() - len(table)
    matrix = _with_gap(table, plan, unit_days)
    truncated = bool((table["_entry"] > 0).any())
    with _named(cohort, time):
        found = effects.cox(
            table["_time"].to_numpy(float),
            table["_event"].to_numpy(float),
            table["_entry"].to_numpy(float) if truncated else None,
            matrix,
            "gap_days",
            table["cage"],
        )
    remarks = [f"{out} animals have no time after their first reading and are left out"] if out else []
    return replace(found, warnings=[*remarks, *found.warnings])


@contextmanager
def _named(cohort: Cohort, name: str) -> Iterator[None]:
    """Put the file's and the column's name before an error of a model."""
    where = f"{cohort.source}: column {name}"
    try:
        yield
    except OperatorError as error:
        if str(error).startswith(where):
            raise
        raise OperatorError(f"{where}: model: {error}") from error
