"""Numbers, missing words, dates and names: read by evidence, or refused with a question; never chosen in silence."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.tables.columns import Columns
from edge.contract.tables.dates import read_dates
from edge.contract.tables.join import describe_join, join
from edge.contract.tables.missing import read_names
from edge.contract.tables.names import describe_near, near_equal
from edge.contract.tables.numbers import Numbers, read_numbers
from edge.contract.tables.read import parse_table

FINITE = st.floats(-1e9, 1e9).map(lambda value: round(value, 4))


def numbers(*cells: str, delimiter: str = ",", signs: str = "", name: str = "x") -> Numbers:
    """Return a column, with the decimal signs that the file's other columns prove."""
    return read_numbers(cells, name, delimiter, lambda: frozenset(signs))


def asked(found: Numbers) -> bool:
    """Return whether the column is refused with a question that says both readings and gives no number for the cell."""
    assert found.question is None or " can be " in found.question[1]
    return found.question is not None and math.isnan(found.values[found.question[0]])


@pytest.mark.parametrize(
    ("cells", "delimiter", "signs", "values"),
    [
        (("970", "1,005"), ",", "", (970, 1005)),  # values beside it without any
        (("970", "1,005"), ",", ".", (970, 1005)),
        (("0.5", "1,005"), ",", "", (0.5, 1005)),  # the column proves it
        (("12,5", "1,005"), ";", "", (12.5, 1.005)),
        (("12,5", "1.005"), ";", "", (12.5, 1005)),
        (("1,234,567", "1,005"), ",", "", (1234567, 1005)),
        (("1.005", "2.310"), ";", ",", (1005, 2310)),  # the file proves it
        (("1,005", "2,310"), ";", ",", (1.005, 2.310)),
        (("1,234.5",), ",", "", (1234.5,)),
        (("1.234,5",), ";", "", (1234.5,)),
        (("12,5", "12.5"), ";", "", (12.5, 12.5)),
        (("1 005", "1'005", "1\u202f005", "1\u2009005,5", "1\u00a0005"), ";", "", (1005, 1005, 1005, 1005.5, 1005)),
        (("\u22120.5", "-1", "+2", "\u20133"), ",", "", (-0.5, -1, 2, -3)),
        (("1e3", "1E-2", "2,5e1"), ";", "", (1000, 0.01, 25)),
        (("0,123", ",5", ".5", "5."), ";", "", (0.123, 0.5, 0.5, 5)),
        (("1.005", "2.310"), ",", "", (1.005, 2.31)),
    ],
)
def test_numbers_are_read_by_evidence(cells: tuple[str, ...], delimiter: str, signs: str, values: tuple) -> None:
    found = numbers(*cells, delimiter=delimiter, signs=signs)
    assert found.question is None
    assert found.values == pytest.approx(values)
    assert not found.wrong


@pytest.mark.parametrize(
    ("cells", "delimiter", "signs"),
    [
        (("1,005", "2,310"), ",", ""),  # thousands, or decimals in quotation marks
        (("1,005", "5"), ",", ""),
        (("1,005", "12"), ";", ""),
        (("1,005", "2,310"), ",", ","),
        (("970", "1,005"), ";", ","),
        (("1.005", "2.310"), ";", ""),
        (("970", "1.005"), ",", ""),
        (("1.005", "1,005"), ",", ""),
        (("1,005", "12,5", "12.5"), ";", ""),
        (("1,005",), ";", ".,"),
    ],
)
def test_a_number_that_could_be_read_two_ways_is_a_question(cells: tuple[str, ...], delimiter: str, signs: str) -> None:
    assert asked(numbers(*cells, delimiter=delimiter, signs=signs))


def test_a_thousand_that_was_decided_is_said() -> None:
    [note] = numbers("970", "1,005").notes
    assert note.startswith("'1,005' is read as 1005, by the cells beside it")
    [note] = numbers("2,5", "1,005", delimiter=";").notes
    assert "'1,005' is read as 1.005, as its other cells say" in note


@pytest.mark.parametrize(
    "strange", ["12..5", "1,2,3", "1_000", "١٢", "0x1", "12A", "1/2", "12:30", "10 05", "1e999", "½"]
)
def test_what_is_no_number_is_named(strange: str) -> None:
    found = numbers("3", strange, "4")
    assert found.wrong == ((1, f"expected a number, got '{strange}'"),)
    assert math.isnan(found.values[1])


def test_units_are_read_where_all_cells_have_the_same() -> None:
    found = numbers("20 g", "21.5 g", "22g", name="weight")
    assert found.values == (20, 21.5, 22)
    assert found.notes == ("all values have the unit 'g', as in '20 g'; read without it",)
    assert numbers("20%", "21 %").values == (20, 21)
    assert numbers("20 g", "21", name="weight_g").values == (20, 21)
    assert numbers("20 g", "21 g", "0.02 kg").wrong[0][0] == 2
    assert numbers("20 g", "21").wrong[0][0] == 1
    question = numbers("12 weeks", "13 weeks", name="age_days").question
    assert question is not None
    assert "says weeks, the column's name says days" in question[1]
    # A column that is called by one letter says nothing of its unit: `w` is as likely the weight as weeks.
    assert numbers("20 g", "21 g", name="w").values == (20, 21)


def test_a_day_is_the_one_of_the_cells_own_zone() -> None:
    found = read_dates(["2025-08-14T00:00:00+02:00", "2025-08-14T23:30:00-05:00", "14.08.2025", "", "2025-02-30"])
    assert [None if day is None else day.isoformat() for day in found.days] == ["2025-08-14"] * 3 + [None] * 2
    assert found.values[0] == datetime(2025, 8, 13, 22, tzinfo=UTC)


def test_limits_are_counted() -> None:
    found = numbers("<0.5", "1.5", "≥2")
    assert found.values == (0.5, 1.5, 2)
    assert found.limits == (0, 2)
    assert found.notes[0].startswith("2 of 3 values are limits such as '<0.5'")


@given(st.lists(FINITE, min_size=1), st.sampled_from(["{:.4f}", "{:,.4f}", "{:.3e}", "{}"]), st.booleans())
def test_a_written_number_reads_back_as_itself(values: list[float], form: str, continental: bool) -> None:
    """In English or German notation, with and without thousands; what can be read two ways is asked, never guessed."""
    cells = [form.format(value) for value in values]
    if continental:
        cells = [cell.translate(str.maketrans(",.", ".,")) for cell in cells]
    found = numbers(*cells, delimiter=";" if continental else ",")
    if found.question is None:
        expected = [float(form.format(value).replace(",", "")) for value in values]
        assert found.values == pytest.approx(expected, rel=1e-12)
    elif form != "{}":
        raise AssertionError(f"four decimals prove the sign: {found.question}")


@given(st.lists(st.integers(1000, 999_999), min_size=1), st.sampled_from([",", ".", " ", "'", ""]))
def test_a_grouped_whole_number_is_never_a_thousandth(values: list[int], group: str) -> None:
    cells = ["700", *(f"{value:,}".replace(",", group) for value in values)]
    found = numbers(*cells, delimiter=";" if group == "." else ",")
    assert asked(found) or found.values == (700, *values)


def test_columns_decide_for_each_other() -> None:
    columns = Columns(parse_table(b"a;b;c;d\n1,005;12,5;x;1.2.3\n2,310;0,5;1.5;y\n", "t"))
    assert columns.numbers("a").values == (1.005, 2.31)
    assert columns.signs() == {","}


def test_an_arm_called_none_is_a_name_and_no_number() -> None:
    assert read_names(["none", "drug", "", "NA", "?"]).values == ("none", "drug", "", "", "")
    assert read_names(["none", "drug", "NA"]).words == {"NA": 1}
    assert read_names(["+", "-", "-"]).values == ("+", "-", "-")
    assert read_names(["x", "-", "#REF!"]).values == ("x", "", "")
    found = numbers("none", "3", "missing", "leer", "#DIV/0!", "N/A", "")
    assert found.missing == (True, False, True, True, True, True, True)
    assert sum(found.words.values()) == 5
    assert not found.wrong


def day(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_one_cell_proves_the_order_of_the_column() -> None:
    found = read_dates(["12.06.2023", "13.01.2023", "05.05.2023"])
    assert found.values == (day(2023, 6, 12), day(2023, 1, 13), day(2023, 5, 5))
    assert found.notes == ("dates are read day first throughout, as '13.01.2023' says",)
    assert read_dates(["06/12/2023", "01/13/2023"]).values == (day(2023, 6, 12), day(2023, 1, 13))
    assert read_dates(["05/05/2023"]).values == (day(2023, 5, 5),)


@pytest.mark.parametrize(
    "cells", [["05/06/2023"], ["2023-01-13", "05.06.2023"], ["13.01.2023", "01/13/2023", "1.2.2023"]]
)
def test_dates_whose_order_is_open_are_a_question(cells: list[str]) -> None:
    found = read_dates(cells)
    assert found.question is not None
    assert found.values[-1] is None


def test_dates_that_can_be_read_one_way_only_are_read() -> None:
    cells = ["2023-01-13", "2023/01/13", "20230113", "13 Jan 2023", "13-Jan-2023", "Jan 13, 2023", "13. Januar 2023"]
    assert set(read_dates(cells).values) == {day(2023, 1, 13)}
    times = ["2023-01-13T09:05:00Z", "2023-01-13 09:05", "2023-01-13T10:05:00+01:00", "13.01.2023 9:05 AM"]
    found = read_dates(times)
    assert set(found.values) == {day(2023, 1, 13, 9, 5)}
    assert all(found.timed)
    assert not any(read_dates(cells).timed)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("13.01.23", "a year of four digits"),
        ("13-Jan-23", "a year of four digits"),
        ("45000", "a spreadsheet's serial number (2023-03-15 or, from a Macintosh, 2027-03-16)"),
        ("31.02.2023", "a day of the calendar"),
        ("2023-13-45", "a day of the calendar"),
        ("1023-01-13", "a day of the calendar from 1970 to 2200"),
        ("2023-01-13T25:00", "a day of the calendar"),
        ("yesterday", "an ISO date such as 2024-03-31"),
    ],
)
def test_what_is_no_date_is_named(cell: str, said: str) -> None:
    [(index, text)] = read_dates(["2023-01-13", cell, "none"]).wrong
    assert index == 1
    assert said in text


@given(st.lists(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)), min_size=1), st.sampled_from("./-"))
def test_a_column_of_dates_has_one_order(moments: list[datetime], mark: str) -> None:
    """Written day first or month first, dates come back as they were, or as a question; never as another day."""
    for form in (f"%d{mark}%m{mark}%Y", f"%m{mark}%d{mark}%Y", "%Y-%m-%d"):
        found = read_dates([moment.strftime(form) for moment in moments])
        for moment, value in zip(moments, found.values, strict=True):
            assert value in (None, day(moment.year, moment.month, moment.day))
        if any(moment.day > 12 for moment in moments) or form == "%Y-%m-%d":
            assert found.question is None
            assert None not in found.values


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("7", "007"), ("M1", "m1"), ("M1", "M 1"), ("M-1", "M1"), ("7", "7.0"), ("M1", "М1"), ("Käfig", "Ka\u0308fig"),
        ("M1", "M\u200b1"), ("a\u2011b", "a-b"), ("Straße", "STRASSE"), ("M01-2", "M1-2"), ("１", "1"),
    ],
)  # fmt: skip
def test_names_that_likely_mean_one_animal_are_found(one: str, other: str) -> None:
    assert near_equal([one, other, "other"]) == [tuple(sorted([one, other]))]
    assert describe_near([one, other])[0].startswith("names that differ little likely mean one animal: ")


@pytest.mark.parametrize(
    "names", [("1", "10", "100"), ("1-1", "11"), ("M1", "M11", "N1"), ("0", "00x"), ("a", "b", "")]
)
def test_names_that_differ_are_left_alone(names: tuple[str, ...]) -> None:
    assert near_equal(names) == []
    assert describe_near(names) == []


def test_a_tag_that_a_spreadsheet_made_a_number_is_warned_of() -> None:
    assert "a spreadsheet made a number of this animal's name" in describe_near(["9.85E+14", "M1"])[0]


def test_a_join_names_what_has_no_partner() -> None:
    found = join(["001", "002", "M3", "M10"], ["1", "2", "M3", "", "X"])
    assert found.matched == ("M3",)
    said = describe_join(found, "a.csv", "b.csv")
    assert said == [
        "1 animals are in both a.csv and b.csv",
        "3 animals of a.csv are not in b.csv (first: 001, 002, M10)",
        "3 animals of b.csv are not in a.csv (first: 1, 2, X)",
        "2 of them likely mean the same, written in two ways: 001 and 1, 002 and 2",
    ]
    assert describe_join(join(["a"], ["a"]), "x", "y") == ["1 animals are in both x and y"]
