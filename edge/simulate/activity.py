"""What the animals of a cage are doing: posture, place and heading of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge.simulate.setup import CageSetup

Posture = Literal["stretched", "walking", "rearing", "grooming", "curled", "huddled"]
POSTURES: tuple[Posture, ...] = ("stretched", "walking", "rearing", "grooming", "curled", "huddled")

_ACTIVE: tuple[Posture, ...] = ("stretched", "walking", "rearing", "grooming")
_ACTIVE_SHARES = (0.30, 0.40, 0.12, 0.18)
SPACING_MM = 85.0  # animals out in the open keep this distance between their centres


@dataclass(frozen=True)
class Placement:
    """One animal's posture; a place, heading (radians, from x to y) or bend (-1..1) left out is drawn."""

    posture: Posture
    in_nest: bool = False
    position_mm: tuple[float, float] | None = None
    heading_rad: float | None = None
    bend: float | None = None


@dataclass(frozen=True)
class Activity:
    """One placement for each animal of the cage, in the cage's order."""

    placements: tuple[Placement, ...]


def activity_share_at(zeitgeber_h: float) -> float:
    """Share of the time (0..1) that a mouse is out of its nest: little in the light (0-12 h), most of the dark.

    The two humps of the dark phase follow the usual actogram of C57BL/6: a high one after lights off, a lower one
    before dawn.
    """
    hour = zeitgeber_h % 24.0
    if hour < 12.0:
        return 0.16 + 0.10 * math.exp(-((hour / 1.5) ** 2)) + 0.12 * math.exp(-(((12.0 - hour) / 1.0) ** 2))
    return 0.62 + 0.28 * math.exp(-(((hour - 13.5) / 2.5) ** 2)) + 0.14 * math.exp(-(((hour - 22.5) / 1.5) ** 2))


def draw_activity(rng: np.random.Generator, setup: CageSetup, count: int, zeitgeber_h: float) -> Activity:
    """An activity for `count` animals at this zeitgeber time; sleepers share the nest, and huddle if several."""
    share = activity_share_at(zeitgeber_h)
    awake = [bool(rng.random() < share) for _ in range(count)]
    sleepers = count - sum(awake)
    placements: list[Placement] = []
    for is_awake in awake:
        if is_awake:
            posture = _ACTIVE[int(rng.choice(len(_ACTIVE), p=_ACTIVE_SHARES))]
            placements.append(Placement(posture))
        else:
            placements.append(Placement("huddled" if sleepers > 1 else "curled", in_nest=bool(rng.random() < 0.88)))
    return settle(rng, setup, Activity(tuple(placements)))


def settle(rng: np.random.Generator, setup: CageSetup, activity: Activity) -> Activity:
    """The same activity with whatever was left out drawn: sleepers lie side by side, others keep apart."""
    settled: list[Placement] = []
    taken: list[tuple[float, float]] = []
    lair: tuple[float, float] | None = None  # where sleepers outside the nest gather
    for placement in activity.placements:
        asleep = placement.posture in ("curled", "huddled")
        position = placement.position_mm
        if position is None and placement.in_nest:
            position = _beside(rng, setup.nest_mm, 6.0 + 5.0 * len(settled))
        elif position is None and asleep and lair is not None:
            position = _beside(rng, lair, 24.0)
        elif position is None:
            position = _open_place(rng, setup, taken)
        if asleep and not placement.in_nest and lair is None:
            lair = position
        taken.append(position)
        heading = placement.heading_rad if placement.heading_rad is not None else float(rng.uniform(-math.pi, math.pi))
        bend = placement.bend if placement.bend is not None else float(rng.uniform(-1.0, 1.0))
        settled.append(Placement(placement.posture, placement.in_nest, position, heading, bend))
    return Activity(tuple(settled))


def _beside(rng: np.random.Generator, centre_mm: tuple[float, float], radius_mm: float) -> tuple[float, float]:
    angle = rng.uniform(-math.pi, math.pi)
    radius = radius_mm * math.sqrt(rng.uniform(0.3, 1.0))
    return (centre_mm[0] + radius * math.cos(angle), centre_mm[1] + radius * math.sin(angle))


def _open_place(rng: np.random.Generator, setup: CageSetup, taken: list[tuple[float, float]]) -> tuple[float, float]:
    """A place on the floor, away from the animals already placed if possible, and rarely under the shelter."""
    width, height = setup.field_mm
    best: tuple[float, float] = (width / 2, height / 2)
    best_clearance = -1.0
    for _ in range(40):
        place = (float(rng.uniform(32.0, width - 32.0)), float(rng.uniform(32.0, height - 32.0)))
        if setup.shelter_covers(place) and rng.random() < 0.7:
            continue
        clearance = min((math.dist(place, other) for other in taken), default=math.inf)
        if clearance >= SPACING_MM:
            return place
        if clearance > best_clearance:
            best, best_clearance = place, clearance
    return best
