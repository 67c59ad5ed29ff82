"""What the newest captures say of the camera, the light and the model: the findings that belong into health."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from edge.config.tree import Config
from edge.contract.reading import Light, Outcome, Reason
from edge.publish.status.summary import Glance

NEWEST = 12
"""So many captures of one light phase are judged together, or of all phases for what does not depend on the light."""
FEWEST = 4
"""With fewer captures than that nothing is said of them: a hand before the lens is no finding."""
SHARE = 0.8
"""Of the captures that are judged: from this share on it is a finding, single good captures between them or not."""
WITHOUT_AGE = 24
WITHOUT_ANIMAL = timedelta(hours=24)
"""A mouse sleeps out of sight for hours: only a whole day without one is a finding."""

_OUTCOMES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.DARK: (
        "captures_dark",
        "is the lamp of that phase on (infrared in the dark phase), is the lens cap off, do exposure and gain fit it?",
    ),
    Outcome.OVEREXPOSED: (
        "captures_overexposed",
        "lower camera.picamera's exposure_us or analogue_gain for that phase, or move the lamp",
    ),
    Outcome.BLURRED: ("captures_blurred", "clean the lens, focus it on the cage floor, shorten the exposure"),
    Outcome.OBSTRUCTED: ("captures_obstructed", "something stands before the lens: look at the newest thumbnail"),
    Outcome.STALE_FRAME: ("captures_stale", "the camera delivers old frames: look at its cable, then reboot"),
    Outcome.CAMERA_FAULT: ("camera_faults", "the camera delivers no frame: look at its cable; `cageclock doctor`"),
    Outcome.MODEL_FAULT: ("model_faults", "the model cannot be used: `cageclock bundle status`, `cageclock doctor`"),
}
_REASONS: Mapping[Reason, str] = {
    Reason.OUT_OF_DOMAIN: "the animals look unlike those that the model was trained on",
    Reason.TOO_UNCERTAIN: "the model is too uncertain",
    Reason.UNCALIBRATED_SCALE: "camera.px_per_mm is not set",
    Reason.SCALE_TOO_COARSE: "too few pixels per millimetre for this model: bring the camera nearer",
    Reason.IN_NEST: "the animals lie in the nest",
    Reason.CURLED: "the animals are curled up",
    Reason.HUDDLE: "the animals huddle together",
    Reason.PARTIAL: "the animals are only partly in view",
    Reason.STRAIN_NOT_COVERED: "the model does not know the strain",
    Reason.LIGHT_NOT_COVERED: "the model does not know this light",
}


def find_in_captures(config: Config, glances: Sequence[Glance]) -> dict[str, str]:
    """Return problem codes, each with a sentence for people; `glances` are the newest readings, oldest first."""
    if config.cage.animals == 0:
        glances = [seen for seen in glances if seen.outcome not in (Outcome.NO_MOUSE, Outcome.IN_NEST)]
    found: dict[str, str] = {}
    newest = max((seen.at for seen in glances), default=None)
    for light in (Light.LIGHT, Light.DARK, Light.UNKNOWN):
        of_phase = [seen for seen in glances if seen.light == light.value][-NEWEST:]
        # A phase that has not come for two days (the light cycle was changed) says nothing of today.
        if newest is not None and of_phase and newest - of_phase[-1].at <= timedelta(days=2):
            _judge_outcomes(light, of_phase, found)
            _judge_coverage(config, light, of_phase, found)
    if config.cage.animals > 0 and newest is not None:
        _judge_animals(glances, found)
        _judge_ages(glances[-WITHOUT_AGE:], found)
    return found


def _judge_outcomes(light: Light, seen: Sequence[Glance], found: dict[str, str]) -> None:
    if len(seen) < FEWEST:
        return
    counts = Counter(one.outcome for one in seen)
    for outcome, (code, advice) in _OUTCOMES.items():
        if counts[outcome] >= SHARE * len(seen) and code not in found:
            word = outcome.value.replace("_", " ")
            where = "while the time is unknown" if light is Light.UNKNOWN else f"in the {light.value} phase"
            found[code] = f"{counts[outcome]} of the last {len(seen)} captures {where} were {word}: {advice}"


def _judge_coverage(config: Config, light: Light, seen: Sequence[Glance], found: dict[str, str]) -> None:
    """Strain and light are the same for every animal of a phase: one finding is enough, unless another was accepted."""
    refused = [reasons for one in seen for reasons in one.refused]
    if not refused or any(one.accepted for one in seen):
        return
    if all(Reason.STRAIN_NOT_COVERED in reasons for reasons in refused):
        found["strain_not_covered"] = (
            f"the model was not trained on the strain {config.cage.strain or '(cage.strain is not set)'}, and no age "
            "is given: correct cage.strain, or install a bundle that covers it"
        )
    if all(Reason.LIGHT_NOT_COVERED in reasons for reasons in refused):
        found["light_not_covered"] = (
            f"the model was not trained on the light of the {light.value} phase, in which no age is given: install a "
            "bundle that covers it, or correct light_cycle"
        )


def _judge_animals(glances: Sequence[Glance], found: dict[str, str]) -> None:
    newest = glances[-1].at
    since = [one for one in glances if newest - one.at <= WITHOUT_ANIMAL]
    covers_a_day = newest - glances[0].at >= WITHOUT_ANIMAL
    if covers_a_day and len(since) >= FEWEST and all(one.outcome is Outcome.NO_MOUSE for one in since):
        found["no_animal"] = (
            f"none of the {len(since)} captures of a day showed an animal: is the cage empty (then cage.animals: 0), "
            "does the camera look at it, is camera.px_per_mm right?"
        )


def _judge_ages(seen: Sequence[Glance], found: dict[str, str]) -> None:
    if len(seen) < WITHOUT_AGE or any(one.accepted for one in seen):
        return
    outcomes = Counter(one.outcome.value for one in seen if one.outcome is not Outcome.OK)
    reasons = Counter(reason for one in seen for animal in one.refused for reason in set(animal))
    parts = [f"{count} {name}" for name, count in outcomes.most_common(3)]
    parts += [f"{count} {reason.value}" for reason, count in reasons.most_common(3)]
    chief = f"; most often {_REASONS[reasons.most_common(1)[0][0]]}" if reasons else ""
    found["no_accepted_age"] = f"none of the last {len(seen)} captures gave an accepted age ({', '.join(parts)}){chief}"
