"""The rule of acceptance: why an animal in view gives no age, each reason by name. Nothing else decides it.

Device, calibration and report ask the same functions; `edge.vision.observe` puts their answers together.
"""

from __future__ import annotations

import math
from typing import Literal

from edge.contract.manifest import Validity
from edge.contract.reading import Light, Reason
from edge.vision.frame import Frame
from edge.vision.locate import Located
from edge.vision.model.loaded import LoadedModel

CURLED_BELOW_MM = 45.0
"""Snout to tail base; an adult mouse that walks or stretches spans 65-100 mm (C57BL/6J from above)."""
HUDDLE_BELOW_MM = 40.0
"""Between two animals' centres: about one body width."""
ILLUMINATION: dict[Light, Literal["white", "infrared"]] = {Light.LIGHT: "white", Light.DARK: "infrared"}
"""By what the animals are lit in each phase: visible light in the dark phase would disrupt them."""


def reject_reasons(score: float, sd_days: float, validity: Validity) -> list[Reason]:
    """Return why an estimate is not accepted by its numbers alone, nothing where it is: the rule of device and report.

    score: of `domain_score`. sd_days: of the age distribution, days. A value at its limit is accepted.
    """
    reasons = []
    if score > 1:
        reasons.append(Reason.OUT_OF_DOMAIN)
    if sd_days > validity.max_sd_days:
        reasons.append(Reason.TOO_UNCERTAIN)
    return reasons


def not_covered(frame: Frame, model: LoadedModel, strain: str | None, light: Light) -> list[Reason]:
    """Return why the bundle is not validated for this cage at all, whatever the animal looks like."""
    validity, scale = model.manifest.validity, frame.px_per_mm
    reasons = []
    if scale is None:
        reasons.append(Reason.UNCALIBRATED_SCALE)
    elif scale < validity.min_px_per_mm:
        reasons.append(Reason.SCALE_TOO_COARSE)
    if strain is not None and strain not in validity.strains:
        reasons.append(Reason.STRAIN_NOT_COVERED)
    if light is not Light.UNKNOWN and ILLUMINATION[light] not in validity.lights:
        reasons.append(Reason.LIGHT_NOT_COVERED)
    return reasons


def posture_reasons(animal: Located, others: list[Located], frame: Frame, model: LoadedModel) -> list[Reason]:
    """Return why an animal as it lies gives no age: parts that are not seen, curled up, beside another one."""
    reasons = []
    snout, tail_base = animal.part("snout"), animal.part("tail_base")
    least = model.manifest.parts.min_likelihood
    scale = frame.px_per_mm or model.manifest.parts.px_per_mm
    if snout is None or tail_base is None or min(snout.likelihood, tail_base.likelihood) < least:
        reasons.append(Reason.PARTIAL)
    elif math.hypot(snout.x - tail_base.x, snout.y - tail_base.y) < CURLED_BELOW_MM * scale:
        reasons.append(Reason.CURLED)
    if any(math.dist(animal.centre, other.centre) < HUDDLE_BELOW_MM * scale for other in others if other is not animal):
        reasons.append(Reason.HUDDLE)
    return reasons


def in_nest(animal: Located, frame: Frame, nest_box: tuple[float, float, float, float]) -> bool:
    """Return whether the animal's centre lies in the nest box: x0, y0, x1, y1 as fractions of the view, half open."""
    height, width = frame.main.shape[:2]
    x, y = animal.centre[0] / width, animal.centre[1] / height
    x0, y0, x1, y1 = nest_box
    return bool(x0 <= x < x1 and y0 <= y < y1)
