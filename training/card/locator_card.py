"""The card of a bundle whose locator is one's own and whose age model is another bundle's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import CARD
from training.bundle.label import Label

_FIGURES = {
    "held_out_frames": "held-out frames",
    "mean_error_px": "mean distance, px",
    "median_error_px": "median distance, px",
    "root_mean_square_px": "root mean square of the distance, px",
    "centre_threshold": "likelihood from which on a peak of the first stage is an animal",
    "centre_recall": "animals found by the first stage (share)",
    "centre_precision": "of what it finds, animals (share)",
    "centre_error_px": "distance of its centres, px of the 160 x 120 view",
    "picture_px_per_crop_px": "pixels of the picture for one of the crop",
}


def locator_card(label: Label, source: Bundle, figures: Mapping[str, float], project: Path, animals: int) -> str:
    """Return the card: front matter as Hugging Face reads it, the locator, then the age model's own card, whole.

    figures: those of the held-out frames, as `locator` prints them; animals: labelled ones, held-out ones among them.
    """
    manifest = source.manifest
    parts = [name.removeprefix("mean_error_px_") for name in figures if name.startswith("mean_error_px_")]
    lines = [
        *_front_matter(label, figures, project),
        f"# {label.name} {label.model_version}",
        "",
        f"**{label.notice}**",
        "",
        f"Finds animals in a view from above and marks {', '.join(parts)}. The age model is that of {manifest.name} "
        f"{manifest.model_version}; its card follows below.",
        "",
        "## The locator",
        "",
        f"Two stages of plain 3x3 convolutions, int8, trained on {animals} labelled animals of the DeepLabCut project "
        f"`{project.name}`, four frames of five. The figures are of the other fifth: frames of the same recordings, so "
        "that another camera, cage, light or coat is not among them. Whether it works there, labelled frames from "
        "there tell (`cageclock-train locator-report`, `cageclock locate`).",
        "",
        "| on held-out frames, int8 | |",
        "| --- | ---: |",
        *(f"| {text} | {figures[name]:.4g} |" for name, text in _FIGURES.items() if name in figures),
        *(f"| mean distance of {part}, px | {figures[f'mean_error_px_{part}']:.4g} |" for part in parts),
        "",
        "The likelihood of a part is the probability that it is visible and within 3 mm, fitted on these frames.",
        "",
        "**Not for** telling individuals apart, and not for ages of animals unlike those of the age model: its domain "
        "score was set on its own animals, seen through its own locator.",
        "",
        f"# The age model: {manifest.name} {manifest.model_version}",
        "",
        _below(source.files[CARD].decode()),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _front_matter(label: Label, figures: Mapping[str, float], project: Path) -> list[str]:
    names = ("mean_error_px", "median_error_px", "root_mean_square_px")
    return [
        "---",
        'license: "other"',
        "library_name: tflite",
        "tags: [mouse, keypoint-detection, int8, own-animals]",
        f"model_version: {json.dumps(label.model_version)}",
        "model-index:",
        f"  - name: {json.dumps(label.name)}",
        "    results:",
        "      - task: {type: keypoint-detection, name: body parts from a picture}",
        f"        dataset: {{type: own animals, name: {json.dumps(f'held-out frames of {project.name}')}}}",
        "        metrics:",
        *(f"          - {{type: {name}, value: {figures[name]:.6g}}}" for name in names),
        "---",
        "",
    ]


def _below(card: str) -> str:
    """Return a card's text without its front matter and title, its headings one level lower."""
    text = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    text = re.sub(r"\A\s*# [^\n]*\n+", "", text)
    return re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE)
