"""The card of one's own locator holds its figures, and the age model's card whole."""

from __future__ import annotations

from pathlib import Path

import yaml

from edge.contract.manifest import CARD
from training.bundle.label import Label
from training.bundle.trusted import age_source
from training.card.locator_card import locator_card

FIGURES = {
    "held_out_frames": 18.0,
    "mean_error_px": 1.734,
    "median_error_px": 1.44,
    "root_mean_square_px": 2.15,
    "mean_error_px_snout": 1.92,
    "mean_error_px_tailbase": 1.37,
    "centre_recall": 1.0,
}


def test_figures_and_the_age_models_card_are_in_it() -> None:
    """One front matter that YAML reads, one title; every heading of the age model's card, a level lower."""
    source = age_source(None)
    label = Label("own-locator", "0.1.0", 1, source.manifest.notice, "own")
    text = locator_card(label, source, FIGURES, Path("/somewhere/my-project"), 92)
    _, front, body = text.split("---\n", 2)
    results = yaml.safe_load(front)["model-index"][0]["results"][0]
    assert results["metrics"][0] == {"type": "mean_error_px", "value": 1.734}
    assert results["dataset"]["name"] == "held-out frames of my-project"
    assert "| mean distance of tailbase, px | 1.37 |" in body
    assert "marks snout, tailbase" in body
    assert "/somewhere" not in text
    assert source.manifest.notice in body
    headings = [line for line in source.files[CARD].decode().splitlines() if line.startswith("#")][1:]
    assert len(headings) > 20
    assert [line for line in body.splitlines() if line.startswith("##")][1:] == [f"#{line}" for line in headings]
