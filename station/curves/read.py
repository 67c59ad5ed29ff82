"""Reads curves out of the station's database."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain

from station.curves.curve import (
    By,
    Capture,
    Curve,
    LeftOut,
    Mark,
    Sighting,
    gather,
    model_changes,
    rejuvenations,
    silences,
)
from station.curves.model_names import ModelNames
from station.registry.attribution import CONTRADICTIONS, Owners, Sight, Whose
from station.registry.lifetime import Lifetime, day_of
from station.registry.subject import Subject
from station.registry.subjects import load_subjects
from station.registry.zones import Zones, load_zones
from station.store.chain import find_copied

Place = tuple[str, str]
"""(device, cage)"""

Name = tuple[str, bool]
"""An animal's name and true, or a cage's and false."""

_READINGS = """
SELECT r.device, r.cage, r.epoch, r.seq, r.at_s, r.time_basis, r.light, r.outcome, r.model_sha256, r.strain,
       r.expected_animals, r.found_animals, a.number, a.subject, a.identity_method, a.accepted, a.reject_reasons,
       a.estimate_days, a.interval_low_days, a.interval_high_days
FROM timed_readings r LEFT JOIN animals a USING (device, epoch, seq)
ORDER BY r.time_basis != 'unsynchronised', CASE r.time_basis WHEN 'unsynchronised' THEN 0 ELSE r.at_s END,
    r.device, r.starts, r.seq, r.epoch, a.number"""
"""By time. Boots that never got the time have no order but that of the starts; an epoch's name says nothing,
but with it the order is the same each time."""
_EVENTS = """
SELECT device, at_s, code, text FROM timed_events
WHERE code IN ('camera_moved', 'camera_changed', 'database_set_aside', 'epoch_begun', 'restored_card')
  AND NOT (code = 'epoch_begun' AND json_valid(detail) AND json_extract(detail, '$.reason') IS 'start')
  AND time_basis IN ('synchronised', 'corrected') ORDER BY at_s"""
_CONFLICTS = """
SELECT c.device, count(*) AS number,
       min(CASE WHEN r.time_basis IN ('synchronised', 'corrected') THEN r.at_s ELSE c.received_at END) AS at_s
FROM conflicts c LEFT JOIN timed_readings r USING (device, epoch, seq) GROUP BY c.device"""
_NOTICES = (
    "SELECT DISTINCT device, cage, model_notice FROM readings WHERE model_notice IS NOT NULL AND model_notice != ''"
)


@dataclass(slots=True)
class _Found:
    """What belongs to one animal or cage: sightings and captures by place."""

    sightings: dict[Place, list[Sighting]] = field(default_factory=dict)
    captures: dict[Place, list[Capture]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def places(self) -> set[Place]:
        """Where it was seen, or where a capture was due for it."""
        return {*self.sightings, *self.captures}


@dataclass(slots=True)
class _Sorted:
    """All readings, each given to whom it belongs.

    loose: captures that the table gives to no one animal, by place. out: readings that are left out, by place, reason
    and whom it is about. refused: reasons of the estimates that were not accepted.
    """

    models: ModelNames
    names: dict[Name, _Found] = field(default_factory=dict)
    loose: dict[Place, list[Capture]] = field(default_factory=dict)
    out: dict[tuple[Place, str, tuple[str, ...]], list[datetime]] = field(default_factory=dict)
    refused: dict[Name, Counter[str]] = field(default_factory=dict)
    strains: dict[Place, str] = field(default_factory=dict)

    def of(self, name: Name) -> _Found:
        """Return what belongs to a name, nothing yet where it is new."""
        return self.names.setdefault(name, _Found())


def load_curves(connection: sqlite3.Connection, by: By, *, include_rejected: bool = False) -> list[Curve]:
    """Return a curve for each named animal, and one for each cage whose animals are not told apart.

    An unnamed animal counts as the table's subject of that cage only where one animal is expected and the table has
    one there at that time. What lies outside an animal's dates, and what a clock that was never set has labelled, is on
    no curve; the curve that would have had it says so in `left_out`.
    """
    subjects, zones = load_subjects(connection), load_zones(connection)
    owners = Owners(subjects, zones)
    found = _sorted(connection, owners, include_rejected)
    _share_loose_captures(found, owners)
    _say_what_is_left_out(found)
    events, notices = load_events(connection), _notices(connection)
    known = {subject.subject: subject for subject in subjects}
    curves = []
    for name, own in sorted(found.names.items(), key=lambda item: (not item[0][1], in_order(item[0][0]))):
        subject = known.get(name[0]) if name[1] else None
        marks = list(chain.from_iterable(_marks(place, own, name, owners, events) for place in sorted(own.places)))
        curve = _curve(name, subject, own, found.strains, marks, notices, zones, by)
        refused = found.refused.get(name, Counter()).most_common()
        curves.append(replace(curve, refused=tuple(refused)))
    return curves


def _sorted(connection: sqlite3.Connection, owners: Owners, include_rejected: bool) -> _Sorted:
    found = _Sorted(ModelNames(connection))
    rows = connection.execute(_READINGS).fetchall()
    readings: dict[tuple[str, str, int], list[sqlite3.Row]] = {}
    for row in rows:
        readings.setdefault((row["device"], row["epoch"], row["seq"]), []).append(row)
    for animals in readings.values():
        first = animals[0]
        place = (first["device"], first["cage"])
        if first["strain"]:
            found.strains[place] = first["strain"]
        slot = owners.whose(_sight(first, named=False))
        answers = [slot]
        if first["number"] is not None:
            answers = [owners.whose(_sight(row, named=True)) for row in animals]
        for row, answer in zip(animals, answers, strict=True):
            if row["number"] is not None and not answer.nobodys:
                _take_sighting(found, place, row, answer, include_rejected)
        _take_capture(found, place, first, slot, answers)
    return found


def _take_sighting(found: _Sorted, place: Place, row: sqlite3.Row, answer: Whose, include_rejected: bool) -> None:
    name = (answer.subject or place[1], answer.subject is not None)
    if not row["accepted"]:
        found.refused.setdefault(name, Counter()).update(row["reject_reasons"].split())
        if answer.subject is not None:
            found.of(name).sightings.setdefault(place, [])  # an animal of which nothing is accepted has a curve too
    if row["estimate_days"] is not None and (row["accepted"] or include_rejected):
        model = found.models.present(place[0], row["model_sha256"])
        found.of(name).sightings.setdefault(place, []).append(_sighting(row, model))


def _take_capture(found: _Sorted, place: Place, row: sqlite3.Row, slot: Whose, answers: Sequence[Whose]) -> None:
    at = _time(row["at_s"])
    for answer in answers:
        if answer.nobodys or answer.reason in CONTRADICTIONS:
            times = found.out.setdefault((place, answer.reason, answer.about), [])
            times.append(at)
            break
    if all(answer.nobodys for answer in answers):
        return
    model = found.models.present(place[0], row["model_sha256"])
    capture = Capture(at, row["light"], row["outcome"], model)
    if slot.subject is not None and all(
        answer.subject in (None, slot.subject) and answer.reason not in CONTRADICTIONS for answer in answers
    ):
        found.of((slot.subject, True)).captures.setdefault(place, []).append(capture)
    else:
        found.loose.setdefault(place, []).append(capture)


def _share_loose_captures(found: _Sorted, owners: Owners) -> None:
    """Give each capture that is no one animal's to all that were seen in its cage, within their dates."""
    for place, captures in found.loose.items():
        here = [(name, own) for name, own in found.names.items() if place in own.sightings]
        if not here:
            # Nothing accepted yet: the curve is empty, its captures are shown all the same.
            here = [((place[1], False), found.of((place[1], False)))]
        for (name, named), own in here:
            bounds = owners.lifetime(name, place[0]) if named else None
            own.captures.setdefault(place, []).extend(capture for capture in captures if _within(bounds, capture.at))
            own.captures[place].sort(key=lambda capture: capture.at)


def _say_what_is_left_out(found: _Sorted) -> None:
    for (place, reason, about), times in sorted(found.out.items()):
        text = LeftOut(*place, reason, about, min(times), max(times), len(times))
        names: list[Name] = [(name, True) for name in about]
        if reason in CONTRADICTIONS:
            names.append((place[1], False))
        names = names or [name for name, own in found.names.items() if place in own.places]
        for name in names or [(place[1], False)]:
            found.of(name).left_out.append(text)


def _curve(
    name: Name,
    subject: Subject | None,
    own: _Found,
    strains: dict[Place, str],
    marks: list[Mark],
    notices: dict[Place, list[str]],
    zones: Zones,
    by: By,
) -> Curve:
    born = day_of(subject.date_of_birth) if subject else None
    sightings = sorted(chain.from_iterable(own.sightings.values()), key=lambda found: found.at)
    slots = sorted(chain.from_iterable(own.captures.values()), key=lambda found: found.at)
    places = own.places or {(left.device, left.cage) for left in own.left_out}
    devices, cages = sorted({device for device, _ in places}), sorted({cage for _, cage in places})
    zone = zones.of(devices[0] if devices else None)
    windows = gather(sightings, slots, by, born, zone)
    said = sorted(set(chain.from_iterable(notices.get(place, []) for place in own.places)))
    return Curve(
        name=name[0],
        named=name[1],
        device=", ".join(devices),
        cage=", ".join(cages),
        strain=(subject.strain if subject else None) or next((strains[p] for p in places if p in strains), None),
        sex=subject.sex if subject else None,
        born=born,
        died=day_of(subject.date_of_death) if subject else None,
        sightings=tuple(sightings),
        captures=tuple(slots),
        windows=windows,
        marks=tuple(sorted([*marks, *rejuvenations(windows, marks)], key=lambda found: found.at)),
        notices=tuple(said),
        arrived=day_of(subject.date_of_arrival) if subject else None,
        left=day_of(subject.date_of_departure) if subject else None,
        left_out=tuple(own.left_out),
        zone=zone,
    )


def _marks(
    place: Place, own: _Found, name: Name, owners: Owners, events: dict[str, list[tuple[str, Mark]]]
) -> Iterator[Mark]:
    """Return what happened to the camera, the model and the cage while the animal lived there."""
    slots = own.captures.get(place, [])
    yield from model_changes(slots)
    yield from silences(slots)
    bounds = owners.lifetime(name[0], place[0]) if name[1] else None
    for code, mark in events.get(place[0], []):
        if code == "epoch_begun" and (not slots or mark.at <= slots[0].at):
            continue  # every database begins with one
        if _within(bounds, mark.at):
            yield mark


def load_events(connection: sqlite3.Connection) -> dict[str, list[tuple[str, Mark]]]:
    """Return what happened to each device that a curve's reader must know, with its code."""
    found: dict[str, list[tuple[str, Mark]]] = {}
    for row in connection.execute(_EVENTS).fetchall():
        kind = "camera" if row["code"].startswith("camera") else "database"
        found.setdefault(row["device"], []).append((row["code"], Mark(_time(row["at_s"]), kind, row["text"])))
    for device, at_s in find_copied(connection):
        mark = Mark(_time(at_s), "database", "a copied card, or an older copy put back")
        found.setdefault(device, []).append(("", mark))
    for row in connection.execute(_CONFLICTS).fetchall():
        mark = Mark(_time(row["at_s"]), "conflict", f"{row['number']} conflicting records")
        found.setdefault(row["device"], []).append(("", mark))
    return found


def _notices(connection: sqlite3.Connection) -> dict[Place, list[str]]:
    found: dict[Place, list[str]] = {}
    for row in connection.execute(_NOTICES).fetchall():
        found.setdefault((row["device"], row["cage"]), []).append(row["model_notice"])
    return found


def _sight(row: sqlite3.Row, *, named: bool) -> Sight:
    """Return what is known of a row's animal; named: as the device names it, else of the reading as a whole."""
    reading = (row["device"], row["cage"], row["at_s"], row["time_basis"], row["expected_animals"])
    if not named:
        return Sight(*reading, 0)
    return Sight(*reading, row["found_animals"], row["subject"], row["identity_method"])


def _sighting(row: sqlite3.Row, model: str | None) -> Sighting:
    """Return an estimate; ages begin at 0, also where an interval was put symmetrically around a young one.

    Without an interval there is none: an age alone is no interval of width 0.
    """
    age = max(0.0, row["estimate_days"])
    low, high = (
        None if row[name] is None else max(0.0, row[name]) for name in ("interval_low_days", "interval_high_days")
    )
    return Sighting(_time(row["at_s"]), row["light"], bool(row["accepted"]), age, low, high, model)


def in_order(name: str) -> list[tuple[int, str]]:
    """Return what sorts M2 before M10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _within(bounds: Lifetime | None, at: datetime) -> bool:
    return bounds is None or not bounds.outside(at.timestamp())


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
