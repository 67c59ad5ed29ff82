"""The law of the table `days`: however the log came about, it is what making every day anew from the log gives."""

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.contract.reading import Light, Outcome, Reading
from edge.errors import OperatorError
from station.curves.curve import Curve
from station.curves.days import load_day_curves
from station.curves.read import load_curves
from station.days.keep import rebuild, settle_all
from station.registry.housing import move_subject
from station.registry.subjects import import_subjects
from station.registry.zones import set_zone
from station.store.message import Arrival
from station.store.schema import open_for_reading, open_for_writing
from station.store.store import Store
from tests.station import samples
from tests.station.samples import EPOCH, arrival

DEVICES = ("cage-1", "cage-2")
ZONES = ("UTC", "Europe/Zurich", "+05:30", "-08:00")
COLUMNS = "subject,cage,date_of_birth,date_of_arrival,date_of_departure"


@st.composite
def readings(draw: st.DrawFn) -> Arrival:
    seq = draw(st.integers(2, 60))
    device = draw(st.sampled_from(DEVICES))
    at = samples.START + timedelta(hours=draw(st.integers(0, 120)))
    age = float(draw(st.integers(0, 300)))
    subject = draw(st.sampled_from((None, None, "M1", "M2")))
    accepted, synced = draw(st.booleans()), draw(st.sampled_from((True, True, False)))
    animals = draw(st.sampled_from((0, 1, 1, 1, 2)))
    one = samples.reading(
        seq,
        device=device,
        cage=device,
        at=at,
        accepted=accepted and animals == 1,
        age_days=age,
        synced=synced,
        boot="boot-1" if synced else draw(st.sampled_from(("boot-2", "boot-3"))),
        light=draw(st.sampled_from((Light.LIGHT, Light.DARK))),
        model_sha=draw(st.sampled_from(("a" * 64, "b" * 64))),
        outcome=Outcome.OK if animals else Outcome.NO_MOUSE,
        animals=tuple(samples.animal(age + n, accepted=accepted, subject=subject) for n in range(animals)),
    )
    return arrival(msgspec.structs.replace(one, expected_animals=draw(st.sampled_from((1, 1, 2)))), seq, device=device)


@st.composite
def corrections(draw: st.DrawFn) -> Arrival:
    seq, device = draw(st.integers(61, 70)), draw(st.sampled_from(DEVICES))
    offset_s = samples.START.timestamp() + draw(st.sampled_from((-2e6, 0.0, 1e5, 40_000.0, 9e7)))
    one = samples.correction(draw(st.sampled_from(("boot-2", "boot-3"))), offset_s, draw(st.sampled_from((0.1, 1.0))))
    epoch = draw(st.sampled_from((EPOCH, "f" * 32)))
    return arrival(msgspec.structs.replace(one, device_id=device), seq, device=device, epoch=epoch)


@st.composite
def beginnings(draw: st.DrawFn) -> Arrival:
    """A link between epochs, which orders corrections that are equally sure."""
    device, epoch = draw(st.sampled_from(DEVICES)), draw(st.sampled_from((EPOCH, "f" * 32)))
    detail = {"before": "0" * 32, "last": 0, "starts": draw(st.integers(1, 5)), "reason": "start"}
    one = msgspec.structs.replace(samples.event(1, "epoch_begun", device=device), detail=detail)
    return arrival(one, 1, device=device, epoch=epoch)


day = st.integers(0, 6).map(lambda days: (samples.START + timedelta(days=days)).date().isoformat())
imports = st.tuples(
    st.just("import"), st.sampled_from(("M1", "M2")), st.sampled_from(DEVICES), st.sampled_from(("", "(clear)")), day
)
moves = st.tuples(st.just("move"), st.sampled_from(("M1", "M2")), st.sampled_from(DEVICES), day)
zones = st.tuples(st.just("zone"), st.sampled_from(ZONES), st.sampled_from((None, *DEVICES)))
batches = st.lists(st.one_of(readings(), readings(), readings(), corrections(), beginnings()), min_size=1, max_size=8)
steps = st.lists(st.one_of(batches, batches, batches, imports, moves, zones), min_size=2, max_size=10)


def apply(data: Path, store: Store, step: Sequence[object]) -> None:
    if step[0] == "zone":
        set_zone(data, str(step[1]), step[2])  # type: ignore[arg-type]
    elif step[0] == "move":
        with suppress(OperatorError):  # a move that the rules refuse changes nothing
            move_subject(data, str(step[1]), str(step[2]), None, str(step[3]))
    elif step[0] == "import":
        table = data / "animals.csv"
        table.write_text(f"{COLUMNS}\n{step[1]},{step[2]},{step[3]},{step[4]},\n")
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


@given(steps, st.sampled_from((0, 1, 10)))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_days_are_what_a_rebuild_makes_after_any_order_duplicate_correction_and_change_of_animals(
    history: list[Sequence[object]], days_a_batch: int
) -> None:
    """What waits is read as if it had been made, and once it is made it is exactly what a rebuild makes."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
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
