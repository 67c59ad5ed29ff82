"""Reads curves out of the station's database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import chain

from station.curve import By, Capture, Curve, Mark, Sighting, gather, model_changes, silences
from station.subjects import Subject, load_subjects

Place = tuple[str, str]
"""(device, cage)"""

_CAPTURES = """SELECT device, cage, at_s, light, outcome, model_sha256, strain FROM timed_readings ORDER BY at_s"""
_SIGHTINGS = """
SELECT r.device, r.cage, r.at_s, r.light, r.model_sha256, r.expected_animals,
       a.subject, a.accepted, a.estimate_days, a.interval_low_days, a.interval_high_days
FROM animals a JOIN timed_readings r USING (device, epoch, seq)
WHERE a.estimate_days IS NOT NULL AND (a.accepted = 1 OR :rejected) ORDER BY r.at_s"""
_EVENTS = """
SELECT device, at_s, code, text FROM timed_events
WHERE code IN ('camera_moved', 'camera_changed', 'database_set_aside', 'epoch_begun') ORDER BY at_s"""
_RENAMED = "SELECT device, detail FROM events WHERE code = 'model_changed' AND detail LIKE '%same_model%'"
_CONFLICTS = """
SELECT c.device, min(coalesce(r.at_s, c.received_at)) AS at_s, count(*) AS number
FROM conflicts c LEFT JOIN timed_readings r USING (device, epoch, seq) GROUP BY c.device"""
_NOTICES = (
    "SELECT DISTINCT device, cage, model_notice FROM readings WHERE model_notice IS NOT NULL AND model_notice != ''"
)


def load_curves(connection: sqlite3.Connection, by: By, *, include_rejected: bool = False) -> list[Curve]:
    """Return a curve for each named animal, and one for each cage whose animals are not told apart.

    An unnamed animal counts as the table's subject of that cage only where one animal is expected and one is listed.
    """
    subjects = load_subjects(connection)
    names = _present_names(connection)
    captures: dict[Place, list[Capture]] = {}
    strains: dict[Place, str] = {}
    for row in connection.execute(_CAPTURES).fetchall():
        place = (row["device"], row["cage"])
        captures.setdefault(place, []).append(
            Capture(_time(row["at_s"]), row["light"], row["outcome"], _named(names, row))
        )
        if row["strain"]:
            strains[place] = row["strain"]
    seen = _sightings(connection, subjects, names, include_rejected)
    shown_places = {place for places in seen.values() for place in places}
    for place in captures:
        if place not in shown_places:
            # Nothing accepted yet: the curve is empty, its captures are shown all the same.
            name = _only_subject(subjects, place)
            seen.setdefault((name or place[1], name is not None), {})[place] = []
    marks = _marks(connection, captures)
    notices: dict[Place, list[str]] = {}
    for row in connection.execute(_NOTICES).fetchall():
        notices.setdefault((row["device"], row["cage"]), []).append(row["model_notice"])
    known = {subject.subject: subject for subject in subjects}
    curves = []
    for (name, named), places in sorted(seen.items(), key=lambda item: (not item[0][1], item[0][0])):
        subject = known.get(name) if named else None
        curves.append(_curve(name, named, subject, places, captures, strains, marks, notices, by))
    return curves


def _sightings(
    connection: sqlite3.Connection,
    subjects: Sequence[Subject],
    names: dict[tuple[str, str], str],
    include_rejected: bool,
) -> dict[tuple[str, bool], dict[Place, list[Sighting]]]:
    seen: dict[tuple[str, bool], dict[Place, list[Sighting]]] = {}
    for row in connection.execute(_SIGHTINGS, {"rejected": include_rejected}).fetchall():
        place = (row["device"], row["cage"])
        name = row["subject"] or (_only_subject(subjects, place) if row["expected_animals"] == 1 else None)
        sighting = Sighting(
            at=_time(row["at_s"]),
            light=row["light"],
            accepted=bool(row["accepted"]),
            age_days=row["estimate_days"],
            low_days=row["interval_low_days"],
            high_days=row["interval_high_days"],
            model_sha256=_named(names, row),
        )
        seen.setdefault((name or row["cage"], name is not None), {}).setdefault(place, []).append(sighting)
    return seen


def _curve(
    name: str,
    named: bool,
    subject: Subject | None,
    places: dict[Place, list[Sighting]],
    captures: dict[Place, list[Capture]],
    strains: dict[Place, str],
    marks: dict[Place, list[Mark]],
    notices: dict[Place, list[str]],
    by: By,
) -> Curve:
    born = date.fromisoformat(subject.date_of_birth) if subject and subject.date_of_birth else None
    died = date.fromisoformat(subject.date_of_death) if subject and subject.date_of_death else None
    sightings = sorted(chain.from_iterable(places.values()), key=lambda found: found.at)
    slots = sorted(chain.from_iterable(captures.get(place, []) for place in places), key=lambda found: found.at)
    own_marks = sorted(chain.from_iterable(marks.get(place, []) for place in places), key=lambda found: found.at)
    said = sorted(set(chain.from_iterable(notices.get(place, []) for place in places)))
    devices, cages = sorted({device for device, _ in places}), sorted({cage for _, cage in places})
    return Curve(
        name=name,
        named=named,
        device=", ".join(devices),
        cage=", ".join(cages),
        strain=(subject.strain if subject else None) or next((strains[p] for p in places if p in strains), None),
        sex=subject.sex if subject else None,
        born=born,
        died=died,
        sightings=tuple(sightings),
        captures=tuple(slots),
        windows=gather(sightings, slots, by, born),
        marks=tuple(own_marks),
        notices=tuple(said),
    )


def _marks(connection: sqlite3.Connection, captures: dict[Place, list[Capture]]) -> dict[Place, list[Mark]]:
    marks = {place: model_changes(slots) + silences(slots) for place, slots in captures.items()}
    by_device: dict[str, list[Place]] = {}
    for place in captures:
        by_device.setdefault(place[0], []).append(place)
    for row in connection.execute(_EVENTS).fetchall():
        for place in by_device.get(row["device"], []):
            first = captures[place][0].at
            if row["code"] == "epoch_begun" and _time(row["at_s"]) <= first:
                continue  # every database begins with one
            kind = "camera" if row["code"].startswith("camera") else "database"
            marks[place].append(Mark(_time(row["at_s"]), kind, row["text"]))
    for row in connection.execute(_CONFLICTS).fetchall():
        for place in by_device.get(row["device"], []):
            marks[place].append(Mark(_time(row["at_s"]), "conflict", f"{row['number']} conflicting records"))
    return marks


def _present_names(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """Return by device and former digest the present digest of the same model, as the device's events say it.

    Earlier versions named a model by its file's digest, later ones by its signed manifest's: that is no other model.
    """
    names = {}
    for row in connection.execute(_RENAMED).fetchall():
        detail = json.loads(row["detail"])
        if detail.get("same_model") is True:
            names[row["device"], str(detail.get("before"))] = str(detail.get("now"))
    return names


def _named(names: dict[tuple[str, str], str], row: sqlite3.Row) -> str | None:
    sha256: str | None = row["model_sha256"]
    return None if sha256 is None else names.get((row["device"], sha256), sha256)


def _only_subject(subjects: Sequence[Subject], place: Place) -> str | None:
    device, cage = place
    here = [
        subject.subject
        for subject in subjects
        if (subject.cage == cage or (subject.cage is None and subject.device == device))
        and subject.device in (None, device)
    ]
    return here[0] if len(here) == 1 else None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
