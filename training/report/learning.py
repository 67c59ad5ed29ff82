"""Learning curve: would more animals help?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.report.background import small_grey
from training.report.intervals import by_animal
from training.report.light import HEAD, PIXELS, predict
from training.report.material import Floats, Material
from training.report.plots import BLUE, GREY, RED, axes, png
from training.report.section import Picture, Section, Table, absent, weeks, weeks_between

KEY, TITLE = "learning_curve", "Would more animals help?"
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
DRAWS = 5
LEAST_ANIMALS = 8
_HEADS = {"embedding": "ridge on the frozen embedding", "pixels": "ridge on 24 grey squares along the crop"}


def section(material: Material) -> Section:
    """Return the test error of light heads fitted on growing shares of the training animals."""
    train, test = material.side("train"), material.side("test")
    animals = material.animal[train]
    names = np.unique(animals)
    if len(names) < LEAST_ANIMALS:
        return absent(KEY, TITLE, f"expected at least {LEAST_ANIMALS} training animals, got {len(names)}")
    if np.ptp(material.age_days[train]) == 0:
        return absent(KEY, TITLE, "all training readings are of one age")
    rows = np.concatenate([train, test])
    grey = small_grey(material.crops[rows])
    features = {
        "embedding": (material.embeddings[train].astype(float), material.embeddings[test].astype(float), HEAD[0]),
        "pixels": (grey[: len(train)], grey[len(train) :], PIXELS[0]),
    }
    figures = {name: _curve(material, *values, train, test) for name, values in features.items()}
    half, full = (figures["pixels"][at]["mae_days"] for at in (2, -1))
    whole = figures["embedding"]
    return Section(
        KEY,
        TITLE,
        f"With a tenth of the {len(names)} training animals the light head errs by {weeks(whole[0]['mae_days'])} "
        f"weeks, with all by {weeks(whole[-1]['mae_days'])}; ridge on pixels that no network has seen gained "
        f"{weeks(half - full)} weeks by the second half of them.",
        (
            f"Whole animals are drawn, {DRAWS} times each share, the error is that of the test animals. The network "
            "itself has seen all training animals, so the embedding's curve shows what the last layer gains and is "
            "flatter than a network trained on fewer would be. The curve on plain pixels has seen no age before: where "
            "it still falls, more animals are worth having.",
        ),
        figures,
        (_table(figures),),
        (_picture(figures),),
    )


def _curve(
    material: Material, first: Floats, second: Floats, head: str, train: NDArray[np.intp], test: NDArray[np.intp]
) -> list[dict[str, Any]]:
    animals, names = material.animal[train], np.unique(material.animal[train])
    age, truth = material.age_days[train], material.age_days[test]
    found = []
    for share in SHARES:
        count = max(2, round(share * len(names)))
        errors = np.zeros(len(test))
        draws = 1 if count == len(names) else DRAWS
        for draw in range(draws):
            rng = np.random.default_rng([material.seed, 71, draw])
            chosen = np.isin(animals, rng.permutation(names)[:count])
            errors += np.abs(predict(first[chosen], age[chosen], second, material.seed, head) - truth) / draws
        sums = np.column_stack([errors, np.ones(len(test))])
        found.append(
            {
                "animals": count,
                "mae_days": float(errors.mean()),
                "mae_days_95": by_animal(material.animal[test], sums, lambda s: s[:, 0] / s[:, 1], material.seed),
            }
        )
    return found


def _table(figures: dict[str, list[dict[str, Any]]]) -> Table:
    rows = tuple(
        (str(one["animals"]), *(f"{weeks(each['mae_days'])} ({weeks_between(each['mae_days_95'])})" for each in pair))
        for one, pair in zip(figures["embedding"], zip(*figures.values(), strict=True), strict=True)
    )
    return Table(("training animals", *(f"{_HEADS[name]}: MAE, weeks (95%)" for name in figures)), rows)


def _picture(figures: dict[str, list[dict[str, Any]]]) -> Picture:
    figure, (axis,) = axes(1, 6.5, 3.8)
    for (name, curve), colour in zip(figures.items(), (BLUE, RED), strict=True):
        counts = [one["animals"] for one in curve]
        ends = np.array([one["mae_days_95"] for one in curve], float) / 7
        axis.fill_between(counts, ends[:, 0], ends[:, 1], color=colour, alpha=0.12, lw=0)
        axis.plot(counts, [one["mae_days"] / 7 for one in curve], "o-", color=colour, label=_HEADS[name])
    axis.set(xlabel="training animals", ylabel="MAE of the test animals, weeks")
    axis.set_ylim(bottom=0)
    axis.grid(axis="y", color=GREY, alpha=0.2)
    axis.legend(frameon=False, fontsize=8)
    return Picture("Error over the number of training animals, 95% intervals by test animal.", png(figure))
