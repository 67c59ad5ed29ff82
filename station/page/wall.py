"""The wall: a card for each cage, what is wrong with it in words, and who needs a person first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from statistics import median

from station.curves.curve import Curve
from station.page.read import Newest, recent
from station.status import DeviceStatus

URGENT = ("silent", "offline", "never_sent", "camera_fault", "camera_stuck", "disk_full")
"""Codes after which nothing comes from a cage any more; they stand before all others."""
OUTCOMES_SEEN = ("ok", "in_nest")


@dataclass(frozen=True, slots=True)
class Age:
    """How old an animal or a cage looks, from its accepted readings of seven days. All in days."""

    name: str
    named: bool
    days: float | None
    low: float | None
    high: float | None
    readings: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, in words with what to do. known: somebody has acknowledged it."""

    code: str
    text: str
    known: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One cage as the wall shows it. animals: those that the table has there now. checked: its status is known."""

    newest: Newest
    animals: tuple[str, ...]
    ages: tuple[Age, ...]
    problems: tuple[Problem, ...]
    checked: bool
    retired: bool
    zone: tzinfo
    status: DeviceStatus | None = field(default=None, compare=False)

    @property
    def device(self) -> str:
        """The device's name, which is the card's."""
        return self.newest.device

    @property
    def need(self) -> int:
        """How much it needs a person: 3 nothing comes any more, 2 something is wrong, 1 known, 0 nothing."""
        unknown = [problem for problem in self.problems if not problem.known]
        if any(problem.code in URGENT for problem in unknown):
            return 3
        return 2 if unknown else 1 if self.problems else 0


def make_card(
    newest: Newest,
    status: DeviceStatus | None,
    animals: Sequence[str],
    ages: Sequence[Age],
    zone: tzinfo,
    own: Sequence[Problem] = (),
) -> Card:
    """Return a cage's card; status is None while it is being worked out. own: what the page itself found wrong."""
    problems: tuple[Problem, ...] = ()
    if status is not None:
        problems = tuple(
            Problem(code, text, code in status.known)
            for code, text in sorted(status.problems.items(), key=lambda item: item[0] not in URGENT)
        )
    if status is not None and status.retired is None:
        problems = (*problems, *own)
    retired = status is not None and status.retired is not None and not problems
    return Card(newest, tuple(animals), tuple(ages), problems, status is not None, retired, zone, status)


def sort_by_need(cards: Iterable[Card]) -> list[Card]:
    """Return those first that need a person most; in one need the longest unseen first, then by name."""
    return sorted(cards, key=_order)


def ages_of(curves: Sequence[Curve]) -> list[Age]:
    """Return how old those look that these curves are of, named animals first."""
    found = []
    for curve in curves:
        seen = recent([one for one in curve.sightings if one.accepted])
        found.append(
            Age(
                curve.name,
                curve.named,
                median(one.age_days for one in seen) if seen else None,
                _median([one.low_days for one in seen]),
                _median([one.high_days for one in seen]),
                len(seen),
            )
        )
    return sorted(found, key=lambda age: not age.named)


def _median(ends: Sequence[float | None]) -> float | None:
    """Return the middle of an interval's ends; None where no reading has one, as of too few calibration cages."""
    known = [end for end in ends if end is not None]
    return median(known) if known else None


def count_needs(cards: Iterable[Card]) -> Mapping[str, int]:
    """Return how many cages are in each need, for the line above the wall."""
    counts = {"urgent": 0, "wrong": 0, "known": 0, "well": 0, "checking": 0}
    for card in cards:
        if card.retired:
            continue
        name = ("well", "known", "wrong", "urgent")[card.need] if card.checked else "checking"
        counts[name] += 1
    return counts


def _order(card: Card) -> tuple[object, ...]:
    at = card.newest.at
    return (card.retired, -card.need, _seconds(at) if card.need else 0.0, in_order(card.newest.cage), card.device)


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at is not None else 0.0


def in_order(name: str) -> tuple[tuple[int, str], ...]:
    """Return what sorts cage-2 before cage-10."""
    parts: list[tuple[int, str]] = []
    word = ""
    for one in f"{name}\0":
        if word and one.isdecimal() != word[-1].isdecimal():
            parts.append((int(word), "") if word.isdecimal() and word.isascii() else (-1, word))
            word = ""
        word += one
    return tuple(parts)
