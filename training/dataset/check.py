"""`cageclock-train check`: what is wrong with a dataset, and what will mislead whoever trains on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.dataset.finding import Finding
from training.dataset.pictures import Look, duplicates, look_at, unnamed_pictures
from training.dataset.scale import check_scale
from training.dataset.table import TABLE, read_animals
from training.features.folds import group_folds

SEVERITIES = ("error", "warning", "note")
BAND_DAYS = 120.0
LEAST_IN_BAND = 8
AT_ONCE_MINUTES = 60.0
TELLS_BELOW = 0.8
"""A column tells the age where a small model on it alone has less than this share of the constant guess's error."""


def check(dataset: Path) -> list[Finding]:
    """Return all findings, errors first, each kind in the order of the table.

    Raises:
        OperatorError: there is no table, or it cannot be read at all.
    """
    table, findings = read_animals(dataset)
    folder = dataset if dataset.is_dir() else dataset.parent
    looks, unreadable = look_at(folder, table)
    findings += unnamed_pictures(folder, table)
    findings += unreadable + duplicates(table, looks) + two_cages(table) + _too_little(table)
    findings += check_scale(table, {line: look.size for line, look in looks.items()})
    if not any(finding.text.startswith(("all lines", "constant")) for finding in findings):
        findings += misleading(table, looks)
    return sorted(set(findings), key=lambda one: (SEVERITIES.index(one.severity), one))


def two_cages(table: pd.DataFrame) -> list[Finding]:
    """Return where an animal is in two cages within an hour (of its age, where no date is given).

    A day without a clock time (midnight to the second, or an age in whole days) proves nothing: it moved on that day.
    """
    findings = []
    stamps = (table.captured_at - pd.Timestamp("1970-01-01", tz="UTC")).dt.total_seconds() / 60
    minutes = stamps.fillna(table.age_days * 1440) if stamps.isna().all() else stamps
    timed = minutes.notna() & (minutes % 1440 != 0)
    rows = table.assign(minutes=minutes)[(table.cage != "") & (table.subject != "") & timed]
    for subject, seen in rows.sort_values("minutes", kind="stable").groupby("subject"):
        moved = (seen.cage != seen.cage.shift()) & (seen.minutes - seen.minutes.shift() < AT_ONCE_MINUTES)
        for line in seen.index[moved]:
            before = seen.cage.shift()[line]
            text = f"'{subject}' is in two cages at once: {before} and {seen.cage[line]}"
            findings.append(Finding(int(line), "cage", text))
    return findings


def misleading(table: pd.DataFrame, looks: dict[int, Look]) -> list[Finding]:
    """Return warnings: what other than the animal tells the age, and which ages, sexes or cohorts are missing."""
    return _tells(table, looks) + _few(table) + _one_sex(table) + _bimodal(table) + _cohorts(table)


def _too_little(table: pd.DataFrame) -> list[Finding]:
    findings = []
    animals, ages = table.subject[table.subject != ""].nunique(), table.age_days.dropna()
    if animals == 1:
        findings.append(Finding(0, "subject", "all lines are of one animal; ages can be learnt from several only"))
    if len(ages) > 1 and np.ptp(ages) < 1:
        findings.append(Finding(0, "age_days", f"constant: every animal is {ages.iloc[0]:.0f} days old"))
    return findings


def _tells(table: pd.DataFrame, looks: dict[int, Look]) -> list[Finding]:
    found = []
    rows = table[table.age_days.notna() & (table.subject != "")]
    for name in ("camera", "cage", "site", "light", "treatment"):
        if rows[name].nunique() > 1:
            found.append((name, "", _one_hot(rows[name])))
    dates = rows.captured_at.dropna()
    if dates.nunique() > 3 and len(dates) == len(rows):
        days = (rows.captured_at - dates.min()).dt.total_seconds().to_numpy() / 86400
        found.append(("captured_at", "the date", days[:, None]))
    if len(rows) and all(line in looks for line in rows.index):
        found.append(("picture", "the background (the picture's border)", _backgrounds(rows, looks)))
    findings = []
    for column, what, values in found:
        error, constant = _errors(values, rows)
        if error < TELLS_BELOW * constant:
            cue = what or f"the {column}"
            text = (
                f"{cue} alone tells the age to {error:.0f} days where guessing has {constant:.0f}: a model may learn "
                "it instead of the animal; let every one of them see all ages"
            )
            findings.append(Finding(0, column, text, "warning"))
    return findings


def _errors(values: NDArray[np.float64], rows: pd.DataFrame) -> tuple[float, float]:
    """Return the mean absolute errors, by folds of animals, of a small forest on the values and of the median."""
    from sklearn.ensemble import ExtraTreesRegressor

    ages, animals = rows.age_days.to_numpy(float), rows.subject.to_numpy(object)
    if rows.subject.nunique() < 6:
        return float("inf"), 0.0
    errors, constant = np.zeros(len(ages)), np.zeros(len(ages))
    for train, test in group_folds(animals, ages, 5, 1):
        model = ExtraTreesRegressor(60, min_samples_leaf=3, random_state=1, n_jobs=1).fit(values[train], ages[train])
        errors[test] = np.abs(model.predict(values[test]) - ages[test])
        constant[test] = np.abs(np.median(ages[train]) - ages[test])
    return float(errors.mean()), float(constant.mean())


def _one_hot(column: pd.Series) -> NDArray[np.float64]:
    found: NDArray[np.float64] = pd.get_dummies(column).to_numpy(float)
    return found


def _backgrounds(rows: pd.DataFrame, looks: dict[int, Look]) -> NDArray[np.float64]:
    return np.array([looks[int(line)].background for line in rows.index], np.float64)


def _few(table: pd.DataFrame) -> list[Finding]:
    rows = table[table.age_days.notna()]
    if rows.empty:
        return []
    bands = (rows.age_days // BAND_DAYS).astype(int)
    findings = []
    for band in range(bands.min(), bands.max() + 1):
        animals = rows.subject[bands == band].nunique()
        if animals < LEAST_IN_BAND:
            low, high = band * BAND_DAYS, (band + 1) * BAND_DAYS
            text = f"{animals} animals from {low:.0f} to {high:.0f} days, expected at least {LEAST_IN_BAND}"
            findings.append(Finding(0, "age_days", text, "warning"))
    return findings


def _one_sex(table: pd.DataFrame) -> list[Finding]:
    known = set(table.sex) & {"M", "F"}
    if len(known) == 1:
        return [Finding(0, "sex", f"only {known.pop()}: nothing will be known of the other sex", "warning")]
    return []


def _bimodal(table: pd.DataFrame) -> list[Finding]:
    """Warn where two normal distributions describe the ages better and lie apart (Ashman's D above 3; 1994)."""
    from sklearn.mixture import GaussianMixture

    ages = table.age_days.dropna().to_numpy(float)[:, None]
    if len(ages) < 20 or np.ptp(ages) < 60:
        return []
    one, two = (GaussianMixture(count, random_state=1, n_init=2, reg_covar=25.0).fit(ages) for count in (1, 2))
    (a, b), (va, vb) = two.means_[:, 0], two.covariances_[:, 0, 0]
    apart = np.sqrt(2) * abs(a - b) / np.sqrt(va + vb)
    if apart > 3 and two.weights_.min() > 0.15 and two.bic(ages) < one.bic(ages) - 10:
        text = (
            f"two groups of ages, about {min(a, b):.0f} and {max(a, b):.0f} days: a high correlation will only say "
            "that young differs from old (Simpson's paradox); fill in between"
        )
        return [Finding(0, "age_days", text, "warning")]
    return []


def _cohorts(table: pd.DataFrame) -> list[Finding]:
    """Warn where every camera looks at one cage, or one birth cohort, only."""
    rows = table[table.camera != ""]
    if rows.camera.nunique() < 2:
        return []
    findings = []
    if (rows.cage != "").all() and (rows.groupby("camera").cage.nunique() == 1).all():
        text = "every camera sees one cage only: cage and camera cannot be separated; rotate the cages"
        findings.append(Finding(0, "camera", text, "warning"))
    if "date_of_birth" in rows and rows.date_of_birth.notna().all():
        spread = rows.groupby("camera").date_of_birth.agg(lambda dates: (dates.max() - dates.min()).days)
        if (spread <= 14).all() and (rows.date_of_birth.max() - rows.date_of_birth.min()).days > 14:
            text = "every camera sees one birth cohort only: age equals date plus a constant there"
            findings.append(Finding(0, "camera", text, "warning"))
    return findings


def summary(dataset: Path, findings: list[Finding]) -> str:
    """Return the last line for people."""
    errors, warnings = (sum(finding.severity == one for finding in findings) for one in SEVERITIES[:2])
    return f"{dataset / TABLE if dataset.is_dir() else dataset}: {errors} errors, {warnings} warnings"
