"""Parquet files of the log's tables: typed columns, zstd, each file whole or not at all. The only user of pyarrow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from edge.errors import OperatorError
from station.export.columns import Column, File

ROWS_A_GROUP = 20_000
"""Rows are in the order of devices, so that of one cage a reader takes the groups that have it and no others."""
_KEY = b"cageclock.fingerprint"
_TYPES = {
    "text": pa.dictionary(pa.int32(), pa.string()),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "time": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}


def read_fingerprint(path: Path) -> str | None:
    """Return the fingerprint that a file was written with, None where there is no file.

    Raises:
        OperatorError: something else stands there.
    """
    if not path.exists():
        return None
    try:
        found = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise OperatorError(f"{path}: expected a file of this archive, got {error}; move it aside") from error
    if _KEY not in found:
        raise OperatorError(f"{path}: expected a file of this archive, got another's; move it aside")
    return bytes(found[_KEY]).decode("utf-8", "replace")


def write_parquet(path: Path, file: File, parts: Iterable[Sequence[Any]], fingerprint: str) -> tuple[int, int]:
    """Return how many rows were written, and how many values were left out as none of their column's type.

    The file is on disk under its name, whole, when this returns; before, what was there before stands there.
    """
    schema = pa.schema([_field(column) for column in file.columns], metadata={_KEY: fingerprint})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    count, wrong = 0, 0
    with temporary.open("wb") as target:
        with pq.ParquetWriter(target, schema, compression="zstd") as writer:
            for rows in _groups(parts):
                columns = [
                    _values(column, values)
                    for column, values in zip(file.columns, zip(*rows, strict=True), strict=True)
                ]
                writer.write_batch(pa.record_batch([one for one, _ in columns], schema=schema))
                count, wrong = count + len(rows), wrong + sum(number for _, number in columns)
        target.flush()
        os.fsync(target.fileno())
    temporary.replace(path)
    sync_folder(path.parent)
    return count, wrong


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _groups(parts: Iterable[Sequence[Any]]) -> Iterable[list[Any]]:
    rows: list[Any] = []
    for part in parts:
        rows += part
        while len(rows) >= ROWS_A_GROUP:
            yield rows[:ROWS_A_GROUP]
            rows = rows[ROWS_A_GROUP:]
    if rows:
        yield rows


def _field(column: Column) -> pa.Field:
    metadata = {"unit": column.unit, "meaning": column.meaning}
    return pa.field(column.name, _TYPES[column.type], metadata=metadata)


def _values(column: Column, values: Sequence[Any]) -> tuple[pa.Array, int]:
    """Return a column's values, and how many of them are none of its type: a person has edited the database."""
    made: list[Any]
    if column.type == "text":
        texts = {one: one.decode("utf-8", "replace") for one in set(values) if one.__class__ is bytes}
        made = [texts[one] if one.__class__ is bytes else None if one is None else str(one) for one in values]
        return pa.array(made, pa.string()).dictionary_encode().cast(_TYPES["text"]), 0
    if column.type == "number":
        made = [one if one.__class__ is float or one.__class__ is int else None for one in values]
    elif column.type == "integer":
        made = [one if one.__class__ is int else None for one in values]
    elif column.type == "boolean":
        made = [one == 1 if one.__class__ is int else None for one in values]
    elif column.type == "time":
        made = [round(one * 1e6) if one.__class__ is float or one.__class__ is int else None for one in values]
    else:
        made = [_day(one) for one in values]
    wrong = sum(one is None for one in made) - sum(one is None for one in values)
    array = (
        pa.array(made, pa.int64()).cast(_TYPES["time"])
        if column.type == "time"
        else pa.array(made, _TYPES[column.type])
    )
    return array, wrong


def _day(value: Any) -> Any:
    from station.registry.lifetime import day_of

    return day_of(value.decode("utf-8", "replace")) if isinstance(value, bytes) else None
