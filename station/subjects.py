"""The lab's own table of animals: read from CSV, checked row by row, kept beside the records."""

from __future__ import annotations

import csv
import sqlite3
from dataclasses import astuple, dataclass, fields
from datetime import date
from pathlib import Path
from typing import TextIO

from edge.errors import OperatorError
from station import schema

SEXES = ("female", "male", "unknown")
_SEX_WORDS = {"f": "female", "m": "male", "": None, "u": "unknown"}


@dataclass(frozen=True, slots=True)
class Subject:
    """One animal. strain by MGI nomenclature; dates as YYYY-MM-DD; cage and device as its readings name them."""

    subject: str
    strain: str | None = None
    sex: str | None = None
    date_of_birth: str | None = None
    cage: str | None = None
    device: str | None = None
    date_of_death: str | None = None
    arm: str | None = None
    notes: str | None = None


COLUMNS = tuple(field.name for field in fields(Subject))


def read_subjects(path: Path) -> list[Subject]:
    """Return the animals of a CSV file with a header; only `subject` must be there.

    Raises:
        OperatorError: the file cannot be read, a column is unknown, or a row is wrong; it says which and where.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            unknown = [name for name in names if name not in COLUMNS]
            if "subject" not in names or unknown:
                wrong = f"unknown {', '.join(unknown)}" if unknown else "no column subject"
                raise OperatorError(f"{path}: expected columns among {', '.join(COLUMNS)}, got {wrong}")
            found = [_subject(path, line, row) for line, row in enumerate(reader, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OperatorError(f"{path}: cannot be read: {error}") from error
    seen: set[str] = set()
    for subject in found:
        if subject.subject in seen:
            raise OperatorError(f"{path}: subject {subject.subject!r} stands there twice")
        seen.add(subject.subject)
    return found


def import_subjects(path: Path, data: Path) -> int:
    """Return how many animals of the CSV file are now in the database; a known one is replaced.

    Raises:
        OperatorError: as `read_subjects`, or the folder cannot be used.
    """
    subjects = read_subjects(path)
    connection = schema.open_for_writing(data)
    try:
        connection.execute("BEGIN IMMEDIATE")
        marks = ", ".join("?" * len(COLUMNS))
        connection.executemany(
            f"INSERT OR REPLACE INTO subjects ({', '.join(COLUMNS)}) VALUES ({marks})", map(astuple, subjects)
        )
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise OperatorError(f"{data}: could not write the subjects: {error}") from error
    finally:
        connection.close()
    return len(subjects)


def load_subjects(connection: sqlite3.Connection) -> list[Subject]:
    """Return every animal of the lab's table."""
    found = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM subjects ORDER BY subject").fetchall()
    return [Subject(*row) for row in found]


def write_subjects(connection: sqlite3.Connection, target: TextIO) -> None:
    """Write the table as CSV, in the form that `read_subjects` reads."""
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(subject) for subject in load_subjects(connection))


def _subject(path: Path, line: int, row: dict[str, str]) -> Subject:
    if None in row or None in row.values():
        raise OperatorError(f"{path}, line {line}: expected as many fields as the header has")
    values = {name: text.strip() or None for name, text in row.items()}
    name = values.get("subject")
    if name is None:
        raise OperatorError(f"{path}, line {line}: expected a name under subject, got an empty field")
    for column in ("date_of_birth", "date_of_death"):
        text = values.get(column)
        try:
            if text is not None:
                values[column] = date.fromisoformat(text).isoformat()
        except ValueError as error:
            raise OperatorError(f"{path}, line {line}: {column}: expected YYYY-MM-DD, got {text!r}") from error
    born, died = values.get("date_of_birth"), values.get("date_of_death")
    if born is not None and died is not None and died < born:
        raise OperatorError(f"{path}, line {line}: date_of_death {died} lies before date_of_birth {born}")
    sex = (values.get("sex") or "").lower()
    values["sex"] = _SEX_WORDS.get(sex, sex)
    if values["sex"] not in (*SEXES, None):
        raise OperatorError(f"{path}, line {line}: sex: expected {', '.join(SEXES)}, got {sex!r}")
    del values["subject"]
    return Subject(subject=name, **values)
