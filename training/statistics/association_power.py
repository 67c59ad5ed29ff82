"""How many animals `associate` needs to see that a phenotype goes with the age gap."""

from __future__ import annotations

import json
from bisect import bisect_left
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from edge.errors import OperatorError
from training.statistics.age_term import QUANTILES, AgeTerm
from training.statistics.errors import ErrorModel
from training.statistics.power import MOST_ANIMALS, READINGS
from training.statistics.studies import Design


def columns_of(animals: int, term: AgeTerm) -> int:
    """Return how many columns the model has besides the gap: intercept, sex and the age term."""
    knots = next((len(found) for least, found in QUANTILES if animals >= least), 2) if term == "spline" else 2
    return 1 + 1 + (knots - 1)


def association_power(
    errors: ErrorModel, design: Design, correlation: float, animals: int, term: AgeTerm = "spline"
) -> float:
    """Return the power of the two-sided 5% test of a linear model's gap (noncentral t).

    correlation: of the phenotype with the animals' own gap, at given age and sex. The mean of an animal's readings
    knows that gap with an error, which weakens the correlation; each column of the age term costs a degree of freedom;
    HC3 errors are wider by the leverage of the animals that tell most, (columns + 3) / animals for a normal gap.
    """
    pictures = max(1, design.readings_a_day) if errors.days_separable else 1
    noise = (errors.day_sd**2 + errors.reading_sd**2 / pictures) / max(1.0, design.readings * (1 - design.missed))
    own = errors.animal_sd**2
    seen = correlation * float(np.sqrt(own / (own + noise)))
    columns = columns_of(animals, term)
    freedom = animals - columns - 1
    leverage = (columns + 3) / animals
    if freedom < 1 or leverage >= 1:
        return 0.0
    shift = abs(seen) / np.sqrt(1 - seen**2) * np.sqrt((animals - columns) * (1 - leverage))
    edge = stats.t.ppf(0.975, freedom)
    if shift > edge + 8:  # scipy's noncentral t fails far out, where the power is 1 to eight digits anyway
        return 1.0
    return float(stats.nct.sf(edge, freedom, shift) + stats.nct.cdf(-edge, freedom, shift))


def plan_association(
    out: Path, errors: ErrorModel, design: Design, correlation: float, wanted: float, term: AgeTerm
) -> dict[str, Any]:
    """Write power.csv and power.json; return what stands in the latter.

    Raises:
        OperatorError: no number of animals and readings that is looked at suffices.
    """
    rows = []
    for readings in sorted({*READINGS, design.readings}):
        trial = Design(readings=readings, readings_a_day=design.readings_a_day, missed=design.missed)
        counts = range(5, MOST_ANIMALS + 1)
        at = bisect_left(counts, wanted, key=partial(association_power, errors, trial, correlation, term=term))
        need = counts[at] if at < len(counts) else None
        power = association_power(errors, trial, correlation, need, term) if need is not None else None
        rows.append({"readings": readings, "animals": need, "power": power})
    if all(row["animals"] is None for row in rows):
        raise OperatorError(f"power: {MOST_ANIMALS} animals do not show a correlation of {correlation:g}")
    figures = {
        "correlation": correlation,
        "power_wanted": wanted,
        "age_term": term,
        "animals": next(row["animals"] for row in rows if row["readings"] == design.readings),
        "readings": design.readings,
        "errors": errors.figures(),
        "table": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(out / "power.csv", index=False)
    (out / "power.json").write_text(json.dumps(figures, indent=1, default=float) + "\n")
    return figures
