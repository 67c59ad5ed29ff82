"""A reading is an animal's only within the animal's dates; what contradicts itself is not guessed."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from edge.errors import OperatorError
from station.curves.curve import Curve, fit_trend
from station.curves.read import load_curves
from station.curves.text_table import draw_table
from station.registry.attribution import Owners, Sight, Whose
from station.registry.subject import Subject
from station.registry.subjects import import_subjects
from station.registry.zones import Zones, set_zone, zone_of
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.station import samples

NOON = datetime(2026, 1, 20, 12, tzinfo=UTC)


def sight(at: datetime = NOON, named: str | None = None, method: str = "single_housed", **more: object) -> Sight:
    values = {"device": "d1", "cage": "c1", "time_basis": "synchronised", "expected": 1, "found": 1} | more
    return Sight(at_s=at.timestamp(), named=named, method=method if named else "none", **values)


def owners(*subjects: Subject, zone: object = UTC) -> Owners:
    return Owners(subjects, Zones(zone))


def day(number: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, 1, number, hour, minute, tzinfo=UTC)


M1 = Subject("M1", cage="c1", date_of_birth="2025-01-01", date_of_death="2026-01-15")
M2 = Subject("M2", cage="c1", date_of_birth="2025-12-01", date_of_arrival="2026-01-18")


@pytest.mark.parametrize(
    ("at", "whose"),
    [
        (day(14), Whose("M1")),
        (day(15, 23, 59), Whose("M1")),  # the day of death still counts
        (day(16, 0), Whose(None, "no_animal_then", ("M1", "M2"))),
        (day(17, 23, 59), Whose(None, "no_animal_then", ("M1", "M2"))),
        (day(18, 0), Whose("M2")),  # the day of arrival counts already
        (datetime(2024, 12, 31, 12, tzinfo=UTC), Whose(None, "no_animal_then", ("M1", "M2"))),
    ],
)
def test_a_cage_is_first_the_one_animal_s_then_nobody_s_then_the_other_s(at: datetime, whose: Whose) -> None:
    assert owners(M1, M2).whose(sight(at)) == whose


@pytest.mark.parametrize(
    ("dates", "at", "reason"),
    [
        ({"date_of_birth": "2026-01-10"}, day(9), "before_birth"),
        ({"date_of_birth": "2026-01-10"}, day(10, 0), ""),
        ({"date_of_birth": "2025-06-01", "date_of_arrival": "2026-01-10"}, day(9, 23, 59), "before_arrival"),
        ({"date_of_departure": "2026-01-10"}, day(10, 23, 59), ""),
        ({"date_of_departure": "2026-01-10"}, day(11, 0), "after_departure"),
        ({"date_of_departure": "2026-01-10", "date_of_death": "2026-01-12"}, day(20), "after_departure"),
        ({"date_of_death": "2026-01-10"}, day(11, 0), "after_death"),
        ({}, day(11), ""),
    ],
)
@pytest.mark.parametrize("named", [None, "M1"])
def test_each_date_bounds_an_animal_whether_the_device_or_the_table_names_it(
    dates: dict[str, str], at: datetime, reason: str, named: str | None
) -> None:
    found = owners(Subject("M1", cage="c1", **dates)).whose(sight(at, named))
    assert found == (Whose(None, reason, ("M1",)) if reason else Whose("M1"))


def test_a_day_begins_in_the_zone_of_the_room() -> None:
    kiritimati = ZoneInfo("Pacific/Kiritimati")  # 14 hours before UTC
    subject = Subject("M1", cage="c1", date_of_arrival="2026-01-10")
    assert owners(subject, zone=kiritimati).whose(sight(day(9, 10))) == Whose("M1")
    assert owners(subject, zone=kiritimati).whose(sight(day(9, 9, 59))).reason == "before_arrival"


def test_settings_that_still_name_the_dead_animal_do_not_keep_its_successor_s_readings() -> None:
    assert owners(M1, M2).whose(sight(day(20), "M1")) == Whose("M2")


def test_an_ear_tag_that_is_read_after_the_animal_s_death_names_nobody_else() -> None:
    found = owners(M1, M2).whose(sight(day(20), "M1", "ear_tag"))
    assert found == Whose(None, "after_death", ("M1",))


@pytest.mark.parametrize("named", [None, "M1"])
def test_two_animals_at_once_in_a_cage_for_one_are_the_cage_s_not_guessed(named: str | None) -> None:
    table = owners(Subject("M1", cage="c1"), Subject("M2", cage="c1", date_of_arrival="2026-01-18"))
    assert table.whose(sight(day(20), named)) == Whose(None, "several_animals", ("M1", "M2"))
    assert table.whose(sight(day(17), named)) == Whose("M1")


def test_a_name_of_the_settings_that_the_table_contradicts_is_not_believed() -> None:
    found = owners(Subject("M2", cage="c1")).whose(sight(day(20), "M9"))
    assert found == Whose(None, "table_names_another", ("M9", "M2"))
    assert owners(Subject("M2", cage="c2")).whose(sight(day(20), "M9")) == Whose("M9")


def test_group_housed_animals_are_their_cage_s_without_a_contradiction() -> None:
    table = owners(Subject("M1", cage="c1"), Subject("M2", cage="c1"))
    assert table.whose(sight(expected=2)) == Whose(None, "not_told_apart")
    assert table.whose(sight(named="M1", method="rfid", expected=2)) == Whose("M1")


def test_a_group_s_cage_is_nobody_s_once_all_that_it_is_for_have_left() -> None:
    left = Subject("M1", cage="c1", date_of_departure="2026-01-10")
    dead = Subject("M2", cage="c1", date_of_death="2026-01-12")
    assert owners(left, dead).whose(sight(day(12), expected=2)).reason == "not_told_apart"
    assert owners(left, dead).whose(sight(day(13), expected=2)).reason == "no_animal_then"
    assert owners(left, dead).whose(sight(day(13), expected=3)).reason == "not_told_apart"  # a third is not listed


def test_a_time_that_was_never_known_is_nobody_s_whoever_is_named() -> None:
    assert owners(M1).whose(sight(day(10), "M1", time_basis="unsynchronised")).reason == "clock_never_set"


def test_dates_that_an_older_version_let_in_bound_nothing_or_everything_and_raise_nothing() -> None:
    for text in ("9999-12-31", "0001-01-01", "rubbish", "2205-06-20"):
        table = Subject("M1", cage="c1", date_of_birth=text, date_of_death=text)
        for zone in (UTC, ZoneInfo("Europe/Zurich"), ZoneInfo("America/Lima")):
            assert owners(table, zone=zone).whose(sight()).subject in ("M1", None)


def load(data: Path, messages: list, table: str) -> dict[str, Curve]:
    with closing(Store.open(data)) as store:
        store.take(messages)
    (data / "s.csv").write_text(table)
    import_subjects(data / "s.csv", data)
    with closing(open_for_reading(data)) as connection:
        return {curve.name: curve for curve in load_curves(connection, "week")}


OLD_THEN_YOUNG = [(d, 700 + d) for d in range(0, 20, 2)] + [(d, 60 + d) for d in range(22, 42, 2)]


def test_a_reused_cage_with_only_the_new_animal_in_the_table_keeps_the_old_one_off_her_curve(tmp_path: Path) -> None:
    table = "subject,date_of_birth,cage,date_of_arrival\nM2,2025-11-20,cage-1,2026-01-26\n"
    curves = load(tmp_path, samples.days(OLD_THEN_YOUNG), table)
    assert list(curves) == ["M2"]
    assert max(sighting.age_days for sighting in curves["M2"].sightings) < 110
    assert len(curves["M2"].captures) == len(curves["M2"].sightings) == 10
    [left] = curves["M2"].left_out
    assert (left.reason, left.readings) == ("before_arrival", 10)
    text = draw_table([curves["M2"]], None, "week")
    assert "10 readings 2026-01-05 to 2026-01-23 in cage cage-1 are nobody's: before the arrival of M2" in text


def test_a_birth_alone_keeps_what_came_before_it_away(tmp_path: Path) -> None:
    curves = load(tmp_path, samples.days(OLD_THEN_YOUNG), "subject,date_of_birth,cage\nM2,2026-01-15,cage-1\n")
    assert min(sighting.at for sighting in curves["M2"].sightings) >= datetime(2026, 1, 15, tzinfo=UTC)
    assert all(window.chronological_days >= 0 for window in curves["M2"].windows)


def test_without_a_date_of_arrival_the_fall_of_the_estimate_is_marked(tmp_path: Path) -> None:
    curves = load(tmp_path, samples.days(OLD_THEN_YOUNG), "subject,date_of_birth,cage\nM2,2025-11-20,cage-1\n")
    [mark] = curves["M2"].marks
    assert mark.kind == "jump"
    assert mark.text.startswith("looks 90.3 weeks younger")
    steady = [(d, 200 + d) for d in range(0, 40, 2)]
    assert load(tmp_path / "b", samples.days(steady), "subject,cage\nM2,cage-1\n")["M2"].marks == ()


def test_readings_after_a_death_are_on_no_curve_and_in_no_trend(tmp_path: Path) -> None:
    table = "subject,date_of_birth,cage,date_of_death\nM1,2024-02-01,cage-1,2026-01-25\n"
    for number in (2, 3):
        table += f"M{number},2025-0{number}-01,cage-{number},\n"
    good = [
        message for n in (2, 3) for message in samples.days([(d, 100 * n + d) for d in range(9)], device=f"cage-{n}")
    ]
    with_death = load(tmp_path / "a", [*good, *samples.days(OLD_THEN_YOUNG)], table)
    without = load(tmp_path / "b", [*good, *samples.days(OLD_THEN_YOUNG[:10])], table)
    assert with_death["M1"].windows == without["M1"].windows
    assert fit_trend(with_death.values()) == fit_trend(without.values()) is not None
    assert with_death["M1"].left_out[0].reason == "after_death"


def test_a_boot_that_never_got_the_time_moves_no_curve_no_trend_and_is_listed(tmp_path: Path) -> None:
    table = "subject,date_of_birth,cage\nM1,2025-06-20,cage-1\nM2,2025-03-12,cage-2\nM3,2024-12-02,cage-3\n"
    good = [
        message
        for n in (1, 2, 3)
        for message in samples.days([(d, 100 + 110 * n + d) for d in range(0, 20, 2)], device=f"cage-{n}")
    ]
    early = samples.days(
        [(d, 230) for d in (0, 2, 4)], seq=11, synced=False, since=datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
    )
    moved = samples.event(14, "camera_moved", at=datetime(1970, 1, 2, tzinfo=UTC))
    early.append(samples.arrival(msgspec.structs.replace(moved, clock_synced=False, boot_id="boot-2"), 14))
    clean, odd = load(tmp_path / "a", good, table), load(tmp_path / "b", [*good, *early], table)
    assert {name: curve.windows for name, curve in odd.items()} == {name: c.windows for name, c in clean.items()}
    assert odd["M1"].marks == clean["M1"].marks
    no_births = load(tmp_path / "c", [*good, *early], "subject,cage\nM1,cage-1\n")
    assert no_births["M1"].marks == ()  # nor is what the camera said on 2 January 1970 a mark
    assert fit_trend(odd.values()) == fit_trend(clean.values())
    [left] = odd["M1"].left_out
    assert (left.reason, left.readings, left.first.year) == ("clock_never_set", 3, 1970)
    text = draw_table(list(odd.values()), None, "week")
    assert "left out: 3 readings of a boot that never got the time (labelled 1970-01-01 to 1970-01-05)" in text


def test_a_corrected_clock_brings_its_readings_back_onto_the_curve(tmp_path: Path) -> None:
    early = samples.days([(0, 230)], synced=False, since=datetime(1970, 1, 1, tzinfo=UTC))
    early += [samples.arrival(samples.correction("boot-2", samples.START.timestamp() - 1001.0), 2)]
    curves = load(tmp_path, early, "subject,cage\nM1,cage-1\n")
    assert [sighting.at for sighting in curves["M1"].sightings] == [samples.START]
    assert curves["M1"].left_out == ()


def test_a_cage_that_two_animals_hold_at_once_is_shown_as_the_cage_s_with_what_to_do(tmp_path: Path) -> None:
    table = "subject,date_of_birth,cage,date_of_arrival\nM1,2024-02-01,cage-1,\nM2,2025-11-20,cage-1,2026-01-26\n"
    curves = load(tmp_path, samples.days(OLD_THEN_YOUNG, subject="M1"), table)
    assert len(curves["M1"].sightings) == 10
    assert curves["M2"].sightings == ()
    assert (curves["cage-1"].named, len(curves["cage-1"].sightings)) == (False, 10)
    for name in ("M1", "M2", "cage-1"):
        text = draw_table([curves[name]], None, "week")
        assert "the table has M1, M2 in cage cage-1 at once; give date_of_departure" in text


@pytest.mark.parametrize(
    ("text", "offset_h"), [("Europe/Zurich", 1), ("+05:30", 5.5), ("-03:00", -3), ("UTC", 0), ("America/Lima", -5)]
)
def test_a_zone_is_an_iana_name_or_a_fixed_offset(text: str, offset_h: float) -> None:
    assert zone_of(text).utcoffset(NOON.replace(tzinfo=None)) == timedelta(hours=offset_h)


@pytest.mark.parametrize("text", ["Zurich", "", "CET+1x", "+25:00", "../../etc/passwd", "Europe"])
def test_a_zone_that_is_none_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(OperatorError, match=r"expected an IANA time zone such as Europe/Zurich, or an offset"):
        zone_of(text)


def test_the_zone_of_a_room_is_kept_and_moves_the_bounds(tmp_path: Path) -> None:
    table = "subject,date_of_birth,cage,date_of_death\nM1,2024-02-01,cage-1,2026-01-05\n"
    late = samples.days([(0.48, 700)])  # 23:31 UTC, the next day in Zurich
    assert load(tmp_path, late, table)["M1"].sightings
    set_zone(tmp_path, "Europe/Zurich", "cage-1")
    with closing(open_for_reading(tmp_path)) as connection:
        [curve] = load_curves(connection, "week")
    assert (curve.sightings, curve.left_out[0].reason) == ((), "after_death")
