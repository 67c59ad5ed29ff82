"""Does the model know a camera or a site rather than mice? One is left out at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.report.intervals import by_animal
from training.report.light import predict
from training.report.material import Floats, Material
from training.report.section import Section, Table, absent, bracketed, number, weeks, weeks_between

KEYS = {"camera": "leave_one_camera_out", "site": "leave_one_site_out"}
LEAST_LEFT = 20


def section(material: Material, factor: str) -> Section:
    """Return the light head's error on each camera (or site) when it was fitted without that one, and with it."""
    key, title = KEYS[factor], f"Does it hold on a {factor} that it has not seen?"
    names = material.table[factor].fillna("").astype(str).to_numpy()
    train, held = material.side("train"), material.side("calibration", "test")
    levels = sorted(set(names[held]) - {""})
    if len(set(names) - {""}) < 2:
        return absent(key, title, f"all readings are of one {factor}, or none is given: nothing can be left out")
    shared = [name for name in levels if (names[train] == name).any()]
    if not shared:
        return absent(
            key,
            title,
            f"no {factor} of the held-out animals is among those of the training animals, so every figure of this "
            f"report is already of {len(levels)} unseen {factor}s",
        )
    whole = predict(material.embeddings[train], material.age_days[train], material.embeddings[held], material.seed)
    figures = {name: _one(material, names == name, train, held, whole) for name in shared}
    found = {name: one for name, one in figures.items() if one is not None}
    if not found:
        return absent(key, title, f"without any one {factor} fewer than {LEAST_LEFT} training readings are left")
    pooled = _pooled(material, found)
    worse = pooled["difference_days_95"][0] > 0
    return Section(
        key,
        title,
        f"On a {factor} left out, the light head errs by {weeks(pooled['mae_days_without'])} weeks, with it among the "
        f"training animals by {weeks(pooled['mae_days_with'])}; difference {weeks(pooled['difference_days'])}"
        f"{bracketed(weeks_between(pooled['difference_days_95']))}.",
        (
            "What is done: the int8 network stays as it is, and a ridge head is fitted anew on its frozen embedding of "
            f"the training animals without the {factor}, then scored on the calibration and test animals of it; beside "
            "it the same head fitted with all training animals. The network itself has seen every training "
            f"{factor}, so a small difference clears the head, not the network; a large one condemns both.",
        ),
        {
            "pooled": pooled,
            "levels": {name: {k: v for k, v in one.items() if k != "rows"} for name, one in found.items()},
        },
        (_table(factor, found),),
        beware=f"The head needs to have seen the {factor}: quote the figures without it for new ones." if worse else "",
    )


def _one(material: Material, here: Any, train: Any, held: Any, whole: Floats) -> dict[str, Any] | None:
    rest, rows = train[~here[train]], here[held]
    if len(rest) < LEAST_LEFT:
        return None
    truth, chosen = material.age_days[held[rows]], held[rows]
    without = predict(material.embeddings[rest], material.age_days[rest], material.embeddings[chosen], material.seed)
    first, second = np.abs(without - truth), np.abs(whole[rows] - truth)
    constant = np.abs(np.median(material.age_days[rest]) - truth)
    animals = material.animal[chosen]
    sums = np.column_stack([first, second, np.ones(len(first))])
    return {
        "animals": len(np.unique(animals)),
        "readings": len(truth),
        "mae_days_without": float(first.mean()),
        "mae_days_with": float(second.mean()),
        "mae_days_constant": float(constant.mean()),
        "bias_days_without": float((without - truth).mean()),
        "difference_days": float((first - second).mean()),
        "difference_days_95": by_animal(animals, sums, lambda s: (s[:, 0] - s[:, 1]) / s[:, 2], material.seed),
        "rows": (animals, sums),
    }


def _pooled(material: Material, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    animals = np.concatenate([one["rows"][0] for one in found.values()])
    sums = np.concatenate([one["rows"][1] for one in found.values()])
    first, second, count = sums.sum(axis=0)
    return {
        "levels": len(found),
        "animals": len(np.unique(animals)),
        "mae_days_without": first / count,
        "mae_days_with": second / count,
        "difference_days": (first - second) / count,
        "difference_days_95": by_animal(animals, sums, lambda s: (s[:, 0] - s[:, 1]) / s[:, 2], material.seed),
    }


def _without_rows(one: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name != "rows"}


def _table(factor: str, found: dict[str, dict[str, Any]]) -> Table:
    most = sorted(found, key=lambda name: -found[name]["animals"])[:20]
    rows = tuple(
        (
            name,
            str(found[name]["animals"]),
            weeks(found[name]["mae_days_without"]),
            weeks(found[name]["mae_days_with"]),
            weeks(found[name]["difference_days"]),
            weeks_between(found[name]["difference_days_95"]),
            number(found[name]["mae_days_without"] / found[name]["mae_days_constant"]),
            weeks(found[name]["bias_days_without"]),
        )
        for name in most
    )
    columns = (
        *(factor, "animals", "MAE without it, weeks", "with it", "difference", "95%"),
        *("MAE without / constant", "bias without it, weeks"),
    )
    note = f"{len(found)} in all, those with most animals are shown." if len(found) > len(most) else ""
    return Table(columns, rows, note)
