"""Tables and figures put into words for the card."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from edge.contract.base import Scalar
from training.card.evidence import Evidence
from training.card.figures import Figure
from training.crops.table import NUMBERS, split_groups

GROUPS = ("sex", "strain", "light", "site", "camera", "treatment")


def figure_table(figures: list[Figure]) -> str:
    """Return the figures of the test animals and their groups as a table."""
    lines = [
        "| test animals | animals | cages | readings | MAE, days (95%) | coverage of 90% intervals (95%) |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in figures:
        error = f"{one.mae_days:.1f}" + (
            f" ({one.mae_interval[0]:.1f}-{one.mae_interval[1]:.1f})" if one.mae_interval else ""
        )
        covered = (f"{one.coverage:.1%}" if one.coverage == one.coverage else "no interval") + (
            f" ({one.coverage_interval[0]:.1%}-{one.coverage_interval[1]:.1%})" if one.coverage_interval else ""
        )
        lines.append(f"| {one.group} | {one.animals} | {one.cages} | {one.readings} | {error} | {covered} |")
    return "\n".join(lines)


def fairness(figures: list[Figure]) -> str:
    """Return the error of each sex, strain and light side by side."""
    parts = []
    for column in ("sex", "strain", "light"):
        groups = [one for one in figures if one.group.startswith(f"{column} ")]
        if len(groups) > 1:
            parts.append(", ".join(f"{one.group} {one.mae_days:.1f}" for one in groups))
        else:
            parts.append(f"{column}: {'one group only' if groups else 'not given'}, no comparison")
    return (
        "MAE in days: " + "; ".join(parts) + ". No group was weighted or corrected; intervals stand under Performance."
    )


def counts(found: Evidence) -> str:
    """Return animals, cages and pictures of each side of the split."""
    aged, groups = found.aged, split_groups(found.aged)
    sides = (("training", found.split.train), ("calibration", found.split.calibration), ("test", found.split.test))
    return "; ".join(
        f"{name} {count_animals(aged[mask])} animals in {len(np.unique(groups[mask]))} cages, {mask.sum()} pictures"
        for name, mask in sides
    )


def comparison(found: Evidence) -> str:
    """Return how training and test animals differ in age, sex, strain and light."""
    aged = found.aged
    train, test = aged[found.split.train], aged[found.split.test]
    lines = [f"Age, days: training {quantiles(train['age_days'])}; test {quantiles(test['age_days'])}."]
    for column in ("sex", "strain", "light"):
        if (aged[column] != "").any():
            lines.append(f"{column}: training {shares(train[column])}; test {shares(test[column])}.")
    return " ".join(lines)


def characteristics(aged: pd.DataFrame) -> str:
    """Return who the animals are."""
    lines = [f"Age, days: {quantiles(aged['age_days'])}."]
    lines += [f"{name}: {shares(aged[name])} of the pictures." for name in GROUPS if len(set(aged[name])) <= 12]
    if aged["weight_g"].notna().any():
        lines.append(f"Weight, g: {quantiles(aged['weight_g'].dropna())}.")
    return " ".join(lines)


def setting(table: pd.DataFrame) -> str:
    """Return how many sites, cameras and cages the table names."""
    names = (("site", "sites"), ("camera", "cameras"), ("cage", "cages"))
    known = [f"{many}: {len(set(table[one]) - {''})}" for one, many in names if (table[one] != "").any()]
    return "; ".join(known) or "Neither site, camera nor cage is given."


def treatments(table: pd.DataFrame) -> str:
    """Return which treatments the pictures' animals had."""
    if not (table["treatment"] != "").any():
        return "No treatment is given in the table."
    return (
        f"{shares(table['treatment'])} of the pictures; treatment is no input, and treated animals are not set apart."
    )


def known_age(aged: pd.DataFrame) -> str:
    """Return how well ages are known."""
    uncertain = aged["age_uncertainty_days"].dropna()
    if not len(uncertain):
        return "as the table gives it, from the date of birth or directly; its uncertainty is not given."
    return f"as the table gives it; uncertainty up to {uncertain.max():.0f} days ({len(uncertain)} pictures say it)."


def real_units(training: Mapping[str, Scalar]) -> str:
    """Return how many calibration animals have real days and weeks."""
    days, weeks = training.get("real_day_animals"), training.get("real_week_animals")
    if days is None:
        return ""
    return (
        f"Of {training.get('interval_animals', training.get('calibration_animals'))} animals for the intervals {days} "
        f"have a real day (4 readings on one day of age), {weeks} a real week (12 within 7 days); where fewer than 40 "
        "cages have one, the nearest readings in age stand in."
    )


def listed(training: Mapping[str, Scalar]) -> str:
    """Return what training recorded, name and value."""
    return ", ".join(f"{name} {value}" for name, value in training.items())


def missing(column: pd.Series) -> pd.Series:
    """Return where a column of the crops' table has no value."""
    return column.isna() if column.name in NUMBERS or column.name == "captured_at" else column == ""


def count_animals(table: pd.DataFrame) -> int:
    """Return how many animals a table has; a picture without a subject is one of its own, as in training."""
    return len(set(table["subject"]) - {""}) + int((table["subject"] == "").sum())


def shares(column: pd.Series) -> str:
    """Return the share of each value."""
    found = column.replace("", "not given").value_counts(normalize=True)
    return ", ".join(f"{name} {share:.0%}" for name, share in found.items())


def quantiles(values: pd.Series) -> str:
    """Return the middle and the range without its outer twentieths."""
    low, middle, high = values.quantile([0.05, 0.5, 0.95])
    return f"median {middle:.0f} (5%-95%: {low:.0f}-{high:.0f})"
