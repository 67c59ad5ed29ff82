"""The route `finetune`: pretrain the backbone without labels, let the heads compete, train the age model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.contract.base import Scalar
from edge.contract.manifest import Age, HeadKind
from edge.errors import OperatorError
from training.age.data import AgeData
from training.age.fit import Architecture, distributions, fit_age, float_embeddings, with_trained_head
from training.age.heads import HEADS
from training.age.initial_weights import DESCRIPTION, Weights, put_weights
from training.age.networks import embedding_of
from training.age.pretrain import pretrain
from training.age.unlabelled import unlabelled_crops
from training.crops.split import split_by_group
from training.losses.crps import crps
from training.networks.training_loop import Recipe
from training.run import AGE_FIT, AGE_NETWORK, BACKBONE, Run

if TYPE_CHECKING:
    from training.age.pretraining_network import Method


@dataclass(frozen=True, slots=True)
class Finetune:
    """What `fit --route finetune` does. head `auto`: the three compete first, each for `head_steps`."""

    steps: int = 4000
    architecture: Architecture = field(default_factory=Architecture)
    head: HeadKind | Literal["auto"] = "distribution"
    head_steps: int = 1500
    weights: Weights | None = None
    batch: int = 32
    learning_rate: float = 3e-3


def finetune(run: Run, data: AgeData, spec: Age, settings: Finetune, seed: int = 1) -> dict[str, Scalar]:
    """Train on the given animals, keep age.keras and age-fit.json in the run, and return what the latter says."""
    architecture, competition = settings.architecture, dict[str, float]()
    if settings.head == "auto":
        architecture, competition = choose_head(data, spec, settings, seed)
    else:
        architecture = replace(architecture, head=settings.head)
    network = train(data, spec, replace(settings, architecture=architecture), seed)
    with run.writing(AGE_NETWORK) as half:
        network.save(half)
    record: dict[str, Scalar] = {
        "route": "finetune",
        "seed": seed,
        "network": architecture.backbone,
        "reduce": architecture.reduce,
        "head": architecture.head,
        "steps": settings.steps,
        "batch": settings.batch,
        "items": ", ".join(data.item_names) or None,
        "outliers": 0 if data.outliers is None else len(data.outliers),
        **(settings.weights.describe() if settings.weights else {"weights": "none"}),
        **{f"crps_days_{kind}": round(value, 2) for kind, value in competition.items()},
    }
    run.write_json(AGE_FIT, record)
    return record


def train(data: AgeData, spec: Age, settings: Finetune, seed: int) -> Any:
    """Return the trained Keras model with its head, for crops of the spec's size."""
    weights, architecture = settings.weights, settings.architecture
    return fit_age(
        data.crops,
        data.age_days,
        spec,
        Recipe(settings.steps, settings.batch, settings.learning_rate),
        seed,
        architecture=architecture,
        items=data.items,
        prepare=None if weights is None else lambda network: put_weights(network, weights, architecture.backbone),
        outliers=data.outliers,
    )


def choose_head(data: AgeData, spec: Age, settings: Finetune, seed: int) -> tuple[Architecture, dict[str, float]]:
    """Return the architecture with the head of the least CRPS by animal, and each head's CRPS, days.

    They compete inside the training animals: a part of their groups is held out, and trained on afterwards.
    """
    split = split_by_group(data.group, seed)
    inner, held = data.where(split.train | split.test), data.where(split.calibration)
    found: dict[str, float] = {}
    for kind in HEADS:
        trial = replace(settings, architecture=replace(settings.architecture, head=kind), steps=settings.head_steps)
        found[kind] = score(train(inner, spec, trial, seed), held, spec, kind)["crps_days"]
    best = min(HEADS, key=lambda kind: found[kind])
    return replace(settings.architecture, head=best), found


def score(network: Any, data: AgeData, spec: Age, kind: HeadKind) -> dict[str, float]:
    """Return CRPS, mean absolute error (days, means over animals) and gap slope of the float network."""
    filled = with_trained_head(spec, network, kind)
    return scores_of(distributions(float_embeddings(embedding_of(network), data.crops), filled), data, filled)


def scores_of(probabilities: NDArray[np.float64], data: AgeData, spec: Age) -> dict[str, float]:
    """Return the figures of distributions (n, bins); each animal counts once, however often it was seen."""
    bins, truth = np.array(spec.bin_centres_days), data.age_days.astype(np.float64)
    predicted = probabilities @ bins
    return {
        "crps_days": _by_animal(crps(probabilities, bins, truth), data.animal),
        "mae_days": _by_animal(np.abs(predicted - truth), data.animal),
        "gap_slope": float(np.polyfit(truth, predicted - truth, 1)[0]) if np.ptp(truth) > 0 else 0.0,
    }


def pretrain_run(
    run: Run,
    source: Path,
    spec: Age,
    architecture: Architecture,
    *,
    method: Method,
    steps: int,
    batch: int,
    most: int,
    licence: str,
    seed: int = 1,
) -> dict[str, Scalar]:
    """Pretrain on unlabelled crops, keep backbone.keras and backbone.json in the run; return what the latter says."""
    crops = unlabelled_crops(source, spec, most=most, seed=seed)
    recipe = Recipe(steps, min(batch, len(crops)), 3e-3)
    network, losses = pretrain(
        crops, spec, recipe, method=method, backbone=architecture.backbone, reduce=architecture.reduce, seed=seed
    )
    with run.writing(BACKBONE) as half:
        network.save(half)
    last = losses[-min(50, len(losses)) :]
    record: dict[str, Scalar] = {
        "source": f"{method} on {len(crops)} crops",
        "method": method,
        "licence": licence,
        "normalisation": "pixel / 255",
        "sha256": run.sha256(BACKBONE),
        "network": architecture.backbone,
        "reduce": architecture.reduce,
        "steps": steps,
        "batch": recipe.batch,
        "crops": len(crops),
        "seed": seed,
        "loss_first": round(losses[0], 4),
        "loss_last": round(float(np.mean(last)), 4),
    }
    run.write_json(DESCRIPTION, record)
    return record


def load_network(run: Run) -> Any:
    """Return the trained Keras model, with its head.

    Raises:
        OperatorError: `fit` has not run.
    """
    import keras

    return keras.models.load_model(run.require(AGE_NETWORK), compile=False)


def embedding_network(run: Run) -> Any:
    """Return the trained Keras model from the crop to the embedding, without its head.

    Raises:
        OperatorError: `fit` has not run.
    """
    import keras

    whole = load_network(run)
    return keras.Model(whole.input, whole.get_layer("embedding").output)


def load_fit(run: Run) -> dict[str, Any]:
    """Return what age-fit.json says; a run from before it was written has the first kind of network and head.

    Raises:
        OperatorError: it is no JSON object.
    """
    if not run.has(AGE_FIT):
        return {"route": "finetune", "network": "plain-1", "reduce": 1, "head": "distribution", "weights": "none"}
    record = run.read_json(AGE_FIT)
    if record.get("head") not in HEADS:
        raise OperatorError(
            f"{run.path(AGE_FIT)}: expected `head` to be one of {', '.join(HEADS)}; run `cageclock-train fit` again"
        )
    return record


def _by_animal(values: NDArray[np.floating], animals: NDArray[np.int32]) -> float:
    return float(np.mean([values[animals == animal].mean() for animal in np.unique(animals)]))
