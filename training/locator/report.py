"""The locator's report: what k-fold cross-validation says about a project's labels, its networks, and more labels.

Written into the run's folder: locator-report.json, locator-report.md, plots and a sheet of the worst frames. Each fold
and each point of the learning curve is kept; the same command goes on with what is missing.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Centres, Parts
from training.deeplabcut.frames import LocatorData, cut_project, scale_of
from training.deeplabcut.read import Project, learnable, read_project
from training.locator.cross_validation import CrossValidation, Found, fold_of, predict_fold, predict_held
from training.locator.drawings import draw_plots, draw_worst
from training.locator.fit import HIT_MM
from training.locator.metrics import cross_calibrated, distances, pck, reliability, summary, suspects
from training.networks.shapes import centres_spec, parts_spec
from training.whole_file import write_text

CURVE = (10, 25, 50, 75)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command was asked for; curve_steps 0: no learning curve."""

    project: Path
    out: Path
    validation: CrossValidation
    px_per_mm: float
    curve_steps: int


def report(options: Options) -> dict[str, Any]:
    """Train what is missing, write the report and return its figures."""
    from training.networks.int8 import import_backend

    project = learnable(read_project(options.project))
    for text in project.warnings:
        print(f"warning: {text}", file=sys.stderr)
    scale = scale_of(project)
    specs = centres_spec(), parts_spec(project.keypoints, options.px_per_mm / scale)
    data = cut_project(project, *specs, scale)
    folds = fold_of(project, options.validation)
    import_backend()
    found = _all_folds(project, data, specs, options)
    truth = np.concatenate([np.stack(frame.animals) for frame in project.frames])
    figures = figures_of(project, data, found, truth, folds, HIT_MM * options.px_per_mm)
    figures |= {
        "frames": len(project.frames),
        "animals": len(truth),
        "folds": options.validation.folds,
        "split": options.validation.split,
        "steps": options.validation.steps,
        "centre_steps": options.validation.centre_steps,
        "seed": options.validation.seed,
        "picture_px_per_crop_px": scale,
        "learning_curve": _curve(project, data, specs, options, truth) if options.curve_steps else [],
    }
    errors = distances(found.parts, truth)
    draw_worst(options.out / "worst.png", project, data, found.parts, truth, errors)
    draw_plots(options.out, figures, errors, project.keypoints)
    write_text(options.out / "locator-report.json", json.dumps(figures, indent=1) + "\n")
    write_text(options.out / "locator-report.md", markdown(figures, options.project.name))
    return figures


def figures_of(
    project: Project,
    data: LocatorData,
    found: Found,
    truth: NDArray[np.float64],
    folds: NDArray[np.int64],
    hit_px: float,
) -> dict[str, Any]:
    """Return every figure of predictions for all m animals; truth float64 (m, parts, 2), folds (frames,)."""
    errors, both = distances(found.parts, truth), distances(found.both, truth)
    labelled = ~np.isnan(truth[..., 0])
    far, swapped = suspects(found.parts, truth, project.keypoints)
    hits = np.nan_to_num(errors, nan=np.inf) <= hit_px
    likelihoods = cross_calibrated(found.parts[..., 2], hits, folds[data.frame])
    return {
        "int8": summary(errors),
        "both_stages": {**summary(both), "found": float((~np.isnan(both[labelled])).mean())},
        "by_part": {name: summary(errors[:, index]) for index, name in enumerate(project.keypoints)},
        "by_fold": [summary(errors[folds[data.frame] == fold]) for fold in np.unique(folds)],
        "pck": pck(errors, labelled),
        "pck_both_stages": pck(both, labelled),
        "hit_px": hit_px,
        "likelihood": reliability(likelihoods[labelled], hits[labelled]),
        "likelihood_all_parts": reliability(likelihoods.ravel(), hits.ravel()),
        "suspects": _listed(project, data, errors, far, swapped),
        "without_swapped": summary(np.where(swapped, np.nan, errors)),
        "without_suspects": summary(np.where(swapped | far, np.nan, errors)),
    }


def _all_folds(project: Project, data: LocatorData, specs: tuple[Centres, Parts], options: Options) -> Found:
    folds = fold_of(project, options.validation)[data.frame]
    shape = (len(data.crops), len(project.keypoints), 3)
    parts, both = np.full(shape, np.nan), np.full(shape, np.nan)
    for fold in range(options.validation.folds):
        one = predict_fold(project, data, specs, options.validation, fold, options.out / f"fold-{fold + 1}")
        parts[folds == fold], both[folds == fold] = one.parts, one.both
    return Found(parts, both)


def _curve(
    project: Project, data: LocatorData, specs: tuple[Centres, Parts], options: Options, truth: NDArray[np.float64]
) -> list[dict[str, float]]:
    """Return the error on the first fold's frames of networks trained on ever more of the others, equal steps each."""
    validation = CrossValidation(
        options.validation.folds, options.curve_steps, 1, options.validation.split, options.validation.seed
    )
    held = fold_of(project, validation) == 0
    others = np.random.default_rng([validation.seed, 6]).permutation(np.flatnonzero(~held))
    rows = []
    for count in (*[count for count in CURVE if count < len(others)], len(others)):
        train = np.isin(np.arange(len(held)), others[:count])
        found = predict_held(project, data, specs, validation, train, held, options.out / f"curve-{count}")
        rows.append({"frames": float(count), **summary(distances(found.parts, truth[held[data.frame]]))})
    return rows


def _listed(
    project: Project,
    data: LocatorData,
    errors: NDArray[np.float64],
    far: NDArray[np.bool_],
    swapped: NDArray[np.bool_],
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for animal, part in zip(*np.nonzero(far | swapped), strict=True):
        frame = project.frames[data.frame[animal]]
        why = [name for name, flags in (("swapped", swapped), ("far", far)) if flags[animal, part]]
        rows.append(
            {
                "image": f"{frame.image.parent.name}/{frame.image.name}",
                "row": frame.line,
                "part": project.keypoints[part],
                "error_px": float(errors[animal, part]),
                "why": why,
            }
        )
    return sorted(rows, key=lambda row: -row["error_px"])


def markdown(figures: dict[str, Any], name: str) -> str:
    """Return the report as Markdown."""
    lines = [
        f"# Locator: {name}",
        "",
        f"{figures['frames']} labelled frames, {figures['folds']} folds ({figures['split']}), "
        f"{figures['centre_steps']} and {figures['steps']} steps, seed {figures['seed']}. "
        "Each frame is judged by int8 networks that have not seen it.",
        "",
        "| | labels | mean px | median px | root mean square px | 90% below px |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    rows = {
        "parts, around the labelled middle": figures["int8"],
        "both stages, as on the device": figures["both_stages"],
        "without labels that look swapped": figures["without_swapped"],
        "without all suspects (flatters: errors of the network go too)": figures["without_suspects"],
        **{f"part: {part}": row for part, row in figures["by_part"].items()},
        **{f"fold {number}": row for number, row in enumerate(figures["by_fold"], 1)},
        **{f"first fold, trained on {row['frames']:.0f} frames": row for row in figures["learning_curve"]},
    }
    for title, row in rows.items():
        keys = ("mean_px", "median_px", "root_mean_square_px", "percentile_90_px")
        values = " | ".join(f"{row[key]:.2f}" if key in row else "-" for key in keys)
        lines.append(f"| {title} | {row['count']} | {values} |")
    lines += ["", "| within px | " + " | ".join(figures["pck"]) + " |", "| --- |" + " ---: |" * len(figures["pck"])]
    for title, key in (("parts", "pck"), ("both stages", "pck_both_stages")):
        lines.append(f"| {title} | " + " | ".join(f"{value:.1%}" for value in figures[key].values()) + " |")
    error = figures["likelihood"]["expected_calibration_error"]
    lines += [
        "",
        f"Likelihood (a hit is within {figures['hit_px']:.1f} px), fitted on the other folds: "
        f"expected calibration error {error:.3f} over labelled parts.",
        "",
        "| likelihood | parts | mean likelihood | hits |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row in figures["likelihood"]["table"]:
        span = f"{row['from']:.1f}-{row['to']:.1f}"
        lines.append(f"| {span} | {row['count']} | {row['likelihood']:.2f} | {row['hit_rate']:.2f} |")
    lines += [
        "",
        "Labels to look at again:",
        "",
        "| picture | row | part | px | why |",
        "| --- | ---: | --- | ---: | --- |",
    ]
    for row in figures["suspects"]:
        lines.append(
            f"| {row['image']} | {row['row']} | {row['part']} | {row['error_px']:.1f} | {', '.join(row['why'])} |"
        )
    lines += ["", "![worst frames](worst.png)", "", "![plots](plots.png)", ""]
    return "\n".join(lines)
