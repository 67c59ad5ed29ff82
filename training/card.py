"""The model card that every bundle carries, in the form used on Hugging Face."""

from __future__ import annotations

from collections.abc import Mapping

from training.pack import Calibration, Label


def model_card(label: Label, metrics: Mapping[str, float], calibration: Calibration) -> str:
    """Return the card as Markdown with its YAML front matter; figures come from the report."""
    validity = calibration.validity
    training = calibration.training
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in metrics.items())
    return f"""---
license: apache-2.0
library_name: tflite
tags: [ageing-clock, mouse, keypoint-detection, int8]
---

# {label.name} {label.model_version}

**{label.notice}**

## What it does

Finds mice in a top view, marks snout, ears and tail base, and estimates how old each animal looks from an aligned
crop of 96 x 40 mm at 4 px/mm, as a distribution over ages.

## What it is for, and what not

It shows that the whole path works. It knows the appearance of simulated mice of strain {", ".join(validity.strains)},
aged
{validity.min_age_days:.0f} to {validity.max_age_days:.0f} days, in white light and infrared. It is not for real
animals: their
pictures are outside its domain, and the device then gives no age.

## Training data

{training.get("train_animals")} simulated animals for training, {training.get("calibration_animals")} for calibration,
{training.get("test_animals")} for the figures below; split by cage, so that no animal and no cage mate is on two sides.

## Figures on held-out simulated animals (days; int8 network, as on the device)

| figure | value |
| --- | ---: |
{rows}

`mae_ratio` is against always guessing the training animals' median age; the best that the visible appearance allows
is about
0.4. Ages are raw: no correction for regression to the mean (`gap_slope` shows it).
"""
