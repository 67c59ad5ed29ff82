"""The whole route: table in; report.json, report.md, predictions.csv and the fitted model out."""

from __future__ import annotations

import hashlib
import json
import platform
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.features.models import NAMES, fit_model
from training.features.prepare import FeatureTable
from training.features.validate import (
    Validated,
    animal_weights,
    best_of,
    choose,
    quantile_by_animal,
    validate,
    validate_rows,
)
from training.json_values import plain

Floats = NDArray[np.float64]


def fit_features(table: FeatureTable, out: Path, seed: int, *, weigh: bool = False, source: str = "") -> dict[str, Any]:
    """Validate, fit on all animals, write RUN's files and return what stands in report.json.

    The model is model.joblib: loading it runs code (it is a pickle), so load only your own. model.json beside it
    names its columns, versions and digest.
    """
    out.mkdir(parents=True, exist_ok=True)
    by_animal = validate(table, seed, weigh=weigh)
    finalists = tuple(dict.fromkeys(by_animal.chosen))
    by_row = validate_rows(table, seed, weigh=weigh, names=finalists)
    report = figures(table, by_animal, by_row)
    report |= {"kinds": table.kinds, "without_kinds": without_kinds(table, seed, finalists, weigh=weigh)}
    everything = np.arange(len(table.target))
    final = best_of(choose(table, everything, seed, finalists, weigh=weigh)) if len(finalists) > 1 else finalists[0]
    report |= {
        "model": final,
        "chosen_per_fold": list(by_animal.chosen),
        "chosen_counts": dict(Counter(by_animal.chosen)),
        "candidates": list(NAMES),
        "folds": _per_fold(table, by_animal),
        "seed": seed,
        "weighted_by_animal": weigh,
        "target": table.name,
        "source": source,
        "columns_left_out": table.left_out,
        "warnings": [*table.warnings, *_endless(report)],
    }
    _write(out / "report.json", json.dumps(plain(report), indent=1) + "\n")
    _write(out / "report.md", markdown(report))
    predictions(table, by_animal).to_csv(out / "predictions.csv", index=False)
    _save_model(table, final, seed, out, weigh=weigh, half_width=_half_width(table, by_animal))
    return report


def figures(table: FeatureTable, by_animal: Validated, by_row: Validated) -> dict[str, Any]:
    """Return the figures, in the target's unit; rows count the same unless `_animals_equal` is in the name."""
    truth, gap = table.target, by_animal.predicted - table.target
    errors, half = np.abs(gap), by_animal.half_width
    covered = pd.Series((errors <= half).astype(float)).groupby(table.animals.astype(str)).mean()
    mae, mae_row = float(errors.mean()), float(np.abs(by_row.predicted - truth).mean())
    return {
        "n_rows": len(truth),
        "n_animals": len(covered),
        "n_features": table.features.shape[1],
        "mae": mae,
        "mae_animals_equal": float(np.average(errors, weights=animal_weights(table.animals))),
        "rmse": float(np.sqrt((gap**2).mean())),
        "r2": float(1 - (gap**2).sum() / ((truth - truth.mean()) ** 2).sum()),
        "r": _correlation(by_animal.predicted, truth),
        "mae_constant": float(np.abs(by_animal.constant - truth).mean()),
        "mae_row_split": mae_row,
        "mae_group_split": mae,
        "leakage_index": mae / mae_row if mae_row > 0 else float("nan"),
        "coverage_90": float(covered.mean()),
        "width_90": float(2 * pd.Series(half).groupby(table.animals.astype(str)).mean().mean()),
        "gap_slope": float(np.polyfit(truth, gap, 1)[0]),
    }


def without_kinds(
    table: FeatureTable, seed: int, names: tuple[str, ...], *, weigh: bool
) -> dict[str, float | None] | None:
    """Return the error without scores by people, weight, batch and tester: all together, and each kind by itself.

    None where there is no such column. An error is None where nothing is left without them.
    """
    if not table.kinds:
        return None
    found: dict[str, float | None] = {}
    every = sorted(set(table.kinds.values()))
    for kind in ["all of these", *(every if len(every) > 1 else [])]:
        gone = [name for name, one in table.kinds.items() if kind in (one, "all of these")]
        rest = table.without(gone)
        if rest is None:
            found[kind] = None
            continue
        judged = validate(rest, seed, weigh=weigh, names=names, what=f"folds without {kind}")
        found[kind] = float(np.abs(judged.predicted - rest.target).mean())
    return found


def predictions(table: FeatureTable, found: Validated) -> pd.DataFrame:
    """Return one row a reading with what a model that never saw the animal predicted."""
    return pd.DataFrame(
        {
            "line": table.lines,
            "subject": table.animals,
            "fold": found.fold,
            "truth": table.target,
            "predicted": found.predicted,
            "gap": found.predicted - table.target,
            "low_90": found.predicted - found.half_width,
            "high_90": found.predicted + found.half_width,
        }
    )


_SAYS = {
    "n_rows": "readings",
    "n_animals": "animals",
    "n_features": "feature columns used",
    "mae": "mean absolute error on animals that the model never saw",
    "mae_animals_equal": "the same, every animal counting once",
    "rmse": "root mean square error",
    "r2": "share of variance explained (1 - SSE / SST)",
    "r": "Pearson correlation",
    "mae_constant": "always guessing the training animals' median",
    "mae_row_split": "were rows split instead of animals (flattering; do not quote)",
    "mae_group_split": "split by animal",
    "leakage_index": "group / row: above 1, a split by row would have flattered",
    "coverage_90": "animals' readings inside their 90% interval, mean over animals",
    "width_90": "mean width of that interval",
    "gap_slope": "slope of (predicted - true) on true: below 0 is regression to the mean",
}


def markdown(report: dict[str, Any]) -> str:
    """Return the report for people."""
    lines = [f"# {report['target']} from features", "", "| figure | value | what it says |", "| --- | ---: | --- |"]
    lines += [f"| {name} | {report[name]:.4g} | {text} |" for name, text in _SAYS.items()]
    lines += _kinds_in_words(report)
    lines += ["", f"Model kept: **{report['model']}**; chosen in the folds: {', '.join(report['chosen_per_fold'])}."]
    lines += ["", "All figures come from raw predictions; no correction that needs the true age was applied.", ""]
    lines += [f"- warning: {text}" for text in report["warnings"]]
    return "\n".join(lines).rstrip() + "\n"


def _kinds_in_words(report: dict[str, Any]) -> list[str]:
    """Return which columns know more than looks, and the error without them."""
    if not report.get("kinds"):
        return []
    named = ", ".join(f"`{name}` is {kind}" for name, kind in report["kinds"].items())
    lines = ["", f"Not all columns are looks: {named}.", ""]
    for kind, mae in report["without_kinds"].items():
        text = "nothing is left to learn from" if mae is None else f"mae {mae:.4g} instead of {report['mae']:.4g}"
        lines.append(f"- without {kind}: {text}")
    return lines


def _endless(report: dict[str, Any]) -> list[str]:
    """Return a warning where there are too few animals for any finite 90% interval (below nine in the other folds)."""
    if np.isfinite(report["width_90"]):
        return []
    return [
        f"{report['n_animals']} animals are too few for a 90% interval: its width is infinite (null in report.json)"
    ]


def _per_fold(table: FeatureTable, found: Validated) -> list[dict[str, Any]]:
    rows = []
    for number, name in enumerate(found.chosen):
        mask = found.fold == number
        rows.append(
            {
                "model": name,
                "animals": len(np.unique(table.animals[mask].astype(str))),
                "rows": int(mask.sum()),
                "mae": float(np.abs(found.predicted - table.target)[mask].mean()),
                "mae_constant": float(np.abs(found.constant - table.target)[mask].mean()),
                "inner_mae": found.inner_mae[number],
            }
        )
    return rows


def _half_width(table: FeatureTable, found: Validated) -> float:
    return quantile_by_animal(np.abs(found.predicted - table.target), table.animals)


def _save_model(table: FeatureTable, name: str, seed: int, out: Path, *, weigh: bool, half_width: float) -> None:
    import joblib
    import sklearn

    weights = animal_weights(table.animals) if weigh else None
    model = fit_model(name, table.features, table.target, weights, table.categories, seed)
    half = out / "model.joblib.part"
    joblib.dump(model, half)
    digest = hashlib.sha256(half.read_bytes()).hexdigest()
    half.replace(out / "model.joblib")
    about = {
        "model": name,
        "columns": list(table.features.columns),
        "categories": list(table.categories),
        "target": table.name,
        "half_width_90": half_width,
        "sha256": digest,
        "scikit_learn": sklearn.__version__,
        "python": platform.python_version(),
        "notice": "a pickle: loading it runs code, load only your own",
    }
    _write(out / "model.json", json.dumps(plain(about), indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    half = path.with_name(f"{path.name}.part")
    half.write_text(text, encoding="utf-8")
    half.replace(path)


def _correlation(first: Floats, second: Floats) -> float:
    return float(np.corrcoef(first, second)[0, 1]) if first.std() > 0 and second.std() > 0 else float("nan")
