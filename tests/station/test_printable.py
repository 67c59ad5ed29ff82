"""Text of other people as a cell of a CSV file: no spreadsheet runs it, and it reads back as it was."""

import pytest

from station.printable import as_cell, from_cell


@pytest.mark.parametrize("sign", [*"=+-@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n"])
def test_no_text_is_a_formula_and_each_reads_back(sign: str) -> None:
    """Excel takes the signs in their full width, too, in its East Asian editions."""
    for text in (f"{sign}SUM(A1)", f"'{sign}SUM(A1)", f"''{sign}SUM(A1)", f"a{sign}1"):
        cell = as_cell(text)
        assert not cell.startswith(sign)
        assert from_cell(cell) == text


def test_numbers_stay_numbers() -> None:
    assert [as_cell(text) for text in ("-3.5", "+1e5", "2")] == ["-3.5", "+1e5", "2"]
