"""One picture a week of an animal: its own, wherever it lived."""

from __future__ import annotations

from datetime import UTC, timedelta
from pathlib import Path

import msgspec

from station.page.lapse import find_shots
from station.page.read import devices_of_animal, log
from station.registry.attribution import Owners
from station.registry.housing import move_subject
from station.registry.subjects import import_subjects, load_subjects
from station.registry.zones import load_zones
from station.store.store import Store
from tests.station.samples import START, animal, arrival, picture, picture_arrival, reading

WEEK_H = 168


def send(
    store: Store, device: str, seq: int, hours: float, *, accepted: bool = True, pictured: bool = True, named: str = ""
) -> None:
    epoch, at = f"{device[-1]}" * 32, START + timedelta(hours=hours)
    shot = picture(seq, epoch, device) if pictured else None
    found = (animal(100.0, accepted=accepted, subject=None),)
    if named:  # a second animal of the picture, which its ear tag names
        tagged = msgspec.structs.replace(animal(100.0, subject=named), identity_method="ear_tag")
        found = (*found, tagged)
    one = reading(seq, device=device, cage=device, at=at, thumbnail=shot, accepted=accepted, animals=found)
    one = msgspec.structs.replace(one, expected_animals=len(found))
    messages = [arrival(one, seq, device=device, epoch=epoch)]
    store.take([*messages, picture_arrival(shot, device=device)] if shot is not None else messages)


def shots(data: Path, name: str) -> list[tuple[str, int]]:
    with log(data) as connection:
        subjects, zones = load_subjects(connection), load_zones(connection)
        devices = devices_of_animal(connection, name)
        subject = next(one for one in subjects if one.subject == name)
        found = find_shots(connection, devices, name, Owners(subjects, zones), subject, UTC)
    return [(shot.picture.device, shot.picture.seq) for shot in found]


def test_a_week_shows_an_accepted_reading_with_a_picture_and_the_animals_cage_of_then(tmp_path: Path) -> None:
    """START is a Monday noon; M1 moves to cage-2 in the third week; M2 lives there before."""
    store = Store.open(tmp_path)
    for device in ("cage-1", "cage-2"):
        for week in range(4):
            first = 10 * week + 1
            send(store, device, first, week * WEEK_H + 24.0)
            send(store, device, first + 1, week * WEEK_H + 72.0, accepted=False)  # nearer, not accepted
            send(store, device, first + 2, week * WEEK_H + 74.0, pictured=False)  # nearer, without a picture
    store.close()
    table = tmp_path / "animals.csv"
    left = (START + timedelta(hours=2 * WEEK_H - 48)).date()
    table.write_text(
        f"subject,date_of_birth,date_of_departure,cage\nM1,2025-10-01,,cage-1\nM2,2025-10-01,{left},cage-2\n"
    )
    assert import_subjects(table, tmp_path).refused == ()
    move_subject(tmp_path, "M1", "cage-2", None, (START + timedelta(hours=2 * WEEK_H)).date().isoformat())
    assert shots(tmp_path, "M1") == [("cage-1", 1), ("cage-1", 11), ("cage-2", 21), ("cage-2", 31)]
    assert shots(tmp_path, "M2") == [("cage-2", 1), ("cage-2", 11)]


def test_of_a_group_only_pictures_in_which_the_animal_was_named_are_its_own(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    send(store, "cage-1", 1, 24.0, named="M1")
    send(store, "cage-1", 2, 72.0, named="M2")
    send(store, "cage-1", 3, WEEK_H + 72.0, named="M2")
    store.close()
    table = tmp_path / "animals.csv"
    table.write_text("subject,date_of_birth,cage\nM1,2025-10-01,cage-1\nM2,2025-10-01,cage-1\n")
    assert import_subjects(table, tmp_path).refused == ()
    assert shots(tmp_path, "M1") == [("cage-1", 1)]
    assert shots(tmp_path, "M2") == [("cage-1", 2), ("cage-1", 3)]
