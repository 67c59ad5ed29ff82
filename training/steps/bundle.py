"""The last step: a run's networks, figures and model card, signed; of simulated and of own animals."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from edge.contract.manifest import AGE
from edge.errors import OperatorError
from training.age.data import age_data
from training.bundle.pack import Calibration, Label, load_struct, pack_run, signing_key
from training.crops.split import split_by_group
from training.crops.table import TRUTH
from training.locator.golden_inputs import age_samples, locator_samples, take_locator
from training.report.write import overall
from training.steps.all import EVALUATED, OWN_NOTICE


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gives beside the run: where its locator comes from, and the answers for the card."""

    locator: Path | None = None
    answers: Path | None = None


def is_simulated(run: Path) -> bool:
    """Return whether the run's crops are of simulated mice: only those have columns of latents.

    An older simulation has no table yet, and a run without anything counts as one: its steps say what to run first.
    """
    if not (run / "crops.csv").exists():
        return True
    with (run / "crops.csv").open(newline="", encoding="utf-8") as file:
        return any(name.startswith(TRUTH) for name in next(csv.reader(file), []))


def label_of(run: Path, name: str | None, model_version: str, release: int) -> Label:
    """Return the label: notice, channel and, where none is given, the name follow from whose animals the run holds."""
    if is_simulated(run):
        return Label(name or "cageclock-demo", model_version, release)
    return Label(name or "own-animals", model_version, release, OWN_NOTICE, "own")


def bundle(run: Path, out: Path, label: Label, key: Path, seed: int = 1, given: Given | None = None) -> str:
    """Sign and write the run's bundle; return its SHA-256.

    Raises:
        OperatorError: a step before this one is missing or of another network, or the card lacks required answers.
    """
    from training.card.write import make_card

    given = given or Given()
    data = age_data(run, seed)
    _check_report_is_current(run)
    calibration = load_struct(run / "calibration.json", Calibration)
    # The animals were divided by the seed of `quantise`; another one here would tell of another split.
    recorded = calibration.training.get("seed")
    seed = recorded if isinstance(recorded, int) else seed
    if given.locator is not None:
        take_locator(run, given.locator)
    samples = locator_samples(run)
    test = split_by_group(data.group, seed).test
    inputs = {"centres": samples.views, "parts": samples.crops, "age": age_samples(data.crops, test)}
    metrics = overall(json.loads((run / "report.json").read_text()))
    card = make_card(run, label, metrics, calibration, samples.origin, given.answers, seed)
    if card.unanswered:
        print("model card: not answered: " + ", ".join(f"{item.key} ({item.number})" for item in card.unanswered))
    return pack_run(run, out, label, inputs, metrics, card.text, signing_key(key))


def _check_report_is_current(run: Path) -> None:
    """Raise OperatorError where the report speaks of another network: no model is signed with another one's figures."""
    if not (run / "report.json").exists():
        raise OperatorError(f"{run / 'report.json'}: a bundle is signed with its figures; run evaluate first")
    if not (run / AGE).exists():
        raise OperatorError(f"{run / AGE}: there is no int8 age model; run `cageclock-train quantise` first")
    path = run / EVALUATED
    told = json.loads(path.read_text()).get(AGE) if path.exists() else None
    if told != hashlib.sha256((run / AGE).read_bytes()).hexdigest():
        raise OperatorError(
            f"{run / 'report.json'}: its figures are of another age.tflite than {run / AGE}; run evaluate again"
        )
