"""Curves out of the table `days`: no reading is looked at, whatever the lab has gathered in years."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import chain, pairwise
from math import fsum
from statistics import median
from typing import Any

from station.curves.curve import By, Counted, Curve, LeftOut, Mark, Sighting, Window, age_on, end_of, start_of
from station.curves.curve import rejuvenations as find_rejuvenations
from station.curves.model_names import ModelNames
from station.curves.read import Name, Place, in_order, load_events
from station.days.day import ANIMAL, LEFT_OUT, LONG_S, PLACE, DayRow
from station.days.load import load_days
from station.registry.attribution import CONTRADICTIONS, Owners
from station.registry.lifetime import day_of
from station.registry.subject import Subject
from station.registry.subjects import load_subjects
from station.registry.zones import Zones, load_zones

_FEWEST_DISTANCES = 4


@dataclass(slots=True)
class _Found:
    """What belongs to one animal or cage, by place: days with its estimates, and days with its captures."""

    sightings: dict[Place, list[DayRow]] = field(default_factory=dict)
    captures: dict[Place, list[DayRow]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def places(self) -> set[Place]:
        """Where it was seen, or where a capture was due for it."""
        return {*self.sightings, *self.captures}


@dataclass(slots=True)
class _Sorted:
    """All days, each given to whom it belongs; the rest by place."""

    names: dict[Name, _Found] = field(default_factory=dict)
    loose: dict[Place, list[DayRow]] = field(default_factory=dict)
    out: dict[tuple[Place, str, tuple[str, ...]], list[DayRow]] = field(default_factory=dict)
    refused: dict[Name, Counter[str]] = field(default_factory=dict)
    strains: dict[Place, str] = field(default_factory=dict)
    notices: dict[Place, set[str]] = field(default_factory=dict)

    def of(self, name: Name) -> _Found:
        """Return what belongs to a name, nothing yet where it is new."""
        return self.names.setdefault(name, _Found())


def load_day_curves(connection: sqlite3.Connection, by: By, devices: Sequence[str] | None = None) -> list[Curve]:
    """Return the curves that `load_curves` returns, of days, weeks or months, from the table `days`.

    A week's or month's estimate is the median of its days' medians, each weighed by its readings; a curve's sightings
    are the medians of a day in one light phase. devices: only what these saw.
    """
    began = not connection.in_transaction
    if began:
        connection.execute("BEGIN")  # days, and the log that some are made from, of one moment
    try:
        subjects, zones = load_subjects(connection), load_zones(connection)
        owners = Owners(subjects, zones)
        found = _sorted(load_days(connection, owners, zones, devices))
        events, models = load_events(connection), ModelNames(connection)
    finally:
        if began:
            connection.execute("ROLLBACK")
    _share_loose(found, owners)
    _say_what_is_left_out(found)
    known = {subject.subject: subject for subject in subjects}
    curves = []
    for name, own in sorted(found.names.items(), key=lambda item: (not item[0][1], in_order(item[0][0]))):
        marks = list(
            chain.from_iterable(_marks(place, own, name, owners, models, events) for place in sorted(own.places))
        )
        curve = _curve(name, known.get(name[0]) if name[1] else None, own, found, marks, zones, by)
        curves.append(replace(curve, refused=tuple(found.refused.get(name, Counter()).most_common())))
    return curves


def gather_days(
    seen: Iterable[DayRow], captured: Iterable[DayRow], by: By, born: date | None, zone: Any
) -> tuple[Window, ...]:
    """Return the windows of days in which the cage was captured at least once, in order."""
    windows: dict[date, tuple[list[DayRow], list[DayRow]]] = {}
    for index, rows in enumerate((seen, captured)):
        for row in rows:
            if row.accepted or index:
                windows.setdefault(start_of(date.fromisoformat(row.day), by), ([], []))[index].append(row)
    return tuple(_window(begins, *windows[begins], by, born, zone) for begins in sorted(windows))


def _sorted(rows: Sequence[DayRow]) -> _Sorted:
    found = _Sorted()
    for row in rows:
        place = (row.device, row.cage)
        if row.kind == PLACE:
            if row.strain:
                found.strains[place] = row.strain
            found.notices.setdefault(place, set()).update(json.loads(row.notices))
            continue
        if row.kind == LEFT_OUT:
            found.out.setdefault((place, row.reason, tuple(json.loads(row.about))), []).append(row)
            continue
        named = row.kind == ANIMAL
        name = (row.name, named)
        if row.refused != "{}":
            found.refused.setdefault(name, Counter()).update(json.loads(row.refused))
        if row.seen:
            found.of(name).sightings.setdefault(place, []).append(row)
        if row.captures:
            captures = found.of(name).captures if named else found.loose
            captures.setdefault(place, []).append(row)
    return found


def _share_loose(found: _Sorted, owners: Owners) -> None:
    """Give captures that are no one animal's to all that were seen in the cage, within their dates: whole days."""
    for place, rows in found.loose.items():
        here = [(name, own) for name, own in found.names.items() if place in own.sightings]
        for (name, named), own in here or [((place[1], False), found.of((place[1], False)))]:
            bounds = owners.lifetime(name, place[0]) if named else None
            days = [row for row in rows if bounds is None or not bounds.outside(row.first_s or 0.0)]
            own.captures.setdefault(place, []).extend(days)
            own.captures[place].sort(key=lambda row: (row.first_s or 0.0, row.name))


def _say_what_is_left_out(found: _Sorted) -> None:
    for (place, reason, about), rows in sorted(found.out.items()):
        first, last = min(row.first_s or 0.0 for row in rows), max(row.last_s or 0.0 for row in rows)
        text = LeftOut(*place, reason, about, _time(first), _time(last), sum(row.captures for row in rows))
        names: list[Name] = [(name, True) for name in about]
        if reason in CONTRADICTIONS:
            names.append((place[1], False))
        names = names or [name for name, own in found.names.items() if place in own.places]
        for name in names or [(place[1], False)]:
            found.of(name).left_out.append(text)


def _curve(
    name: Name, subject: Subject | None, own: _Found, found: _Sorted, marks: list[Mark], zones: Zones, by: By
) -> Curve:
    born = day_of(subject.date_of_birth) if subject else None
    seen = sorted(chain.from_iterable(own.sightings.values()), key=lambda row: (row.day, row.device, row.cage))
    captured = sorted(chain.from_iterable(own.captures.values()), key=lambda row: row.first_s or 0.0)
    places = own.places or {(left.device, left.cage) for left in own.left_out}
    devices, cages = sorted({device for device, _ in places}), sorted({cage for _, cage in places})
    zone = zones.of(devices[0] if devices else None)
    windows = gather_days(seen, captured, by, born, zone)
    outcomes: Counter[str] = Counter()
    for row in captured:
        outcomes.update(json.loads(row.outcomes))
    counted = Counted(
        accepted=sum(row.accepted for row in seen),
        outcomes=tuple(outcomes.most_common()),
        first=_time(min(row.first_s or 0.0 for row in captured)) if captured else None,
        last=_time(max(row.last_s or 0.0 for row in captured)) if captured else None,
        weeks=windows if by == "week" else gather_days(seen, captured, "week", born, zone),
    )
    return Curve(
        name=name[0],
        named=name[1],
        device=", ".join(devices),
        cage=", ".join(cages),
        strain=(subject.strain if subject else None)
        or next((found.strains[place] for place in places if place in found.strains), None),
        sex=subject.sex if subject else None,
        born=born,
        died=day_of(subject.date_of_death) if subject else None,
        sightings=tuple(chain.from_iterable(map(_sightings, seen))),
        captures=(),
        windows=windows,
        marks=tuple(sorted([*marks, *find_rejuvenations(windows, marks)], key=lambda mark: mark.at)),
        notices=tuple(sorted(set(chain.from_iterable(found.notices.get(place, ()) for place in own.places)))),
        arrived=day_of(subject.date_of_arrival) if subject else None,
        left=day_of(subject.date_of_departure) if subject else None,
        left_out=tuple(own.left_out),
        zone=zone,
        counted=counted,
    )


def _sightings(row: DayRow) -> list[Sighting]:
    """Return a day's median in each light phase."""
    if row.seen_s is None:
        return []
    at = _time(row.seen_s)
    ages = json.loads(row.by_light)
    return [Sighting(at, light, True, ages[light], row.low_days, row.high_days, None) for light in sorted(ages)]


def _marks(
    place: Place,
    own: _Found,
    name: Name,
    owners: Owners,
    models: ModelNames,
    events: dict[str, list[tuple[str, Mark]]],
) -> Iterable[Mark]:
    """Return what happened to the camera, the model and the cage while the animal lived there."""
    rows = own.captures.get(place, [])
    yield from _model_changes(rows, place[0], models)
    yield from _silences(rows)
    bounds = owners.lifetime(name[0], place[0]) if name[1] else None
    first = _time(rows[0].first_s or 0.0) if rows else None
    for code, mark in events.get(place[0], []):
        if code == "epoch_begun" and (first is None or mark.at <= first):
            continue  # every database begins with one
        if bounds is None or not bounds.outside(mark.at.timestamp()):
            yield mark


def _model_changes(rows: Sequence[DayRow], device: str, models: ModelNames) -> Iterable[Mark]:
    before: str | None = None
    for at_s, digest in sorted(tuple(pair) for row in rows for pair in json.loads(row.models)):
        now = models.present(device, digest)
        if now is not None and before is not None and now != before:
            yield Mark(_time(at_s), "model", f"model {before[:8]} → {now[:8]}")
        before = now or before


def _silences(rows: Sequence[DayRow]) -> Iterable[Mark]:
    """Return a mark for each stretch without captures, as `station.curves.curve.silences` does of single captures.

    The usual distance is the median of the days' medians, each weighed by its captures, and of the nights between.
    """
    spans = sorted((row.first_s, row.last_s) for row in rows if row.first_s is not None and row.last_s is not None)
    between = [(end, begin) for (_, end), (begin, _) in pairwise(spans) if begin > end]
    weights = [(row.step_s, row.captures - 1) for row in rows if row.step_s is not None]
    weights += [(begin - end, 1) for end, begin in between]
    if sum(weight for _, weight in weights) < _FEWEST_DISTANCES:
        return
    limit_s = max(5 * (weighted_median(weights) or 0.0), LONG_S)
    gaps = sorted({*between, *((begin, end) for row in rows for begin, end in json.loads(row.gaps))})
    for begin, end in gaps:
        if end - begin > limit_s:
            yield Mark(_time(begin), "gap", f"no captures for {(end - begin) / 86400:.1f} days", _time(end))


def _window(
    begins: date, seen: Sequence[DayRow], due: Sequence[DayRow], by: By, born: date | None, zone: Any
) -> Window:
    means = [(row.seen_s, row.accepted) for row in seen if row.seen_s is not None]
    means = means or [(row.mean_s, row.captures) for row in due if row.mean_s is not None]
    middle = _time(means[0][0] if len(means) == 1 else fsum(m * n for m, n in means) / sum(n for _, n in means))
    readings: Counter[str] = Counter()
    captures: Counter[str] = Counter()
    for row in seen:
        readings.update(json.loads(row.accepted_by_light))
    for row in due:
        captures.update(json.loads(row.captures_by_light))
    age = weighted_median([(row.age_days, row.accepted) for row in seen if row.age_days is not None])
    low = weighted_median([(row.low_days, row.accepted) for row in seen if row.low_days is not None])
    high = weighted_median([(row.high_days, row.accepted) for row in seen if row.high_days is not None])
    return Window(
        begins=begins,
        ends=end_of(begins, by),
        middle=middle,
        age_days=age,
        low_days=low,
        high_days=high,
        readings=dict(readings),
        captures=dict(captures),
        chronological_days=age_on(middle, born, zone) if born is not None else None,
    )


def weighted_median(values: Sequence[tuple[float, int]]) -> float | None:
    """Return the value with half of the weight on either side, the mean of two where it lies between them."""
    ordered = sorted(pair for pair in values if pair[1] > 0)
    if len({weight for _, weight in ordered}) == 1:
        return median(value for value, _ in ordered)
    half, passed = sum(weight for _, weight in ordered) / 2, 0
    for index, (value, weight) in enumerate(ordered):
        passed += weight
        if passed == half:
            return (value + ordered[index + 1][0]) / 2
        if passed > half:
            return value
    return None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
