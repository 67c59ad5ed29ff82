"""The law of the table `days`: however the log came about, it is what making every day anew from the log gives."""

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from random import Random

import msgspec
import pytest

from edge.contract.reading import Light, Outcome, Reading
from edge.errors import OperatorError
from station.curves.curve import Curve
from station.curves.days import load_day_curves
from station.curves.read import load_curves
from station.days.keep import rebuild, settle_all
from station.registry.housing import move_subject
from station.registry.reviews import Verdict, review
from station.registry.subjects import import_subjects
from station.registry.zones import set_zone
from station.store.message import Arrival
from station.store.schema import open_for_reading, open_for_writing
from station.store.store import Store
from tests.campaigns.campaign import quick_folder
from tests.station import samples
from tests.station.samples import EPOCH, arrival

DEVICES = ("cage-1", "cage-2")
ZONES = ("UTC", "Europe/Zurich", "+05:30", "-08:00")
EPOCHS = (EPOCH, "f" * 32)
COLUMNS = "subject,cage,date_of_birth,date_of_arrival"
SEEDS = int(os.environ.get("CAGECLOCK_HISTORIES", "3"))
"""Histories of each kind; more are a campaign."""


def reading_of(chance: Random) -> Arrival:
    """A reading of any kind: late, doubled under its number, of a clock that was not set, of one animal or two."""
    seq, device = chance.randint(2, 400), chance.choice(DEVICES)
    age, animals = float(chance.randint(0, 300)), chance.choice((0, 1, 1, 1, 1, 2))
    accepted, synced = chance.random() < 0.7, chance.random() < 0.7
    subject = chance.choice((None, None, None, "M1", "M2"))
    one = samples.reading(
        seq,
        device=device,
        cage=device,
        at=samples.START + timedelta(hours=chance.randint(0, 150)),
        accepted=accepted and animals == 1,
        age_days=age,
        synced=synced,
        boot="boot-1" if synced else chance.choice(("boot-2", "boot-3")),
        light=chance.choice((Light.LIGHT, Light.DARK)),
        model_sha=chance.choice(("a" * 64, "b" * 64)),
        outcome=Outcome.OK if animals else Outcome.NO_MOUSE,
        animals=tuple(samples.animal(age + n, accepted=accepted, subject=subject) for n in range(animals)),
    )
    return arrival(msgspec.structs.replace(one, expected_animals=chance.choice((1, 1, 1, 2))), seq, device=device)


def correction_of(chance: Random, uncertainty_s: float = 0.1) -> Arrival:
    """A clock record: of a boot of which there may be readings and other clock records, equally sure."""
    seq, device = chance.randint(401, 500), chance.choice(DEVICES)
    offset_s = samples.START.timestamp() + chance.choice((-2e6, 0.0, 1e5, 40_000.0, 2e5, 9e7))
    one = samples.correction(chance.choice(("boot-2", "boot-3")), offset_s, uncertainty_s)
    return arrival(msgspec.structs.replace(one, device_id=device), seq, device=device, epoch=chance.choice(EPOCHS))


def beginning_of(chance: Random, starts: int = 0) -> Arrival:
    """What `info` says of an epoch's start: starts order clock records that are equally sure."""
    device, epoch = chance.choice(DEVICES), chance.choice(EPOCHS)
    said = {
        "epoch": epoch,
        "publisher": "capture",
        "starts": starts or chance.randint(1, 9),
        "before": "",
        "before_last": 0,
    }
    return Arrival(device, "info", json.dumps({"epochs": [said]}).encode(), 1.8e9)


def change_of(kind: str, chance: Random) -> Sequence[object]:
    """What a person does: (kind, ...)."""
    name, day = chance.choice(("M1", "M2")), samples.START + timedelta(days=chance.randint(0, 6))
    if kind == "review":
        return kind, chance.random(), chance.choice((True, True, False)), chance.choice(("", "tail only"))
    if kind == "zone":
        return kind, chance.choice(ZONES), chance.choice(DEVICES)
    if kind == "move":
        return kind, name, chance.choice(DEVICES), day.date().isoformat()
    arrived = chance.choice(("(clear)", "2025-12-01", day.date().isoformat()))
    return kind, name, chance.choice(DEVICES), chance.choice(("(clear)", "2025-11-20")), arrived


RECORDS = {"reading": reading_of, "correction": correction_of, "beginning": beginning_of}
CHANGES = ("import", "move", "zone", "review")


def history_of(last: str, chance: Random) -> list[Sequence[object]]:
    """Batches of records and changes in any order; the last ones are of one kind, so that nothing hides them."""
    found: list[Sequence[object]] = [[correction_of(chance) for _ in range(6)]]
    for _ in range(8):
        kinds = chance.choices(list(RECORDS), (12, 2, 2), k=20)
        found.append([RECORDS[kind](chance) for kind in kinds])
        found.append(change_of(chance.choice(CHANGES), chance))
    chance.shuffle(found)
    found.append([reading_of(chance) for _ in range(60)])
    for number in range(4):
        if last == "correction":  # surer than all before, so that it holds
            found.append([correction_of(chance, 0.09 - 0.01 * number)])
        elif last == "beginning":  # later than all before, so that its clock records hold
            found.append([beginning_of(chance, 10 + number)])
        else:
            found.append([reading_of(chance)] if last == "reading" else change_of(last, chance))
    return found


def apply(data: Path, store: Store, step: Sequence[object]) -> None:
    if step[0] == "review":
        with closing(open_for_reading(data)) as connection:
            rows = connection.execute("SELECT device, epoch, seq FROM main.readings ORDER BY 1, 2, 3").fetchall()
        if rows:
            first = int(float(str(step[1])) * len(rows))
            keys = [(row[0], row[1], row[2]) for row in rows[first : first + 5]]
            review(data, "anna", keys, Verdict(usable=not step[2], reason=str(step[3])))
    elif step[0] == "zone":
        set_zone(data, str(step[1]), step[2])  # type: ignore[arg-type]
    elif step[0] == "move":
        with suppress(OperatorError):  # a move that the rules refuse changes nothing
            move_subject(data, str(step[1]), str(step[2]), None, str(step[3]))
    elif step[0] == "import":
        table = data / "animals.csv"
        table.write_text(f"{COLUMNS}\n{step[1]},{step[2]},{step[3]},{step[4]}\n")
        import_subjects(table, data)
    else:
        store.take(step)  # type: ignore[arg-type]
        store.take(step[: len(step) // 2])  # type: ignore[arg-type]


def days_of(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute("SELECT * FROM days ORDER BY 1, 2, 3, 4, 5, 6, 7").fetchall()]


def read(data: Path) -> list[Curve]:
    with closing(open_for_reading(data)) as connection:
        return load_day_curves(connection, "day")


def read_each(data: Path) -> list[Curve]:
    with closing(open_for_reading(data)) as connection:
        return load_curves(connection, "day")


def counts(curves: list[Curve]) -> list[object]:
    return [
        (
            *(curve.name, curve.named, curve.device, curve.cage, curve.accepted, sorted(curve.outcomes)),
            *(sorted(curve.refused), curve.left_out, curve.notices, curve.strain, curve.ends),
            [(window.begins, window.readings, window.captures) for window in curve.windows if curve.device in DEVICES],
        )
        for curve in curves
    ]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("last", [*RECORDS, *CHANGES])
def test_days_are_what_a_rebuild_makes_after_any_order_duplicate_correction_and_change_of_animals(
    last: str, seed: int
) -> None:
    """What waits is read as if it had been made, and once it is made it is exactly what a rebuild makes."""
    chance = Random(f"{last} {seed}")
    history, days_a_batch = history_of(last, chance), chance.choice((0, 3, 100, 100))
    with quick_folder() as data:
        with closing(Store.open(data)) as store:
            store.days_a_batch = days_a_batch
            for step in history:
                apply(data, store, step)
        seen = read(data)
        with closing(open_for_writing(data)) as connection:
            settle_all(connection)
            kept = days_of(connection)
            assert rebuild(connection) == len({row[:2] for row in kept})
            assert days_of(connection) == kept
        assert read(data) == seen
        assert counts(seen) == counts(read_each(data))


def test_a_reading_knows_its_day(tmp_path: Path) -> None:
    """A day begins at midnight in the room, and the median of a day is not its mean."""
    times_and_ages = [("21:30", 100.0), ("23:05", 90.0), ("23:15", 300.0), ("23:45", 95.0)]
    found: list[Reading] = []
    for seq, (clock, age) in enumerate(times_and_ages, start=1):
        hours, minutes = map(int, clock.split(":"))
        at = samples.START.replace(hour=hours, minute=minutes)
        found.append(samples.reading(seq, at=at, age_days=age, animals=(samples.animal(age, subject="M1"),)))
    with closing(Store.open(tmp_path)) as store:
        set_zone(tmp_path, "+01:00", None)
        store.take([arrival(one, seq) for seq, one in enumerate(found, start=1)])
    with closing(open_for_reading(tmp_path)) as connection:
        rows = connection.execute("SELECT day, age_days, accepted FROM days WHERE kind = 'animal'").fetchall()
    assert [tuple(row) for row in rows] == [("2026-01-05", 100.0, 1), ("2026-01-06", 95.0, 3)]
