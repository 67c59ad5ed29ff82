"""Outliers: what is made of animals' own crops, what is rendered, and a network that learns to tell them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.training.small_animals import SPEC, small_animals
from training.age.calibrate import domain_scores, fit_domain
from training.age.finetune import Finetune, train
from training.age.fit import Architecture, float_embeddings, int8_embeddings
from training.age.networks import embedding_of
from training.age.outliers import WAYS, made_outliers, outliers_for, rendered_outliers
from training.age.quantise_aware import quantise_carefully
from training.losses.outliers import outlier_loss
from training.networks.training_loop import Recipe
from training.run import Run
from training.simulated.foreign import KINDS


def test_each_way_changes_a_crop_and_one_seed_gives_the_same() -> None:
    crops = small_animals(6).crops
    made = made_outliers(crops, 3 * len(WAYS), seed=4)
    assert made.shape == (3 * len(WAYS), *crops.shape[1:])
    assert made.dtype == np.uint8
    assert (made == made_outliers(crops, 3 * len(WAYS), seed=4)).all()
    assert (made != made_outliers(crops, 3 * len(WAYS), seed=5)).any()
    nearest = np.abs(made[:, None].astype(int) - crops[None]).mean(axis=(2, 3, 4)).min(axis=1)
    assert (nearest > 1).all(), "none is a crop of the animals"


def test_foreign_scenes_are_rendered_once(tmp_path: Path) -> None:
    first = rendered_outliers(tmp_path, seed=3, cages=1, workers=1)
    assert first.shape == (len(KINDS), 160, 384, 1)
    (shard,) = tmp_path.glob("*.npy")
    before = shard.stat().st_mtime_ns
    assert (rendered_outliers(tmp_path, seed=3, cages=1, workers=1) == first).all()
    assert shard.stat().st_mtime_ns == before


def test_real_animals_have_only_what_is_made_of_them(tmp_path: Path) -> None:
    data = replace(small_animals(5), simulated=False)
    found = outliers_for(Run(tmp_path), data, seed=1)
    assert (found[: len(WAYS)] == made_outliers(data.crops, len(WAYS), seed=1)).all()
    assert not list(tmp_path.iterdir())


def test_the_loss_is_a_cross_entropy_of_both_sides() -> None:
    logits = np.array([9.0, -2.0, 0.5, 1.0, 3.0], np.float32)
    expected = np.mean(np.log1p(np.exp([-2.0, 0.5, 1.0]))) + np.log1p(np.exp(-3.0))
    assert abs(float(outlier_loss(logits, 3, 1)) - expected) < 1e-5, "the first row is not looked at"


def striped(crops: np.ndarray, seed: int) -> np.ndarray:
    """Return the crops with stripes of a random period over them."""
    periods = np.random.default_rng(seed).integers(6, 20, len(crops))
    lines = np.arange(crops.shape[2]) % periods[:, None] < 3
    return np.where(lines[:, None, :, None], 255 - crops, crops)


def test_a_network_that_saw_outliers_turns_unseen_ones_away() -> None:
    """Their mean brightness stays within the animals', so that an embedding of ages alone would pass them over."""
    data, held = small_animals(20), small_animals(12, seed=2)
    settings = Finetune(steps=150, architecture=Architecture("plain-0.3"), batch=16, learning_rate=1e-2)
    seen = striped(data.crops, 1)
    whole = train(replace(data, outliers=seen), SPEC, settings, seed=1)
    network = embedding_of(whole)
    of = {name: float_embeddings(network, crops) for name, crops in (("train", data.crops), ("held", held.crops))}
    domain = fit_domain(of["train"], of["held"], outliers=float_embeddings(network, seen))
    fresh = float_embeddings(network, striped(held.crops, 9))
    assert (domain_scores(of["held"], domain) <= 1).mean() >= 0.95
    assert (domain_scores(fresh, domain) > 1).mean() > 0.8

    result, said = quantise_carefully(
        whole, data.crops, data.age_days, SPEC, most_loss=-1, recipe=Recipe(30, 16, 1e-3, 5), outliers=seen
    )
    assert "int8_mae_loss_aware" in said, "it was tuned with rounding in it"
    of = {name: int8_embeddings(result.content, crops) for name, crops in (("train", data.crops), ("held", held.crops))}
    domain = fit_domain(of["train"], of["held"], outliers=int8_embeddings(result.content, seen))
    rounded = int8_embeddings(result.content, striped(held.crops, 9))
    assert (domain_scores(rounded, domain) > 1).mean() > 0.8
