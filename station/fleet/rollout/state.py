"""The values of a rollout: what is known of each device, how far each is, and the rollout as a whole. All frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum

from edge.contract.reported import State
from station.fleet.rollout.plan import Plan


class Phase(StrEnum):
    """How far a device is.

    WAITING: its turn has not come. SKIPPED: it takes no part, for a reason that is looked at again each time. SHADOW:
    asked to run the bundle beside its own. ASKED: asked to switch. GOOD: it has, and the trial on the device is over.
    FAILED: it refused the bundle or went back by itself. RETURNING, RETURNED: asked to go back, and back.
    """

    WAITING = "waiting"
    SKIPPED = "skipped"
    SHADOW = "shadow"
    ASKED = "asked"
    GOOD = "good"
    FAILED = "failed"
    RETURNING = "returning"
    RETURNED = "returned"


class Status(StrEnum):
    """Where a rollout is. DONE goes on for devices that come late; SUPERSEDED does nothing any more."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    REVERTING = "reverting"
    REVERTED = "reverted"
    SUPERSEDED = "superseded"


class Stage(StrEnum):
    """What the rings are passed through for: first beside the present bundle, where asked for, then in its place."""

    SHADOW = "shadow"
    SWITCH = "switch"


HELD = (Phase.SHADOW, Phase.ASKED, Phase.GOOD)
"""Phases in which a device has, or may have, the bundle."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a device's readings under one bundle say. domain_score: the median, None where no animal was found.

    abstained: captures in which an animal was found and no estimate accepted.
    """

    readings: int = 0
    abstained: int = 0
    domain_score: float | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the station knows it now.

    unit: the devices that switch together: its study, or itself. excluded: why it takes no part, "" where it does.
    reported: whether it has ever said what it runs. running: that digest, None in safe mode. running_good: its trial is
    over. shadow: the digest that runs beside it. state, about, reason: of its newest attempt, the digest it was about,
    and why, in words. before, after: of its readings before and under the bundle. problems: what it names in its health
    and a model can cause, with advice. online_since_s: Unix seconds.
    """

    name: str
    unit: str
    excluded: str = ""
    online: bool = False
    online_since_s: float | None = None
    reported: bool = False
    running: str | None = None
    running_good: bool = False
    shadow: str | None = None
    state: State = "none"
    about: str | None = None
    reason: str = ""
    before: Figures = Figures()
    after: Figures = Figures()
    problems: Mapping[str, str] = field(default_factory=dict)
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Member:
    """A device in a rollout. ring: from 0. failed: it counts as an error of its ring. reason: in words, for people.

    before: what it ran when it was asked, for people. known: problems that it named then. asked_s: when it was asked
    last; None: never in this rollout. good_s: since when it is good, or runs it in the shadow. Unix seconds.
    """

    device: str
    unit: str
    ring: int
    phase: Phase = Phase.WAITING
    failed: bool = False
    reason: str = ""
    before: str | None = None
    known: tuple[str, ...] = ()
    asked_s: float | None = None
    good_s: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the shadow run has shown so far. low_days, high_days: the 90% interval of the paired difference."""

    animals: int
    mean_days: float | None = None
    low_days: float | None = None
    high_days: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout. ring: the open one, from 0. reason: why it stands where it does. stage_since_s: Unix seconds."""

    number: int
    plan: Plan
    status: Status = Status.DRAFT
    stage: Stage = Stage.SWITCH
    ring: int = 0
    reason: str = ""
    members: Mapping[str, Member] = field(default_factory=dict)
    stage_since_s: float | None = None

    def of_ring(self, ring: int) -> list[Member]:
        """Return the ring's members, the skipped ones left out."""
        return [one for one in self.members.values() if one.ring == ring and one.phase is not Phase.SKIPPED]
