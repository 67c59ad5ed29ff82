"""What one device saw on one calendar day of its room, as the rows of the table `days`. Pure.

A day's estimate is the median of its accepted readings, never a running mean: it is made of all of the day's readings
at once, so that it does not depend on the order in which they came.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from statistics import fmean, median
from typing import Any, Final, NamedTuple

from station.registry.attribution import CONTRADICTIONS, Owners, Sight, Whose

ANIMAL, CAGE, PLACE, LEFT_OUT = "animal", "cage", "place", "left_out"
"""Kinds of rows: an animal; what is no one animal's; every reading of the cage, whosever; what is nobody's, and why."""
LONG_S: Final = 6 * 3600.0
"""A distance between two captures of a day that is kept, because it may be a silence."""
MOST_KEPT: Final = 50
"""Changes of the model and long distances that one row keeps."""


class Seen(NamedTuple):
    """One animal of a reading, or a reading without animals (number None). basis: of its time, as in `Sight`."""

    cage: str
    at_s: float
    basis: str
    epoch: str
    starts: int
    seq: int
    light: str
    outcome: str
    model: str | None
    strain: str | None
    notice: str | None
    expected: int
    found: int
    number: int | None
    subject: str | None
    method: str
    accepted: bool
    reasons: str
    estimate: float | None
    low: float | None
    high: float | None


class DayRow(NamedTuple):
    """One row of `days`, in the table's order. Ages are days, `_s` Unix seconds; JSON texts have sorted keys.

    name: the animal's, else the cage's; reason, about: why it is nobody's, and the animals that this speaks of.
    age_days, low_days, high_days: medians of the accepted estimates and of their intervals' ends; by_light: medians by
    light phase. accepted: their number; seen: with the estimates that were refused, by reason in `refused`.
    seen_s: mean time of the accepted ones; first_s, last_s, mean_s: of the captures. step_s: median distance between
    two captures; gaps: the long ones; models: when another model's digest began.
    """

    device: str
    day: str
    cage: str
    kind: str
    name: str
    reason: str
    about: str
    age_days: float | None
    low_days: float | None
    high_days: float | None
    by_light: str
    accepted: int
    accepted_by_light: str
    seen: int
    refused: str
    seen_s: float | None
    captures: int
    captures_by_light: str
    outcomes: str
    first_s: float | None
    last_s: float | None
    mean_s: float | None
    step_s: float | None
    gaps: str
    models: str
    strain: str | None
    notices: str


class _Gathered:
    """What belongs to one row, as it is gathered."""

    __slots__ = ("captures", "notices", "refused", "seen", "sightings", "strain", "times")

    def __init__(self) -> None:
        self.sightings: list[Seen] = []
        self.captures: list[Seen] = []
        self.times: list[float] = []
        self.refused: Counter[str] = Counter()
        self.seen = 0
        self.strain: str | None = None
        self.notices: set[str] = set()


Key = tuple[str, str, str, str, str]
"""(cage, kind, name, reason, about)"""


def rows_of_day(device: str, day: str, seen: Iterable[Seen], owners: Owners) -> list[DayRow]:
    """Return the rows of a day of a device, whatever the order of what was seen."""
    ordered = sorted(seen, key=lambda one: (one.at_s, one.starts, one.epoch, one.seq, one.number or 0))
    known: dict[tuple[object, ...], Whose] = {}
    moment = ordered[0].at_s if ordered else 0.0

    def whose(one: Seen, *, named: bool) -> Whose:
        # Dates are whole days of the room, so that all moments of a day have the same answer.
        as_named = (one.found, one.subject, one.method) if named else (0, None, "none")
        key = (one.cage, one.basis, one.expected, as_named)
        answer = known.get(key)
        if answer is None:
            answer = known[key] = owners.whose(Sight(device, one.cage, moment, one.basis, one.expected, *as_named))
        return answer

    found: dict[Key, _Gathered] = {}
    for _, group in groupby(ordered, key=lambda one: (one.epoch, one.seq)):
        _take_reading(found, list(group), whose)
    return [_row(device, day, key, found[key]) for key in sorted(found)]


def _take_reading(found: dict[Key, _Gathered], animals: Sequence[Seen], whose: Any) -> None:
    """Give a reading's animals and its capture to whom they belong."""

    def of(kind: str, name: str, reason: str = "", about: str = "[]") -> _Gathered:
        key = (first.cage, kind, name, reason, about)
        own = found.get(key)
        if own is None:
            own = found[key] = _Gathered()
        return own

    first = animals[0]
    place = of(PLACE, first.cage)
    place.captures.append(first)
    place.strain = first.strain or place.strain
    if first.notice:
        place.notices.add(first.notice)
    slot: Whose = whose(first, named=False)
    answers = [slot]
    if first.number is not None:
        answers = [whose(one, named=True) for one in animals]
        for one, answer in zip(animals, answers, strict=True):
            if not answer.nobodys:
                _take_animal(of(*_kind(first.cage, answer.subject)), one, answer)
    for answer in answers:
        if answer.nobodys or answer.reason in CONTRADICTIONS:
            of(LEFT_OUT, first.cage, answer.reason, _json(list(answer.about))).times.append(first.at_s)
            break
    if all(answer.nobodys for answer in answers):
        return
    own = slot.subject is not None and all(
        answer.subject in (None, slot.subject) and answer.reason not in CONTRADICTIONS for answer in answers
    )
    of(*_kind(first.cage, slot.subject if own else None)).captures.append(first)


def _take_animal(own: _Gathered, one: Seen, answer: Whose) -> None:
    if not one.accepted:
        own.refused.update(one.reasons.split())
        own.seen += answer.subject is not None
    elif one.estimate is not None:
        own.seen += 1
        own.sightings.append(one)


def _kind(cage: str, subject: str | None) -> tuple[str, str]:
    return (CAGE, cage) if subject is None else (ANIMAL, subject)


def _row(device: str, day: str, key: Key, own: _Gathered) -> DayRow:
    seen, captures = own.sightings, own.captures
    times = [one.at_s for one in captures] or own.times
    distances = [later - earlier for earlier, later in pairwise(times)] if captures else []
    gaps = [pair for pair in pairwise(times) if pair[1] - pair[0] > LONG_S] if captures else []
    by_light: dict[str, list[float]] = {}
    for one in seen:
        by_light.setdefault(one.light, []).append(_age(one.estimate) or 0.0)
    return DayRow(
        device,
        day,
        *key,
        _median([_age(one.estimate) for one in seen]),
        _median([_age(one.low) for one in seen]),
        _median([_age(one.high) for one in seen]),
        _json({light: median(ages) for light, ages in by_light.items()}),
        len(seen),
        _json({light: len(ages) for light, ages in by_light.items()}),
        own.seen,
        _json(own.refused),
        _mean([one.at_s for one in seen]),
        len(times),
        _json(Counter(one.light for one in captures)),
        _json(Counter(one.outcome for one in captures)),
        min(times, default=None),
        max(times, default=None),
        _mean(times),
        median(distances) if distances else None,
        _json(gaps[:MOST_KEPT]),
        _json(_models(captures)[:MOST_KEPT]),
        own.strain,
        _json(sorted(own.notices)),
    )


def _models(captures: Sequence[Seen]) -> list[list[Any]]:
    """Return when each model began, the day's first one too."""
    found: list[list[Any]] = []
    for one in captures:
        if one.model is not None and (not found or found[-1][1] != one.model):
            found.append([one.at_s, one.model])
    return found


def _age(value: float | None) -> float | None:
    """Return an age that begins at 0, also where an interval was put symmetrically around a young one."""
    return None if value is None else max(0.0, value)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
