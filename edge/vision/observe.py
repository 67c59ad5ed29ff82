"""From photographs to an observation: one pure call; `edge.vision.acceptance` decides what gives no age.

gate -> locate -> crop -> estimate -> accept, or reject with a reason
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.config.tree import Cage
from edge.config.tree import Quality as Limits
from edge.contract import jsontext
from edge.contract.reading import Animal, Estimate, Light, Outcome, Quality, Reason
from edge.errors import BundleError, MessageError
from edge.vision.acceptance import in_nest, not_covered, posture_reasons, reject_reasons
from edge.vision.estimate import estimate_age
from edge.vision.frame import Frame
from edge.vision.locate import Located, find_animals
from edge.vision.model.loaded import LoadedModel
from edge.vision.pixels import Image
from edge.vision.preprocess import Crop, age_input
from edge.vision.quality import judge_quality, measure_quality

LEAST_PX = 32
"""The least width and height of a picture; below it, sharpness and coverage mean nothing."""


@dataclass(frozen=True, slots=True)
class ObserveSettings:
    """What `observe` must know of the cage. nest_box: x0, y0, x1, y1 as fractions of the view, or None."""

    limits: Limits
    expected_animals: int
    subject: str | None
    strain: str | None
    nest_box: tuple[float, float, float, float] | None = None

    @classmethod
    def of(cls, cage: Cage, limits: Limits) -> ObserveSettings:
        """Return the settings of a device's configuration."""
        return cls(limits, cage.animals, cage.subject, cage.strain, cage.nest_box)


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What one measurement (a frame, or a burst of them) showed.

    crops: for each animal with an estimate the exact age-model inputs that it came from, uint8 (h, w, c): one, or one a
        frame of the burst that was averaged.
    best: index of the frame that the animals' boxes and keypoints belong to.
    model_ms: wall time of the networks' bare invocations.
    """

    outcome: Outcome
    detail: str
    accepted: bool
    age_days: float | None
    animals: tuple[Animal, ...]
    quality: Quality | None
    frames: int
    best: int
    model_ms: float
    crops: tuple[tuple[Image, ...], ...] = field(default=())


def observe(
    frames: Sequence[Frame],
    model: LoadedModel,
    settings: ObserveSettings,
    reference: NDArray[np.complex64] | None = None,
    light: Light = Light.UNKNOWN,
) -> Observation:
    """Return what a burst of frames shows; of several, the one with the most accepted, most certain animals counts.

    reference: the spectrum of the reference view in this light (see `edge.vision.quality`), or None.

    A burst is one measurement: where the best frame's one animal is accepted, its embedding is averaged over the frames
    that show one accepted animal.
    """
    before_ms = model.invoked_ms
    seen = [_observe_one(frame, model, settings, reference, light) for frame in frames]
    best = max(range(len(seen)), key=lambda index: _worth(seen[index]))
    chosen = seen[best]
    if len(seen) > 1 and len(chosen.animals) == 1 and chosen.accepted:
        chosen = _average(chosen, seen, model)
    return replace(chosen, frames=len(seen), best=best, model_ms=model.invoked_ms - before_ms)


def check_recordable(seen: Observation) -> None:
    """Check that a reading can hold what the model found in the animals.

    Raises:
        BundleError: a number is not finite or out of the contract's range; its field.
    """
    try:
        for animal in seen.animals:
            jsontext.decode(jsontext.encode(animal), Animal)
    except MessageError as error:
        raise BundleError(f"the model's answer cannot be recorded: {error}") from error


def _observe_one(
    frame: Frame,
    model: LoadedModel,
    settings: ObserveSettings,
    reference: NDArray[np.complex64] | None,
    light: Light,
) -> Observation:
    height, width = frame.main.shape[:2]
    if min(height, width) < LEAST_PX:
        text = f"the picture is {width} x {height} pixels, at least {LEAST_PX} x {LEAST_PX} are needed"
        return _nothing(Outcome.CAMERA_FAULT, text, None)
    quality = measure_quality(frame.small(model.manifest.preprocess_version), settings.limits, reference)
    outcome, detail = judge_quality(quality, settings.limits)
    if outcome is not Outcome.OK:
        return _nothing(outcome, detail, quality)
    located = find_animals(frame, model, max(1, settings.expected_animals) + 1)
    located = without_phantoms(located, settings.expected_animals, model.manifest.parts.min_likelihood)
    if not located:
        return _nothing(Outcome.NO_MOUSE, "no animal in view", quality)
    if settings.nest_box is not None and all(in_nest(animal, frame, settings.nest_box) for animal in located):
        return _nothing(Outcome.IN_NEST, "every animal in view is in the nest", quality)
    uncovered = not_covered(frame, model, settings.strain, light)
    judged = [_judge(animal, located, frame, model, settings, uncovered) for animal in located]
    animals = tuple(animal for animal, _ in judged)
    single = animals[0] if len(animals) == 1 else None
    return Observation(
        outcome=Outcome.OK,
        detail="",
        accepted=any(animal.accepted for animal in animals),
        age_days=single.age_days if single is not None else None,
        animals=animals,
        quality=quality,
        frames=1,
        best=0,
        model_ms=0.0,
        crops=tuple((crop.pixels,) for _, crop in judged if crop is not None),
    )


def without_phantoms(located: list[Located], housed: int, least: float) -> list[Located]:
    """Return the animals; of more than are housed, those go first that show no likely body part, the unlikeliest first.

    A shelter can look like an animal's centre, but not like its parts. An extra animal that shows one stays: that more
    are seen than are housed must not be hidden.
    """
    kept = list(located)
    for animal in sorted(located, key=lambda one: one.likelihood):
        if len(kept) > max(1, housed) and all(point.likelihood < least for point in animal.keypoints):
            kept.remove(animal)
    return kept


def _nothing(outcome: Outcome, detail: str, quality: Quality | None) -> Observation:
    return Observation(outcome, detail, False, None, (), quality, 1, 0, 0.0)


def _judge(
    animal: Located,
    others: list[Located],
    frame: Frame,
    model: LoadedModel,
    settings: ObserveSettings,
    uncovered: list[Reason],
) -> tuple[Animal, Crop | None]:
    """Return the animal with its estimate, and the crop that it came from."""
    reasons = posture_reasons(animal, others, frame, model)
    if settings.nest_box is not None and in_nest(animal, frame, settings.nest_box):
        reasons.append(Reason.IN_NEST)
    reasons += uncovered
    crop = _age_crop(animal, frame, model)
    estimate: Estimate | None = None
    if crop is not None:
        estimate = estimate_age(model.age.run(crop.pixels), model)
        if crop.is_partial and Reason.PARTIAL not in reasons:
            reasons.append(Reason.PARTIAL)
        reasons += reject_reasons(estimate.domain_score, estimate.sd_days, model.manifest.validity)
    accepted = estimate is not None and not reasons
    named = settings.subject is not None and settings.expected_animals == 1 and len(others) == 1
    return Animal(
        box=_box(animal, frame),
        centre_likelihood=round(animal.likelihood, 4),
        keypoints=animal.keypoints,
        subject=settings.subject if named else None,
        identity_method="single_housed" if named else "none",
        identity_confidence=1.0 if named else None,
        accepted=accepted,
        reject_reasons=tuple(reasons),
        age_days=estimate.age_days if accepted and estimate is not None else None,
        estimate=estimate,
    ), crop


def _age_crop(animal: Located, frame: Frame, model: LoadedModel) -> Crop | None:
    snout, tail_base = animal.part("snout"), animal.part("tail_base")
    if snout is None or tail_base is None:
        return None
    scale = frame.px_per_mm or model.manifest.parts.px_per_mm
    spec = model.manifest.age
    views = frame.views(model.manifest.preprocess_version)
    return age_input(views, (snout.x, snout.y), (tail_base.x, tail_base.y), scale, spec)


def _box(animal: Located, frame: Frame) -> tuple[float, float, float, float]:
    """Return the keypoints' box widened by a fifth of its longer side, which takes in the body's width."""
    xs, ys = [point.x for point in animal.keypoints], [point.y for point in animal.keypoints]
    margin = 0.2 * max(max(xs) - min(xs), max(ys) - min(ys))
    height, width = frame.main.shape[:2]
    box = (max(0.0, min(xs) - margin), max(0.0, min(ys) - margin))
    return (
        *(round(value, 1) for value in box),
        round(min(width, max(xs) + margin), 1),
        round(min(height, max(ys) + margin), 1),
    )


def _worth(one: Observation) -> tuple[int, int, float]:
    accepted = [animal.estimate.sd_days for animal in one.animals if animal.accepted and animal.estimate is not None]
    return (len(accepted), len(one.animals), -min(accepted, default=0.0))


def _average(chosen: Observation, seen: list[Observation], model: LoadedModel) -> Observation:
    """Return the chosen observation, its one animal's embedding averaged over the frames that accepted one animal."""
    used = [
        (one.animals[0].estimate.embedding, one.crops[0])
        for one in seen
        if len(one.animals) == 1 and one.animals[0].accepted and one.animals[0].estimate is not None
    ]
    estimate = estimate_age(np.mean(np.array([vector for vector, _ in used], np.float32), axis=0), model)
    if reject_reasons(estimate.domain_score, estimate.sd_days, model.manifest.validity):
        return chosen
    animal = msgspec.structs.replace(chosen.animals[0], estimate=estimate, age_days=estimate.age_days)
    crops = tuple(crop for _, crops in used for crop in crops)
    return replace(chosen, animals=(animal,), age_days=estimate.age_days, crops=(crops,))
