"""What an animal looks like at a given age: the visible signs of age, beside what has nothing to do with it."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edge.errors import OperatorError
from edge.simulate.population import SimulatedAnimal

# Frailty index of real C57BL/6 mice: 0.02, 0.12 and 0.33 at 5, 19 and 28 months (Whitehead et al. 2014, PMC4022099).
# Interpolated linearly in the logarithm; the slope before and after is that of the nearest stretch.
_FRAILTY_AGE_DAYS = (60.0, 152.0, 330.0, 578.0, 852.0, 1150.0)
_FRAILTY = (0.012, 0.02, 0.036, 0.12, 0.33, 0.72)
ONSET_SPREAD = 0.20  # standard deviation of the logarithm of an animal's own pace in each single sign
STRENGTH_SPREAD = 0.70  # and of the logarithm of how strongly it shows the sign
EPISODE_DAYS = 30.0  # wounds come and go; one episode lasts this long


@dataclass(frozen=True)
class Appearance:
    """Every visible latent of one animal at one age; signs run from 0 (none) to 1 (extreme)."""

    body_length_mm: float  # snout to tail base, stretched
    girth_mm: float  # greatest width seen from above
    tail_length_mm: float
    tail_thickness_mm: float  # at the base
    tail_paleness: float
    greying: float
    thinning: float
    roughness: float
    bald_patches: float
    kyphosis: float
    cataract: float
    obesity: float
    barbering: float
    wounds: float
    coat_brightness: float  # individual factor on the coat's reflectance, about 1

    FIELDS: ClassVar[tuple[str, ...]]

    def vector(self) -> NDArray[np.float64]:
        """float64 (k,): the latents in the order of `Appearance.FIELDS`."""
        return np.array(astuple(self), dtype=np.float64)


Appearance.FIELDS = tuple(field.name for field in fields(Appearance))


def frailty_at(biological_age_days: float) -> float:
    """Expected frailty index (0..1) of an average animal of this biological age, with its flat stretch in mid-life."""
    logs = np.log(_FRAILTY)
    return float(np.exp(np.interp(biological_age_days, _FRAILTY_AGE_DAYS, logs)))


@dataclass(frozen=True)
class _Disposition:
    """What is individual about one animal: its size, its own pace and strength in each sign, and its misfortunes."""

    length_factor: float
    girth_factor: float
    tail_factor: float
    paces: tuple[float, ...]
    strengths: tuple[float, ...]
    obesity: float
    barbering: float
    coat_brightness: float
    baseline_roughness: float
    baseline_thinning: float


_SIGNS = ("greying", "thinning", "roughness", "bald_patches", "kyphosis", "tail", "cataract", "wasting")


@lru_cache(maxsize=4096)
def _disposition_of(seed: int) -> _Disposition:
    rng = np.random.default_rng([seed, 0xD15])
    normal = rng.normal
    return _Disposition(
        length_factor=float(np.exp(normal(0, 0.030))),
        girth_factor=float(np.exp(normal(0, 0.055))),
        tail_factor=float(np.exp(normal(0, 0.05))),
        paces=tuple(float(pace) for pace in np.exp(normal(0, ONSET_SPREAD, len(_SIGNS)))),
        strengths=tuple(float(strength) for strength in np.exp(normal(0, STRENGTH_SPREAD, len(_SIGNS)))),
        obesity=float(rng.beta(1.6, 2.2)) if rng.random() < 0.25 else float(rng.uniform(0, 0.12)),
        barbering=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.15 else 0.0,
        coat_brightness=float(np.exp(normal(0, 0.26))),
        baseline_roughness=float(rng.uniform(0.0, 0.16)),
        baseline_thinning=float(rng.uniform(0.0, 0.08)),
    )


def _wounds_at(seed: int, age_days: float) -> float:
    """Severity of bite wounds in the episode that this age falls into; every episode is as likely as any other."""
    episode = int(age_days // EPISODE_DAYS)
    rng = np.random.default_rng([seed, 0x30D, episode])
    return float(rng.uniform(0.3, 1.0)) if rng.random() < 0.08 else 0.0


def _saturate(value: float) -> float:
    return float(1.0 - np.exp(-max(value, 0.0)))


def _sign(severity: float, at_28_months: float) -> float:
    """A sign's value 0..1 for its severity; `at_28_months` is the exponent reached at an average animal's 28 months.

    The power above 1 keeps the signs as flat in mid-life as the frailty index, although they saturate late in life.
    """
    return _saturate(at_28_months * (severity / 0.33) ** 1.6)


def _with_baseline(sign: float, baseline: float) -> float:
    """The sign on top of what the animal shows all its life; 0..1."""
    return baseline + (1.0 - baseline) * sign


def _growth_at(age_days: float, *, at_birth: float, time_constant_days: float) -> float:
    """Fraction of the adult size, rising until about six months of age (von Bertalanffy's curve)."""
    return float(1.0 - (1.0 - at_birth) * np.exp(-age_days / time_constant_days))


def appearance_at(animal: SimulatedAnimal, age_days: float) -> Appearance:
    """What the animal looks like at this calendar age; a pure function of the animal and the age.

    Raises:
        OperatorError: a negative or non-finite age.
    """
    if not np.isfinite(age_days) or age_days < 0:
        raise OperatorError(f"age_days: expected a finite number of 0 or more, got {age_days}")
    own = _disposition_of(animal.seed)
    biological_days = age_days * animal.ageing_rate
    severity = {
        sign: frailty_at(biological_days * pace) * strength
        for sign, pace, strength in zip(_SIGNS, own.paces, own.strengths, strict=True)
    }
    male = animal.sex == "male"
    growth = _growth_at(age_days, at_birth=0.55, time_constant_days=60.0)
    filling = 0.17 * float(np.clip((biological_days - 120.0) / 480.0, 0.0, 1.0))
    wasting = 0.42 * _saturate(3.0 * max(severity["wasting"] - 0.10, 0.0))
    kyphosis = _sign(severity["kyphosis"], 0.75)
    length = (96.5 if male else 92.0) * own.length_factor * growth
    girth = (35.0 if male else 31.5) * own.girth_factor * (0.15 + 0.85 * growth)
    girth *= 1.0 + filling - wasting + 0.24 * own.obesity
    return Appearance(
        body_length_mm=length,
        girth_mm=girth,
        tail_length_mm=0.88 * (96.5 if male else 92.0) * own.tail_factor * growth,
        tail_thickness_mm=3.1
        * (0.9 + 0.1 * male)
        * own.tail_factor
        * growth
        * (1.0 - 0.18 * _saturate(2.0 * severity["tail"])),
        tail_paleness=_sign(severity["tail"], 0.85),
        greying=_sign(severity["greying"], 0.95),
        thinning=_with_baseline(_sign(severity["thinning"], 0.75), own.baseline_thinning),
        roughness=_with_baseline(_sign(severity["roughness"], 0.80), own.baseline_roughness),
        bald_patches=_saturate(2.2 * max(severity["bald_patches"] - 0.12, 0.0)),
        kyphosis=kyphosis,
        cataract=_saturate(3.0 * max(severity["cataract"] - 0.15, 0.0)),
        obesity=own.obesity,
        barbering=own.barbering,
        wounds=_wounds_at(animal.seed, age_days),
        coat_brightness=own.coat_brightness,
    )
