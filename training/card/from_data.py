"""Answers that the run's own files give, by the items' keys, as Markdown."""

from __future__ import annotations

import pandas as pd

from training.card.describe import (
    characteristics,
    comparison,
    count_animals,
    counts,
    fairness,
    figure_table,
    known_age,
    listed,
    missing,
    quantiles,
    real_units,
    setting,
    treatments,
)
from training.card.evidence import Evidence
from training.card.figures import FEWEST_CAGES, figures_of, spread_between_cages
from training.few_units import in_words

_WORTH_KNOWING = ("age_days", "subject", "sex", "strain", "cage", "light", "captured_at", "weight_g")


def answers_from(found: Evidence) -> dict[str, str]:
    """Return the answers; an item that the files cannot answer is left out."""
    return {**_animal_answers(found), **_input_answers(found), **_method_answers(found), **_result_answers(found)}


def _animal_answers(found: Evidence) -> dict[str, str]:
    table, aged, label = found.table, found.aged, found.label
    shares = {name: float(missing(table[name]).mean()) for name in _WORTH_KNOWING}
    some = [f"{name} {share:.0%}" for name, share in shares.items() if share > 0]
    strains = ", ".join(sorted(set(aged["strain"]) - {""})) or "not given"
    return {
        **_dates(found),
        "title": f"{label.name} {label.model_version}: development and internal evaluation of a model that predicts "
        f"the chronological age, in days, of {found.animals} (strain {strains}) from a picture from above.",
        "objectives": "Both: a model is developed, and evaluated on held-out animals of the same collection (internal "
        "evaluation). No other collection was used.",
        "outcome": "Chronological age in days at the moment of the picture: "
        + ("known exactly from the simulation." if found.simulated else known_age(aged)),
        "outcome_assessors": "None: an age is a difference of two dates.",
        "outcome_blinding": "The ages were known before the model was trained.",
        "sample_size": f"{counts(found)}. Every picture with a known age is used; the files record no calculation of a "
        "sample size.",
        "missing_data": "Missing, share of the pictures: " + (", ".join(some) or "nothing") + ". A picture without a "
        "known age is not used. Nothing is imputed: the picture is the only input. Where no cage is given, the animal "
        "counts as housed alone.",
        "setting": setting(table),
        "treatments": treatments(table),
        "flow": f"{len(table)} pictures of {count_animals(table)} animals; {len(aged)} of {count_animals(aged)} with a "
        f"known age, {len(table) - len(aged)} pictures without one, which are left out.",
        "characteristics": characteristics(aged),
        "comparison": comparison(found),
        "differences": f"The sets are random parts of one collection, in other cages. {comparison(found)}",
        "imbalance": "The outcome is continuous. Ages of training animals, days: "
        f"{quantiles(aged['age_days'][found.split.train])}. Nothing was reweighted.",
    }


def _dates(found: Evidence) -> dict[str, str]:
    times = pd.to_datetime(found.table["captured_at"], utc=True).dropna()
    if found.simulated:
        return {"dates": "Simulated dates; no animal was photographed."}
    if not len(times):
        return {}
    known = f"of {len(times)} of {len(found.table)} pictures"
    return {"dates": f"{times.min():%Y-%m-%d} to {times.max():%Y-%m-%d} ({known})."}


def _input_answers(found: Evidence) -> dict[str, str]:
    age, validity = found.age, found.calibration.validity
    return {
        "output": "A distribution over ages, its mean in days, a 90% conformal interval (for a reading; bands for an "
        "animal-day and an animal-week are in the manifest) and a domain score; no age where the score is above 1 or "
        f"the distribution's standard deviation above {validity.max_sd_days:.0f} days.",
        "data_preparation": "Both ends of the animal are found by the locator or given with the picture; the crop is "
        f"turned so that the snout is to the right and resampled to a fixed scale. The locator: {found.locator}.",
        "predictor_choice": "The aligned crop is the only predictor; no covariate (sex, weight, strain) enters.",
        "predictors": f"Grey values of one aligned crop from above, {age.width} x {age.height} px at "
        f"{age.px_per_mm:g} px/mm, taken at one moment.",
        "predictor_assessors": "None: pictures are cut by a program.",
        "predictor_handling": "Grey values are only shifted to int8; augmentation in training only.",
        "poor_input": "The device gives no age, with the reason, where the picture is poor, no animal is found, body "
        "parts are hidden, the light was not trained on, the crop is out of domain or the estimate too uncertain.",
        "user_skills": "The camera is set up and its scale measured once; afterwards nobody chooses or cuts pictures. "
        "Users must be able to read an interval and an abstention.",
        "code_sharing": "The code of CageClock, Apache-2.0; docs/training.md names every step.",
    }


def _method_answers(found: Evidence) -> dict[str, str]:
    training, intervals = found.calibration.training, found.calibration.intervals
    units = min(entry.animals for entry in intervals)
    return {
        "specification": "Networks (int8, TFLite), head, temperature, intervals and domain stand in the bundle's "
        f"signed manifest and its parts. Recorded in training: {listed(training)}.",
        "model_building": f"A convolutional network of kind {training.get('network', 'not recorded')} with a "
        f"{training.get('head', 'distribution')} head; initial weights {training.get('weights', 'not recorded')}; seed "
        f"{training.get('seed', found.seed)}. Everything that was recorded stands under Specification.",
        "use_of_data": "Split by cage (by animal where each lives alone), at random: training, calibration, test. "
        f"{counts(found)}. No animal and no cage mate is on two sides; nothing was fitted on the test animals.",
        "recalibration": "On the calibration animals: temperature (Guo et al., 2017), 90% intervals (split conformal, "
        f"{units} exchangeable units: cages, or animals where each lives alone) and the domain's threshold. "
        f"{in_words(intervals, 'units')} {real_units(training)}",
        "calculation": "By the int8 network as on the device, once for each held-out picture; raw, without correction "
        "for regression to the mean.",
        "clusters": "Cages are never divided; intervals of figures draw whole cages. The model has no term for a cage "
        "or site.",
        "measures": "Mean absolute error in days, also against always guessing the training median; coverage and width "
        "of the 90% interval; slope of the gap over age; correlation. 95% intervals by bootstrap of cages, where there "
        f"are at least {FEWEST_CAGES}.",
    }


def _result_answers(found: Evidence) -> dict[str, str]:
    began = found.calibration.training.get("weights", "none")
    updating = "No existing model was updated." if began == "none" else f"Training began from the weights {began}."
    answers = {"analysed": f"{counts(found)}.", "updating": updating}
    report = "\n".join(f"| {name} | {value:.4g} |" for name, value in found.metrics.items())
    plain = f"From report.json (days; int8 network):\n\n| figure | value |\n| --- | ---: |\n{report}"
    if found.predictions is None or not (found.predictions["split"] == "test").any():
        answers["performance"] = f"{plain}\n\nWithout predictions.csv there are no intervals."
        return answers
    figures = figures_of(found.predictions, found.seed)
    answers["performance"] = f"{figure_table(figures)}\n\n{plain}"
    answers["fairness"] = fairness(figures)
    spread = spread_between_cages(found.predictions)
    answers["heterogeneity"] = (
        f"Mean gap (predicted - age) of {spread[2]} test cages: 80% between {spread[0]:.1f} and {spread[1]:.1f} days."
        if spread
        else f"Fewer than {FEWEST_CAGES} test cages: no statement is possible."
    )
    return answers
