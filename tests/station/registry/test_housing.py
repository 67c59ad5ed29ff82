"""An animal that moves keeps its earlier readings, and the cage it left is no longer its own."""

from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import OperatorError
from station.curves.read import load_curves
from station.registry.attribution import Owners, Sight
from station.registry.housing import move, move_subject
from station.registry.subject import Subject
from station.registry.subjects import load_subjects
from station.registry.zones import Zones
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.station.samples import START, days

DAY = "2026-01-10"
NOON_S = START.timestamp()
M1 = Subject("M1", cage="cage-1", date_of_arrival="2026-01-01")


def whose(subjects: list[Subject], cage: str, day: float, named: str | None = None) -> tuple[str | None, str]:
    sight = Sight(cage, cage, NOON_S + 86400 * day, "synchronised", 1, 1, named, "single_housed" if named else "none")
    found = Owners(subjects, Zones()).whose(sight)
    return found.subject, found.reason


def test_before_its_move_an_animal_is_in_the_old_cage_and_after_it_in_the_new_one() -> None:
    moved = [move(M1, "cage-2", None, DAY)]  # five days after START
    assert whose(moved, "cage-1", 2) == ("M1", "")
    assert whose(moved, "cage-2", 2) == (None, "before_arrival")
    assert whose(moved, "cage-1", 8) == (None, "after_departure")
    assert whose(moved, "cage-2", 8) == ("M1", "")


def test_settings_that_still_name_an_animal_that_moved_away_name_nobody() -> None:
    moved = [move(M1, "cage-2", None, DAY)]
    assert whose(moved, "cage-1", 8, named="M1") == (None, "after_departure")
    assert whose(moved, "cage-1", 2, named="M1") == ("M1", "")
    assert whose([*moved, Subject("M2", cage="cage-1", date_of_arrival=DAY)], "cage-1", 8, named="M1") == ("M2", "")


def test_two_that_change_places_share_the_day_so_that_it_is_neithers() -> None:
    both = [move(M1, "cage-2", None, DAY), move(Subject("M2", cage="cage-2"), "cage-1", None, DAY)]
    assert whose(both, "cage-1", 5)[1] == "several_animals"
    assert [whose(both, "cage-1", day)[0] for day in (4, 6)] == ["M1", "M2"]


def test_there_and_back_again_is_twice_the_same_cage() -> None:
    back = [move(move(M1, "cage-2", None, DAY), "cage-1", None, "2026-01-15")]
    assert [whose(back, "cage-1", day)[0] for day in (2, 7, 12)] == ["M1", None, "M1"]


@pytest.mark.parametrize(
    ("cage", "day", "words"),
    [
        ("cage-2", "10.01.2026", "YYYY-MM-DD"),
        ("cage-2", "2025-12-31", "came into its present cage"),
        ("cage-2", "2099-01-01", "after today"),
        ("cage-1", DAY, "lives there already"),
        (None, DAY, "got nothing"),
    ],
)
def test_a_move_that_cannot_be_is_refused_with_what_was_expected(cage: str | None, day: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        move(M1, cage, None, day)


def test_a_move_is_kept_and_its_curve_goes_on_over_both_cages(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.take(days([(day, 100.0 + day) for day in range(5)], device="cage-1"))
    store.take(days([(day, 100.0 + day) for day in range(6, 10)], device="cage-2"))
    store.close()
    from station.registry.subjects import import_subjects

    (tmp_path / "animals.csv").write_text("subject,cage\nM1,cage-1\n")
    import_subjects(tmp_path / "animals.csv", tmp_path)
    move_subject(tmp_path, "M1", "cage-2", None, "2026-01-10")
    with closing(open_for_reading(tmp_path)) as connection:
        (subject,) = load_subjects(connection)
        (curve,) = load_curves(connection, "day")
    assert (subject.cage, subject.stays[0].cage, subject.stays[0].until) == ("cage-2", "cage-1", "2026-01-10")
    assert (curve.name, len(curve.sightings)) == ("M1", 9)
