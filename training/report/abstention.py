"""Abstention: whom does the model refuse, and does that differ between those who are compared?"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from training.report.intervals import design_effect, effective_count, share_difference, share_interval
from training.report.material import Material, age_band, bands_in_order
from training.report.section import Section, Table, between, percent

KEY, TITLE = "abstention", "Whom does it refuse?"
FACTORS = {"age band": "age_band", "sex": "sex", "light": "light", "arm": "treatment"}


def section(material: Material) -> Section:
    """Return the shares of test readings that are refused, by level, each compared with all others."""
    predictions = material.predictions.assign(age_band=age_band(material.predictions["age_days"].to_numpy(float)))
    refused = ~predictions["accepted"].astype(bool)
    figures: dict[str, Any] = {"refused": _share(refused, predictions), "reasons": _reasons(predictions[refused])}
    tables, differing, missing = [], [], []
    for name, column in FACTORS.items():
        levels = predictions[column].fillna("").astype(str)
        order = (
            bands_in_order(predictions["age_days"].to_numpy(float))
            if name == "age band"
            else sorted(set(levels) - {""})
        )
        if len(order) < 2:
            reason = f"one {name} only ({order[0]})" if order else f"no {name} is given"
            figures[column] = {"missing": reason}
            missing.append(reason)
            continue
        found = {level: _level(refused, levels == level, predictions) for level in order}
        figures[column] = found
        tables.append(_table(name, found))
        differing += [f"{name} {level}" for level, one in found.items() if _apart(one["more_than_others_95"])]
    whole = figures["refused"]
    return Section(
        KEY,
        TITLE,
        f"{percent(whole['share'], 1)} of the test readings are refused ({_range(whole['share_95'])}): "
        + (", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in figures["reasons"].items()) or "none")
        + ".",
        (
            "What is missing is not missing at random: sick, barbered or treated animals are refused first. Refused "
            "readings stay in predictions.csv; compare refusals between arms before comparing ages.",
            "Intervals are 95%, Wilson's with as many readings as their dependence within animals leaves (Rao and "
            "Scott, 1992); differences are of one level from all others (Newcombe, 1998). Of many levels one in twenty "
            "stands apart by chance." + (f" Not compared: {'; '.join(missing)}." if missing else ""),
        ),
        figures,
        tuple(tables),
        beware=f"Refused more or less often than the others: {', '.join(differing)}." if differing else "",
    )


def _share(refused: pd.Series, predictions: pd.DataFrame, effect: float = float("nan")) -> dict[str, Any]:
    count = effective_count(refused.to_numpy(), predictions["animal"].to_numpy(), effect)
    share = float(refused.mean())
    return {
        "animals": int(predictions["animal"].nunique()),
        "readings": len(predictions),
        "share": share,
        "share_95": share_interval(share, count),
        "effective_readings": count,
    }


def _level(refused: pd.Series, here: pd.Series, predictions: pd.DataFrame) -> dict[str, Any]:
    effect = design_effect(refused.to_numpy(), predictions["animal"].to_numpy())
    inside, outside = (
        _share(refused[here], predictions[here], effect),
        _share(refused[~here], predictions[~here], effect),
    )
    ends = share_difference(
        (inside["share"], inside["effective_readings"]), (outside["share"], outside["effective_readings"])
    )
    return inside | {"more_than_others": inside["share"] - outside["share"], "more_than_others_95": ends}


def _reasons(refused: pd.DataFrame) -> dict[str, int]:
    texts = refused["reject_reasons"].fillna("").astype(str)
    return dict(Counter(reason for text in texts for reason in text.split()).most_common())


def _apart(ends: tuple[float, float]) -> bool:
    return ends[0] > 0 or ends[1] < 0


def _range(ends: tuple[float, float]) -> str:
    return between([100 * end for end in ends], 1, "%")


def _table(name: str, found: dict[str, Any]) -> Table:
    rows = tuple(
        (
            level,
            str(one["animals"]),
            str(one["readings"]),
            percent(one["share"], 1),
            _range(one["share_95"]),
            f"{100 * one['more_than_others']:+.1f}",
            between([100 * end for end in one["more_than_others_95"]], 1),
        )
        for level, one in found.items()
    )
    return Table((name, "animals", "readings", "refused", "95%", "more than the others, points", "95%"), rows)
