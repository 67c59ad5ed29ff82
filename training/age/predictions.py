"""RUN/predictions.csv: what the int8 model says of every held-out reading, beside what is known of the animal.

`associate` and `power` read it. Accuracy is stated from `predicted_days` only: `corrected_gap_days` needs the true age,
and a model does not get better by being given the answer (Butler et al., 2021, PMC8357007).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.contract.manifest import Age, Domain, Intervals, Validity
from edge.vision.acceptance import reject_reasons
from edge.vision.estimate import interval_of
from training.age.calibrate import domain_scores
from training.age.fit import distributions
from training.age.metrics import spread_of
from training.run import PREDICTIONS, Run

FILE = "predictions.csv"


def predict(
    table: pd.DataFrame,
    int8: NDArray[np.float32],
    float32: NDArray[np.float32],
    spec: Age,
    domain: Domain,
    intervals: tuple[Intervals, ...],
    validity: Validity,
) -> pd.DataFrame:
    """Return the table of crops (n rows) with the columns that the model adds.

    int8, float32: embeddings (n, size) of both networks. predicted_days, predicted_days_float32, sd_days, gap_days
    (raw, predicted - age), low_90_days and high_90_days for one reading, domain_score (above 1 is out of domain),
    accepted, and reject_reasons as the device names them.
    """
    bins = np.array(spec.bin_centres_days)
    probabilities = distributions(int8, spec)
    predicted = probabilities @ bins
    reading = next(entry for entry in intervals if entry.unit == "reading")
    bounds = np.array([interval_of(float(age), reading) for age in predicted]).reshape(-1, 2)
    found = table.reset_index(drop=True).copy()
    found["predicted_days"] = predicted
    found["predicted_days_float32"] = distributions(float32, spec) @ bins
    found["sd_days"] = spread_of(probabilities, bins)
    found["gap_days"] = found["predicted_days"] - found["age_days"]
    found["low_90_days"], found["high_90_days"] = bounds[:, 0], bounds[:, 1]
    found["domain_score"] = domain_scores(int8, domain)
    judged = zip(found["domain_score"], found["sd_days"], strict=True)
    reasons = [" ".join(reject_reasons(float(score), float(sd), validity)) for score, sd in judged]
    found["accepted"] = np.array([not text for text in reasons], np.bool_)
    found["reject_reasons"] = reasons
    return found


def with_corrected_gap(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `corrected_gap_days`: the gap less its straight line over age on the calibration animals.

    Regression to the mean makes the young look older and the old younger; the line is fitted on one mean an animal.
    """
    held = table[(table["split"] == "calibration") & table["accepted"]]
    means = held.groupby("subject")[["age_days", "gap_days"]].mean()
    found = table.copy()
    if len(means) < 3 or means["age_days"].std() == 0:
        found["corrected_gap_days"] = np.nan
        return found
    slope, level = np.polyfit(means["age_days"], means["gap_days"], 1)
    found["corrected_gap_days"] = found["gap_days"] - (slope * found["age_days"] + level)
    return found


def write(run: Run, table: pd.DataFrame) -> Path:
    """Write RUN/predictions.csv whole and return its path."""
    with run.writing(PREDICTIONS) as half:
        table.round(4).to_csv(half, index=False)
    return run.path(PREDICTIONS)
