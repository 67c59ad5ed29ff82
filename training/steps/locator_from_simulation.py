"""`locator` on simulated data: both stages trained, quantised and judged on held-out cages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.contract.manifest import CENTRES, PARTS
from training.crops.split import split_by_group
from training.networks.int8 import import_backend
from training.networks.shapes import centres_spec, parts_spec
from training.networks.training_loop import Recipe
from training.run import CENTRES_SPEC, DATA, LOCATOR_SAMPLES, PARTS_SPEC, Run
from training.simulated.dataset import SIMULATED_CUT_BY, open_data

if TYPE_CHECKING:
    from training.locator.fit import Kept


@dataclass(frozen=True, slots=True)
class Effort:
    """Training steps of each stage."""

    centres: int = 700
    parts: int = 1500


def train_locator(
    run: Run, effort: Effort, seed: int = 1, *, again: bool = False, kept: Kept | None = None
) -> dict[str, float]:
    """Train and quantise both stages on the run's simulated data; return their figures on held-out cages.

    kept: where their checkpoints lie, if they are to have any.
    """
    from training.locator.fit import centre_scores, fit_centres, fit_parts, part_errors, with_likelihood

    data = open_data(run)
    import_backend()
    views = split_by_group(data.view_cage, seed)
    parts = split_by_group(data.part_cage, seed)
    figures: dict[str, float] = {}
    if again or not run.has(CENTRES_SPEC, PARTS_SPEC):
        run.path(LOCATOR_SAMPLES).unlink(missing_ok=True)
    if again or not run.has(CENTRES_SPEC):
        stage = fit_centres(
            data.views[views.train], data.centres[views.train], centres_spec(), Recipe(effort.centres, 16), seed, kept
        )
        run.save_stage(stage.content, stage.spec, SIMULATED_CUT_BY)
        figures |= centre_scores(stage.content, stage.spec, data.views[views.test], data.centres[views.test])
    if again or not run.has(PARTS_SPEC):
        second = fit_parts(
            data.parts[parts.train], data.keypoints[parts.train], parts_spec(), Recipe(effort.parts, 16), seed, kept
        )
        run.save_stage(second.content, second.spec, SIMULATED_CUT_BY)
        errors, _ = part_errors(second.content, second.spec, data.parts[parts.test], data.keypoints[parts.test])
        figures |= {
            "part_error_mm": float(np.nanmean(errors)) / second.spec.px_per_mm,
            "part_error_mm_median": float(np.nanmedian(errors)) / second.spec.px_per_mm,
        }
    (content, spec), held = run.parts(), parts.calibration
    spec = with_likelihood(content, spec, data.parts[held], data.keypoints[held])
    run.write_struct(PARTS_SPEC, spec)
    return figures | {"likelihood_a": spec.likelihood_a, "likelihood_b": spec.likelihood_b}


def locator_metrics(run: Run, seed: int) -> dict[str, float]:
    """Return both stages' figures on the held-out cages of the run's simulated data; none without data or locator."""
    from training.locator.fit import centre_scores, part_errors

    if not run.has(DATA, PARTS, CENTRES):
        return {}
    data = open_data(run)
    views, parts = split_by_group(data.view_cage, seed).test, split_by_group(data.part_cage, seed).test
    (first, centres), (second, spec) = run.centres(), run.parts()
    errors, _ = part_errors(second, spec, data.parts[parts], data.keypoints[parts])
    return {
        "part_error_mm": float(np.nanmean(errors)) / spec.px_per_mm,
        "part_error_mm_median": float(np.nanmedian(errors)) / spec.px_per_mm,
        **centre_scores(first, centres, data.views[views], data.centres[views]),
    }
