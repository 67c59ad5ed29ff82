"""A table in any dialect is the same table; what is out of place is refused where it stands."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.contract.tables import read
from edge.contract.tables.columns import nearest, with_known_names
from edge.contract.tables.read import Table, parse_table, read_table
from edge.errors import OperatorError

ROWS = [["subject", "sex", "weight"], ["M1", "F", "20.5"], ["M2", "M", "31"], ["Müller, 3", "F", "7"]]
WORDS = st.text(st.characters(codec="latin-1", categories=("L", "N", "P", "S", "Zs")), max_size=8).map(
    lambda text: text.strip().strip("\u00a0")
)


def written(rows: list[list[str]], delimiter: str = ",", line_end: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    """Return the rows as a program writes them."""
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows(rows)
    return target.getvalue()


def refused(content: bytes | str) -> str:
    """Return what a table is refused with."""
    with pytest.raises(OperatorError) as error:
        parse_table(content.encode() if isinstance(content, str) else content, "t.csv")
    text = str(error.value)
    assert text.startswith("t.csv: ")
    return text


def cells_of(table: Table) -> list[list[str]]:
    return [list(table.names), *map(list, table.rows)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_every_dialect_is_the_same_table(delimiter: str, line_end: str, encoding: str) -> None:
    """But Latin-1 with an old Macintosh's line ends, which is Mac Roman."""
    if encoding == "cp1252" and line_end == "\r":
        encoding = "mac_roman"
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        text = written(ROWS, delimiter, line_end, quoting)
        for first in ("", f"sep={delimiter}{line_end}", f'"sep={delimiter}"{line_end}'):
            table = parse_table((first + text).encode(encoding), "t.csv")
            assert cells_of(table) == ROWS
            assert table.lines == ((2, 3, 4) if not first else (3, 4, 5))
            assert bool(table.notes) == (encoding in ("cp1252", "mac_roman"))


def test_bars_separate_only_where_nothing_else_does() -> None:
    assert parse_table(b"subject|sex\nM1|F\n", "t.csv").delimiter == "|"
    assert parse_table(b"subject,sex|gender\nM1,F|M\n", "t.csv").names == ("subject", "sex|gender")


def test_cells_separated_by_blanks_are_refused_as_that() -> None:
    """What they were is anybody's guess: texts hold blanks."""
    text = refused("picture  subject   age_days\na.png    M1        100\nb.png    M2        200\n")
    assert "got 3 words in each line, 'picture  subject   age_days' first: are they separated by blanks?" in text
    assert parse_table(b"my note\none two three\nfour\n", "t.csv").names == ("my note",)


@pytest.mark.parametrize("blank", ["\u00a0", "\u00a0 \u00a0", "\u2003;", "\u200b"])
def test_lines_of_any_blanks_are_passed_over(blank: str) -> None:
    """A spreadsheet writes no-break spaces; before the names they were taken for a table of one column."""
    for text in (f"{blank}\nsubject;sex\nM1;F\n", f"subject;sex\n{blank}\nM1;F\n{blank}\n"):
        table = parse_table(text.encode(), "t.csv")
        assert cells_of(table) == [["subject", "sex"], ["M1", "F"]]


def test_a_column_without_a_name_is_named_by_its_place() -> None:
    text = refused("subject,sex\nM1,F,20\nM2,M,30\nM3,F,31\n")
    assert "line 1: expected a name for column 3, which has values (line 2: '20'), got none" in text
    assert "expected 2 cells, got 3" in refused("subject,sex\nM1,F\nM2,M,30\nM3,F\n"), "one row is wrong, not the names"
    assert "expected a name for column 1" in refused(",subject\n7,M1\n9,M2\n")


@pytest.mark.parametrize("first", [0, 1])
def test_the_index_that_pandas_and_r_write_is_passed_over_and_noted(first: int) -> None:
    rows = [["", "subject", "sex"], *[[str(n), f"M{n}", "F"] for n in range(first, first + 3)]]
    table = parse_table(written(rows).encode(), "t.csv")
    assert cells_of(table) == [row[1:] for row in rows]
    assert table.notes == (
        "column 1 has no name and only counts the rows, as pandas and R write it; it is passed over",
    )


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(st.lists(WORDS, min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be"]),
)
def test_what_is_written_reads_back_as_the_same_cells(
    rows: list[list[str]], delimiter: str, line_end: str, encoding: str
) -> None:
    """Whatever the cells hold, quotation marks and the other separators too; rows without content are passed over."""
    whole = [["name", "second", "third"], *([*row[:2], row[2] or "x"] for row in rows)]
    text = written(whole, delimiter, line_end, csv.QUOTE_ALL)
    assert cells_of(parse_table(text.encode(encoding), "t.csv")) == whole
    assert cells_of(parse_table((f"sep={delimiter}{line_end}" + text).encode(encoding), "t.csv")) == whole


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet='ab1",;\t\r\n\0é', max_size=60).map(str.encode))
def test_any_bytes_are_a_table_or_one_error(content: bytes) -> None:
    try:
        table = parse_table(content, "t.csv")
    except OperatorError:
        assert refused(content)
    else:
        assert table.rows
        assert all(len(row) == len(table.names) for row in table.rows)


def test_the_separator_is_the_one_that_fits_the_rows() -> None:
    """Names or notes may hold the others."""
    header = 'subject;weight, g;note (a, b)\nM1;20,5;"x; y"\nM2;21,5;z\n'
    assert parse_table(header.encode(), "t").names == ("subject", "weight, g", "note (a, b)")
    assert parse_table(b"subject,a;b;c;d,x\nM1,2,3\nM2,3,4\n", "t").names == ("subject", "a;b;c;d", "x")
    assert parse_table(b"a\tb, c\nSmith, J\t1\n", "t").names == ("a", "b, c")
    assert parse_table(b"weight, g;age\n20,5;3\n21,5;4\n", "t").names == ("weight, g", "age")
    assert parse_table(b"'a','b'\n'1, 2','3'\n", "t").rows == (("1, 2", "3"),)


def test_two_separators_that_fit_alike_are_a_question_and_sep_answers_it() -> None:
    assert "by comma or by semicolon" in refused("a,b;c\nx,y;z\n").replace(
        "semicolon or by comma", "comma or by semicolon"
    )
    assert parse_table(b"sep=;\na,b;c\nx,y;z\n", "t").names == ("a,b", "c")
    assert "line 1: says that cells are separated by ';'" in refused("sep=;\na,b\n1,2\n")
    assert parse_table(b"sep=;,,\na,b,c\n1,2,3\n", "t").names == ("a", "b", "c")


def test_what_a_spreadsheet_leaves_at_the_border_is_passed_over() -> None:
    text = "\n,,,,\nsubject,,sex,,\nM1,,F,,\n,,,,\n  , ,,,\nM2,,M,,,,,\n,,,\n"
    table = parse_table(text.encode(), "t")
    assert cells_of(table) == [["subject", "sex"], ["M1", "F"], ["M2", "M"]]
    assert table.lines == (4, 7)
    assert parse_table(b"subject,sex\nM1,F,,\n" + b"\x1a", "t").rows == (("M1", "F"),)
    assert parse_table("\ufeffsubject,sex\n\u200bM1\u00a0, F\u2009\n".encode(), "t").rows == (("M1", "F"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('subject,note\nM1,ok\nM2,"5 cm\nM3,ok\nM4,"6 cm\nM5,ok\n', 'line 3, cell 2: expected quotation marks (")'),
        ('subject,note\nM1,ok\nM2,"5 cm\nM3,ok\n', "line 3, cell 2: expected a closing quotation mark"),
        ('subject,note\nM1,ok\nM2,5" lens\n', "line 3, cell 2: expected quotation marks"),
        ('subject,note\nM1,ok\nM2,"5"" lens\n', "line 3, cell 2: expected a closing"),
        ('subject,note\nM1,ok\nM2,"a"b\n', "line 3, cell 2: expected quotation marks"),
        ('subject,note\nM1,"5\nM2,ok\nM3,6"\nM4,ok\n', "line 2: a cell in quotation marks runs to line 4"),
        ("a,b\n1,2\n1,2,3\n", "line 3: expected 2 cells, got 3 (cell 3: '3'); a number with a decimal comma"),
        ("a;b\n1;2\n1\n", "line 3: expected 2 cells, got 1 (they are separated by semicolon)"),
        ("a,,b\n1,x,2\n", "line 1: expected a name for column 2, which has values (line 2: 'x')"),
        ("a,b,a\n1,2,3\n", "column 'a' is there 2 times"),
        ("a,b\n1,2\n3,\0\n", "line 3: expected text, got a NUL byte"),
        ("a,b\n1,\x1b[31m\n", "line 2: expected text, got the control character"),
        ("", "is empty"),
        (",,\n,,\n", "is empty"),
        ("a,b\n", "is empty: expected rows below the header"),
    ],
)
def test_what_is_out_of_place_is_refused_where_it_stands(text: str, said: str) -> None:
    assert said in refused(text)


def test_line_breaks_within_a_cell_are_its_own() -> None:
    table = parse_table(b'"age\r\n(days)",note\r\n5,"two\r\nlines, "" and a mark"\r\n6,x\r\n', "t")
    assert cells_of(table) == [["age (days)", "note"], ["5", 'two\nlines, " and a mark'], ["6", "x"]]
    assert table.lines == (3, 5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\0\0", "got a binary file, a workbook (xlsx, ods)"),
        (b"\xd0\xcf\x11\xe0\0\0", "an old Excel workbook"),
        (b"\xff\xfea", "expected utf-16, as the file's first bytes say"),
        ("a,b\nx,é\n".encode() + b"\x81,2\n", "line 3: expected UTF-8 or Windows-1252, got byte 0x81"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, said: str) -> None:
    assert said in refused(content)


def test_letters_that_were_guessed_are_shown() -> None:
    [note] = parse_table("subject,note\nM1,Käfig\n".encode("cp1252"), "t").notes
    assert "is 'Käfig' in line 2 right?" in note
    [note] = parse_table("subject,note\rM1,Käfig\r".encode("mac_roman"), "t").notes
    assert "'Käfig'" in note


def test_size_columns_and_cells_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    assert cells_of(read_table(path)) == [["a", "b"], ["1", "2"]]
    with pytest.raises(OperatorError, match="at most 0 MB"):
        read_table(path, most_bytes=7)
    with pytest.raises(OperatorError, match="there is none"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(OperatorError, match="a folder"):
        read_table(tmp_path)
    many = ",".join(f"c{number}" for number in range(read.MOST_COLUMNS + 1))
    assert "columns, got 16385" in refused(f"{many}\n{many}\n")
    assert "letters, got 32768" in refused("a,b\n1," + "x" * (read.MOST_LETTERS + 1) + "\n")


def test_known_columns_are_found_whatever_their_letters() -> None:
    table = with_known_names(parse_table(b"Subject,Date of birth,Other\nM1,x,y\n", "t"), ["subject", "date_of_birth"])
    assert table.names == ("subject", "date_of_birth", "Other")
    with pytest.raises(OperatorError, match="'subject' and 'Subject' are both 'subject'"):
        with_known_names(parse_table(b"subject,Subject\nM1,x\n", "t"), ["subject"])
    assert nearest("Wieght", ["weight", "sex"]) == "weight"
    assert nearest("zzz", ["weight"]) is None
