"""Strict JSON: NaN, infinities and duplicate keys are refused in both directions.

msgspec writes NaN as `null` and lets the last duplicate win; both would change a measurement in silence.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar

import msgspec

from edge.errors import MessageError

T = TypeVar("T")


def encode(value: Any) -> bytes:
    """Return compact UTF-8 JSON of a struct or of plain values.

    Raises:
        MessageError: a float is NaN or infinite.
    """
    try:
        text = json.dumps(msgspec.to_builtins(value), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    except ValueError as error:
        raise MessageError(f"{type(value).__name__}: expected finite numbers, got NaN or infinity") from error
    return text.encode()


def encode_readable(value: Any) -> bytes:
    """Return UTF-8 JSON for people: indented, keys in the order given, a newline at the end; see `encode`.

    Raises:
        MessageError: a float is NaN or infinite.
    """
    return (json.dumps(parse(encode(value)), indent=1, ensure_ascii=False) + "\n").encode()


def parse(data: bytes | str) -> Any:
    """Return the plain values of strict JSON.

    Raises:
        MessageError: not UTF-8, not JSON, NaN or Infinity, a duplicate key, or nested too deeply.
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
        return json.loads(text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise MessageError(f"expected UTF-8 text, got byte {data[error.start]!r} at {error.start}") from error
    except json.JSONDecodeError as error:
        raise MessageError(f"expected JSON, got {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise MessageError("expected JSON of modest depth, got one nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits
        raise MessageError(f"expected JSON, got {error}") from error


def decode(data: bytes | str, kind: type[T]) -> T:
    """Return the validated struct that strict JSON holds.

    Raises:
        MessageError: as `parse`, or a field is unknown, missing, of the wrong type or out of range.
    """
    try:
        return msgspec.convert(parse(data), kind, strict=True)
    except msgspec.ValidationError as error:
        raise MessageError(f"{kind.__name__}: {error}") from error


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MessageError(f"expected each key once, got {twice!r} twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MessageError(f"expected finite numbers, got {name}")
