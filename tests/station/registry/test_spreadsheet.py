"""A table of animals straight from a spreadsheet, read as the same table saved as CSV would be."""

from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook

from edge.errors import OperatorError
from station.cli import main
from station.registry.subject import Subject
from station.registry.subjects import import_subjects, load_subjects
from station.store import schema

HEADER = ["Subject", "strain", "sex", "Date of birth", "cage", "notes"]


def book(folder: Path, *rows: list[object], more: str = "") -> Path:
    workbook = Workbook()
    for row in rows:
        workbook.active.append(row)
    workbook.create_sheet("empty")
    if more:
        workbook.create_sheet("second").append([more])
    workbook.save(folder / "animals.xlsx")
    return folder / "animals.xlsx"


def table(data: Path) -> list[Subject]:
    with closing(schema.open_for_reading(data)) as connection:
        return load_subjects(connection)


def test_days_whole_numbers_and_empty_rows_are_as_a_person_sees_them(tmp_path: Path) -> None:
    path = book(
        tmp_path,
        HEADER,
        [7, "C57BL/6J", "f", datetime(2025, 10, 1), 12.0, None],
        [None] * 6,
        ["007", "B6;129", "m", date(2025, 11, 2), "cage-2", "a, b"],
        ["M3", None, None, "14.12.2025", None, 0.5],
    )
    found = import_subjects(path, tmp_path / "data", dry_run=True)
    assert found.added == ("7", "007", "M3")
    assert not (tmp_path / "data").exists()
    import_subjects(path, tmp_path / "data")
    assert table(tmp_path / "data") == [
        Subject("007", "B6;129", "male", "2025-11-02", cage="cage-2", notes="a, b"),
        Subject("7", "C57BL/6J", "female", "2025-10-01", cage="12"),
        Subject("M3", date_of_birth="2025-12-14", notes="0.5"),
    ]
    assert import_subjects(path, tmp_path / "data").same == ("7", "007", "M3")


def test_a_wrong_row_is_named_by_its_row_in_the_sheet_and_costs_itself(tmp_path: Path) -> None:
    path = book(tmp_path, HEADER, ["M1"], [None], ["M2", None, "x"])
    found = import_subjects(path, tmp_path / "data")
    assert found.added == ("M1",)
    assert found.refused == (f"{path}, line 4: sex: expected female, male, unknown, got 'x'",)


@pytest.mark.parametrize(
    ("rows", "more", "why"),
    [
        ([HEADER, ["M1", None, None, "=TODAY()-90"]], "", "row 2, column 4: a formula without its value"),
        ([HEADER, ["M1", "#N/A"]], "", "row 2, column 2: expected a value, got the error #N/A"),
        ([HEADER, ["M1"]], "note", "expected one sheet with content, got Sheet, second"),
        ([], "", "the table is empty"),
        ([["subject", "colour"], ["M1", "black"]], "", "unknown colour"),
    ],
)
def test_what_could_be_read_two_ways_or_not_at_all_is_refused(
    tmp_path: Path, rows: list[list[object]], more: str, why: str
) -> None:
    with pytest.raises(OperatorError, match=why):
        import_subjects(book(tmp_path, *rows, more=more), tmp_path / "data")


def test_a_file_that_only_has_the_name_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"subject\nM1\n", b"PK\x03\x04 and nothing more"):
        (tmp_path / "animals.xlsx").write_bytes(content)
        with pytest.raises(OperatorError, match="cannot be read"):
            import_subjects(tmp_path / "animals.xlsx", tmp_path / "data")


def test_the_template_is_a_table_that_can_be_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "animals.csv"
    assert main(["subjects", "template", str(path)]) == 0
    assert main(["subjects", "import", str(path), "--data", str(tmp_path / "data"), "--dry-run"]) == 0
    assert "2 animals added, 0 changed" in capsys.readouterr().out
    assert main(["subjects", "template", str(path)]) == 2
    assert "expected a file that is not there yet" in capsys.readouterr().err
