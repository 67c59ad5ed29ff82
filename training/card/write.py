"""The model card as Markdown: front matter as Hugging Face reads it, then every item of TRIPOD+AI under its heading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.errors import OperatorError
from training.bundle.label import Label
from training.card.answers import DEMO, LICENSE, missing_required, read_answers
from training.card.evidence import Evidence, gather
from training.card.from_data import answers_from
from training.card.items import ITEMS, SECTIONS, Item
from training.run import Calibration, Run

UNANSWERED = "Not answered."


@dataclass(frozen=True, slots=True)
class Card:
    """The card's text and the items that nobody and nothing answered."""

    text: str
    unanswered: tuple[Item, ...]


def make_card(
    run: Run,
    label: Label,
    metrics: Mapping[str, float],
    calibration: Calibration,
    locator: str,
    answers: Path | None = None,
    seed: int = 1,
) -> Card:
    """Return the card of a run's model, from its files and a person's answers (YAML); locator: where it came from.

    Raises:
        OperatorError: the answers cannot be used, or a required one is missing and the animals are not simulated.
    """
    found = gather(run, label, metrics, calibration, locator, seed)
    stated = ({**DEMO} if found.simulated else {}) | read_answers(answers)
    missing = [] if found.simulated else missing_required(stated)
    if missing:
        keys = ", ".join(f"{item.key} ({item.number})" for item in missing)
        where = answers or "--card-answers"
        raise OperatorError(
            f"{where}: a bundle of own animals is signed with answers to {keys}, which are missing; write them into a "
            "YAML file (`cageclock-train card-template --out FILE`) and give it with --card-answers FILE"
        )
    known = answers_from(found)
    unanswered = tuple(item for item in ITEMS if item.key not in stated and item.key not in known)
    return Card(_markdown(found, stated, known), unanswered)


def _markdown(found: Evidence, stated: Mapping[str, str], known: Mapping[str, str]) -> str:
    label = found.label
    parts = [
        _front_matter(found, stated.get(LICENSE, "other")),
        f"# {label.name} {label.model_version}",
        f"**{label.notice}**",
        "Finds mice in a view from above, marks their body parts, and estimates how old each looks, as a distribution "
        "over ages in days. The numbers are those of the TRIPOD+AI items (Collins et al., BMJ 2024;385:e078378).",
    ]
    for section in SECTIONS:
        parts.append(f"## {section}")
        parts += [_answer(item, stated, known) for item in ITEMS if item.section == section]
    parts.append("## TRIPOD+AI checklist")
    rows = [f"| {item.number} | {item.title} | {item.section} | {_by(item, stated, known)} |" for item in ITEMS]
    parts.append("\n".join(["| item | what | heading | answered from |", "| --- | --- | --- | --- |", *rows]))
    return "\n\n".join(parts) + "\n"


def _answer(item: Item, stated: Mapping[str, str], known: Mapping[str, str]) -> str:
    """Return an item's heading and answer: what a person answered first, what the data say below it."""
    given = [answers[item.key] for answers in (stated, known) if item.key in answers]
    return f"### {item.title} ({item.number})\n\n" + ("\n\n".join(given) or UNANSWERED)


def _by(item: Item, stated: Mapping[str, str], known: Mapping[str, str]) -> str:
    names = [name for name, answers in (("people", stated), ("the run's files", known)) if item.key in answers]
    return " and ".join(names) or "**not answered**"


def _front_matter(found: Evidence, licence: str) -> str:
    """Return the YAML that Hugging Face reads; every text of ours is a JSON string, which is YAML."""
    label = found.label
    kind = "simulated cages" if found.simulated else "own animals"
    figures = {name: found.metrics[name] for name in ("mae_days", "mae_ratio", "coverage_90") if name in found.metrics}
    lines = [
        "---",
        f"license: {json.dumps(licence)}",
        "library_name: tflite",
        f"tags: [ageing-clock, mouse, keypoint-detection, int8, {'simulated' if found.simulated else 'own-animals'}]",
        f"model_version: {json.dumps(label.model_version)}",
        "model-index:",
        f"  - name: {json.dumps(label.name)}",
        "    results:",
        "      - task: {type: other, name: chronological age from a picture}",
        f"        dataset: {{type: {json.dumps(kind)}, name: {json.dumps(f'{kind}, held-out test animals')}}}",
        "        metrics:",
        *(f"          - {{type: {name}, value: {value:.6g}}}" for name, value in figures.items()),
        "---",
    ]
    return "\n".join(lines if figures else [*lines[:5], "---"])
