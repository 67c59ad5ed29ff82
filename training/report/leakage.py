"""How much a split by row would have flattered."""

from __future__ import annotations

import numpy as np

from training.report.intervals import by_animal
from training.report.light import cross_fit, cross_fit_rows
from training.report.material import Material
from training.report.section import Section, Table, absent, between, bracketed, number, weeks

KEY, TITLE = "leakage", "Would a split by row have flattered?"
LEAST_GROUPS = 6


def section(material: Material) -> Section:
    """Return the light head's error split by group and by row, on animals that the network never saw."""
    held = material.side("calibration", "test")
    groups = material.table["group"].to_numpy()[held]
    count = len(np.unique(groups))
    if count < LEAST_GROUPS:
        return absent(KEY, TITLE, f"expected at least {LEAST_GROUPS} held-out cages or animals, got {count}")
    if len(held) == count:
        return absent(KEY, TITLE, "each held-out animal has one reading: a split by row is a split by animal")
    features, truth = material.embeddings[held].astype(float), material.age_days[held]
    by_group = np.abs(cross_fit(features, truth, groups, material.seed, what="leakage").predicted - truth)
    by_row = np.abs(cross_fit_rows(features, truth, groups, material.seed).predicted - truth)
    if not by_row.mean() > 0:
        return absent(KEY, TITLE, "the light head makes no error, nothing can leak")
    index = float(by_group.mean() / by_row.mean())
    ends = by_animal(
        material.animal[held], np.column_stack([by_group, by_row]), lambda s: s[:, 0] / s[:, 1], material.seed
    )
    return Section(
        KEY,
        TITLE,
        f"Leakage index {number(index)}{bracketed(between(ends))}: the light head errs by "
        f"{weeks(float(by_group.mean()))} weeks split by animal, by {weeks(float(by_row.mean()))} split by row.",
        (
            "The index is the error of the split by animal (and cage) over that of the split by row, of the same ridge "
            f"head on the frozen embedding of {count} held-out cages or animals. Above 1, an animal's own looks are "
            "learnt where rows are split, and such a figure must not be quoted. All other figures of this report are "
            "split by animal.",
        ),
        {
            "index": index,
            "index_95": ends,
            "mae_days_group_split": float(by_group.mean()),
            "mae_days_row_split": float(by_row.mean()),
            "groups": count,
        },
        (
            Table(
                ("split", "MAE, weeks"),
                (("by animal and cage", weeks(float(by_group.mean()))), ("by row", weeks(float(by_row.mean())))),
            ),
        ),
    )
