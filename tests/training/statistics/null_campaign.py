"""Phenotypes that have nothing to do with the gap but by age: how many does `associate` call significant at 5%?

    python -m tests.training.statistics.null_campaign [--phenotypes 10000] [--seed 1] [--over-time]

prints the table of docs/associations.md: for linear models by the design that the product makes and least squares over
many phenotypes at once (test_null.py holds that these are the product's own p values), for the other models by the
product itself, 3 studies for 100 phenotypes.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from training.statistics.age_term import AgeTerm
from training.statistics.cohort import Cohort
from training.statistics.effects import design
from training.statistics.panel import AnalysisPlan, associate

Floats = NDArray[np.float64]
YOUNGEST, OLDEST = 100.0, 900.0
PANEL = 20
"""Phenotypes a study: each study has its own animals, ages and gaps."""
SIZES = (20, 40, 60, 100, 200, 500)


def _life(age: Floats) -> Floats:
    return (age - YOUNGEST) / (OLDEST - YOUNGEST)


SHAPES: dict[str, Callable[[Floats], Floats]] = {
    "straight": lambda age: 3 * _life(age),
    "plateau": lambda age: 4 * np.minimum(_life(age), 0.375) + 4 * np.maximum(_life(age) - 0.7, 0),
    "exponential": lambda age: np.exp(4 * _life(age)) / 12,
    "bowl": lambda age: 5 * (2 * _life(age) - 1) ** 2,
}
"""How a phenotype's mean goes with age, in standard deviations of what age does not tell."""


def _gap(shape: str, age: Floats) -> Floats:
    """Return the mean gap, days: shrunk, also levelling off in mid-life, or (bowl) off at both ends."""
    if shape == "straight":
        return -0.3 * (age - 500)
    if shape == "bowl":
        return -100 * (2 * _life(age) - 1) ** 2
    return np.interp(age, [100, 450, 900], [350, 605, 790]) - age


TRUTHS = {
    "straight": ("straight", "straight"),
    "plateau": ("plateau", "plateau"),
    "exponential": ("plateau", "exponential"),
    "bowl": ("bowl", "bowl"),
}
"""Truth to the shapes of gap and phenotype. The campaign's table has the first three."""


@dataclass(frozen=True)
class Truth:
    """What a study's gap and phenotypes follow; uneven: both scatter three to four times as much in old animals."""

    name: str
    uneven: bool = False

    def spread(self, age: Floats) -> Floats:
        return 0.4 + 1.2 * _life(age) if self.uneven else np.ones_like(age)

    def gap(self, age: Floats, rng: np.random.Generator) -> Floats:
        return _gap(TRUTHS[self.name][0], age) + 60 * self.spread(age) * rng.normal(size=age.shape)

    def mean(self, age: Floats) -> Floats:
        return SHAPES[TRUTHS[self.name][1]](age)

    def phenotypes(self, age: Floats, rng: np.random.Generator, count: int = PANEL) -> Floats:
        """Return float64 (animals, count), independent of each other and of the gap at given age."""
        return self.mean(age)[:, None] + self.spread(age)[:, None] * rng.normal(size=(len(age), count))


def p_values(phenotypes: Floats, matrix: Floats, robust: bool) -> Floats:
    """Return the p of the second column for each phenotype by least squares, with HC3 or the usual errors."""
    freedom = matrix.shape[0] - matrix.shape[1]
    basis, upper = np.linalg.qr(matrix)
    row = np.linalg.inv(upper)[1] @ basis.T
    left = phenotypes - basis @ (basis.T @ phenotypes)
    if robust:
        leverage = (basis**2).sum(axis=1)
        variance = ((row / (1 - leverage)) ** 2) @ left**2
    else:
        variance = (row @ row) * (left**2).sum(axis=0) / freedom
    found: Floats = 2 * stats.t.sf(np.abs(row @ phenotypes) / np.sqrt(variance), freedom)
    return found


def studies(truth: Truth, animals: int, count: int, seed: int) -> Iterator[tuple[pd.DataFrame, Floats]]:
    """Yield `count` studies: a row an animal with age_days, sex and gap_days, and its phenotypes (animals, PANEL)."""
    rng = np.random.default_rng([seed, animals])
    for _ in range(count):
        age = rng.uniform(YOUNGEST, OLDEST, animals)
        table = pd.DataFrame({"age_days": age, "sex": rng.choice(["F", "M"], animals), "gap_days": truth.gap(age, rng)})
        yield table, truth.phenotypes(age, rng)


def false_positives(truth: Truth, animals: int, phenotypes: int, seed: int, term: AgeTerm, robust: bool) -> float:
    """Return the share of null phenotypes with p < 0.05 in a linear model with the product's covariates."""
    found = []
    for table, values in studies(truth, animals, -(-phenotypes // PANEL), seed):
        matrix = design(table, "gap_days", ["age_days", "sex"], term)
        found.append(p_values(values, matrix.to_numpy(), robust))
    return float((np.concatenate(found) < 0.05).mean())


def cohort(truth: Truth, animals: int, rng: np.random.Generator, exams: int = 1) -> Cohort:
    """Return a cohort of null columns: p (numbers), b (no, yes), arm (given to the old more often), days and died.

    exams: examinations of each animal, 60 days apart; gap and phenotype then have a part that is the animal's.
    """
    first = rng.uniform(YOUNGEST, OLDEST - 60 * (exams - 1), animals)
    rows = np.repeat(np.arange(animals), exams)
    age = first[rows] + 60.0 * np.tile(np.arange(exams), animals)
    own = [rng.normal(size=animals)[rows] if exams > 1 else 0.0 for _ in range(2)]
    high = truth.mean(age)
    table = pd.DataFrame(
        {
            "subject": [f"a{number}" for number in rows],
            "cage": "",
            "sex": np.array(["F", "M"])[rows % 2],
            "age_days": age,
            "gap_days": truth.gap(age, rng) + 60 * truth.spread(age) * own[0],
            "p": truth.phenotypes(age, rng, 1)[:, 0] + truth.spread(age) * own[1],
            "b": np.where(rng.random(len(age)) < 1 / (1 + np.exp(1.5 - high)), "yes", "no"),
            "arm": np.where(rng.random(len(age)) < 0.2 + 0.6 * high / high.max(), "drug", "control"),
            "days": rng.exponential(300 * np.exp(-high)),
            "died": "died",
        }
    )
    table["baseline_gap_days"], table["baseline_age_days"] = table["gap_days"], table["age_days"]
    table["baseline_last_days"] = table["age_days"]
    readings = table[["subject", "cage", "sex", "age_days", "gap_days"]]
    return Cohort("null", readings, table, "null.csv", exams > 1, 0, [])


def over_time(truth: Truth, animals: int, rng: np.random.Generator, exams: int = 6, slopes: float = 1.0) -> Cohort:
    """Return a cohort of animals examined over 400 days, whose gap and phenotype p drift at rates of their own.

    slopes: SD of the animals' rates, of the animals' level in 200 days; nothing of p goes with the gap.
    """
    first = rng.uniform(YOUNGEST, OLDEST - 400, animals)
    rows = np.repeat(np.arange(animals), exams)
    age = first[rows] + np.tile(np.linspace(0, 400, exams), animals)
    years = (np.tile(np.linspace(-200, 200, exams), animals)) / 200

    def own() -> Floats:
        level, rate, noise = rng.normal(size=animals), slopes * rng.normal(size=animals), rng.normal(size=len(age))
        found: Floats = truth.spread(age) * (level[rows] + years * rate[rows] + 0.6 * noise)
        return found

    table = pd.DataFrame(
        {
            "subject": [f"a{number:03d}" for number in rows],
            "cage": "",
            "sex": np.array(["F", "M"])[rows % 2],
            "age_days": age,
            "gap_days": _gap(TRUTHS[truth.name][0], age) + 60 * own(),
            "p": truth.mean(age) + own(),
        }
    )
    readings = table[["subject", "cage", "sex", "age_days", "gap_days"]]
    return Cohort("null", readings, table, "null.csv", True, 0, [])


OVER_TIME = tuple((uneven, animals) for uneven in (False, True) for animals in (8, 12, 20, 30))
"""Rows of the campaign over time: does the spread grow with age, and how many animals."""


def false_positives_over_time(uneven: bool, animals: int, count: int, seed: int, slopes: float = 1.0) -> float:
    """Return the share of null studies over time with p < 0.05, by the product itself."""
    rng = np.random.default_rng([seed, animals, 11])
    gc.freeze()
    plan = AnalysisPlan(continuous=("p",))
    found = [
        associate(over_time(Truth("plateau", uneven), animals, rng, slopes=slopes), plan, 60.0)[0].effect.p
        for _ in range(count)
    ]
    return float((np.array(found) < 0.05).mean())


KINDS: dict[str, tuple[AnalysisPlan, int]] = {
    "linear": (AnalysisPlan(continuous=("p",)), 1),
    "binary": (AnalysisPlan(binary=("b",)), 1),
    "treatment": (AnalysisPlan(treatment="arm"), 1),
    "survival": (AnalysisPlan(survival=(("days", "died", None),), follow_up=True), 1),
    "examinations": (AnalysisPlan(continuous=("p",)), 3),
}

ROWS: tuple[tuple[str, bool, int, AgeTerm], ...] = (
    ("straight", False, 60, "spline"),
    ("exponential", False, 60, "spline"),
    ("exponential", False, 200, "linear"),
    ("exponential", False, 200, "spline"),
    ("exponential", True, 200, "spline"),
)


def false_positives_of(kind: str, truth: Truth, animals: int, studies: int, seed: int, term: AgeTerm) -> float:
    """Return the share of null studies with p < 0.05 by the product itself."""
    plan, exams = KINDS[kind]
    gc.freeze()  # statsmodels' multipletests collects garbage at each call: over all that was imported, else
    rng = np.random.default_rng([seed, animals, 7])
    found = [
        associate(cohort(truth, animals, rng, exams), replace(plan, age_term=term), 60.0)[0].effect.p
        for _ in range(studies)
    ]
    return float((np.array(found) < 0.05).mean())


def _print_over_time(count: int, seed: int) -> None:
    print(
        f"{count} studies a row\n\n| animals | spread | own slopes | none |\n| ---: | --- | ---: | ---: |", flush=True
    )
    for uneven, animals in OVER_TIME:
        rates = [false_positives_over_time(uneven, animals, count, seed, slopes) for slopes in (1.0, 0.0)]
        print(f"| {animals} | {'grows' if uneven else 'even'} | {rates[0]:.1%} | {rates[1]:.1%} |", flush=True)


def main() -> None:
    """Print the whole campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--phenotypes", type=int, default=10_000, help="a cell of the table (default 10000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--over-time", action="store_true", help="only the table of examinations over time")
    chosen = parser.parse_args()
    if chosen.over_time:
        _print_over_time(max(20, chosen.phenotypes // 10), chosen.seed)
        return
    print("| truth | spread | animals | line, usual errors | line, HC3 | spline, usual errors | spline, HC3 |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    ways: list[tuple[AgeTerm, bool]] = [("linear", False), ("linear", True), ("spline", False), ("spline", True)]
    for uneven in (False, True):
        for name in list(TRUTHS)[:3]:
            for animals in SIZES:
                rates = [
                    false_positives(Truth(name, uneven), animals, chosen.phenotypes, chosen.seed, term, robust)
                    for term, robust in ways
                ]
                cells = " | ".join(f"{rate:.1%}" for rate in rates)
                print(f"| {name} | {'grows' if uneven else 'even'} | {animals} | {cells} |", flush=True)
    few = max(20, chosen.phenotypes * 3 // 100)
    print(f"\n{few} studies a row:\n\n| model | truth | spread | animals | age term | false positives |")
    print("| --- | --- | --- | ---: | --- | ---: |", flush=True)
    for kind in ("binary", "treatment", "survival", "examinations"):
        for name, uneven, animals, term in ROWS:
            rate = false_positives_of(kind, Truth(name, uneven), animals, few, chosen.seed, term)
            spread = "grows" if uneven else "even"
            print(f"| {kind} | {name} | {spread} | {animals} | {term} | {rate:.1%} |", flush=True)


if __name__ == "__main__":
    main()
