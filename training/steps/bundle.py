"""The last step: a run's networks, figures and model card, signed; of simulated and of own animals."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from edge.contract.manifest import AGE
from edge.errors import OperatorError
from training.age.data import age_data
from training.bundle.label import OWN_NOTICE, Label
from training.bundle.ledger import NAME as LEDGER
from training.bundle.pack import pack_run, signing_key
from training.crops.split import split_by_group
from training.crops.table import TRUTH
from training.locator.golden_inputs import age_samples, locator_samples, take_locator
from training.report.write import overall
from training.run import CALIBRATION, CROP_TABLE, EVALUATED, REPORT, Calibration, Run


@dataclass(frozen=True, slots=True)
class Given:
    """What a person gives beside the run: where its locator comes from, the answers for the card, how it is signed.

    ledger: counts the releases; None for the run's own.
    """

    locator: Path | None = None
    answers: Path | None = None
    passphrase_file: Path | None = None
    ledger: Path | None = None


def is_simulated(run: Run) -> bool:
    """Return whether the run's crops are of simulated mice: only those have columns of latents.

    An older simulation has no table yet, and a run without anything counts as one: its steps say what to run first.
    """
    if not run.has(CROP_TABLE):
        return True
    with run.path(CROP_TABLE).open(newline="", encoding="utf-8") as file:
        return any(name.startswith(TRUTH) for name in next(csv.reader(file), []))


def label_of(run: Run, name: str | None, model_version: str, release: int | None) -> Label:
    """Return the label: notice, channel and, where none is given, the name follow from whose animals the run holds."""
    if is_simulated(run):
        return Label(name or "cageclock-demo", model_version, release)
    return Label(name or "own-animals", model_version, release, OWN_NOTICE, "own")


def bundle(run: Run, out: Path, label: Label, key: Path | None, seed: int = 1, given: Given | None = None) -> str:
    """Sign and write the run's bundle; return its SHA-256. key: None leaves it for `bundle sign`.

    Raises:
        OperatorError: a step before this one is missing or of another network, or the card lacks required answers.
    """
    from training.card.write import make_card

    given = given or Given()
    data = age_data(run, seed)
    _check_report_is_current(run)
    calibration = run.read_struct(CALIBRATION, Calibration)
    # The animals were divided by the seed of `quantise`; another one here would tell of another split.
    recorded = calibration.training.get("seed")
    seed = recorded if isinstance(recorded, int) else seed
    if given.locator is not None:
        take_locator(run, given.locator)
    samples = locator_samples(run)
    test = split_by_group(data.group, seed).test
    inputs = {"centres": samples.views, "parts": samples.crops, "age": age_samples(data.crops, test)}
    metrics = overall(run.read_json(REPORT))
    card = make_card(run, label, metrics, calibration, samples.origin, given.answers, seed)
    if card.unanswered:
        print("model card: not answered: " + ", ".join(f"{item.key} ({item.number})" for item in card.unanswered))
    pem = None if key is None else signing_key(key, given.passphrase_file)
    return pack_run(run, out, label, inputs, metrics, card.text, pem, given.ledger or run.path(LEDGER))


def _check_report_is_current(run: Run) -> None:
    """Raise OperatorError where the report speaks of another network: no model is signed with another one's figures."""
    if not run.has(REPORT):
        raise OperatorError(f"{run.path(REPORT)}: a bundle is signed with its figures; run evaluate first")
    network = run.sha256(AGE)
    evaluated = run.read_json(EVALUATED).get(AGE) if run.has(EVALUATED) else None
    if evaluated != network:
        raise OperatorError(
            f"{run.path(REPORT)}: its figures are of another age.tflite than {run.path(AGE)}; run evaluate again"
        )
