"""Strict JSON: NaN, infinities and duplicate keys are refused in both directions.

What JSON may say and nobody can store or say again is refused on reading: a number beyond a double (1e400 would be read
as infinity), an integer beyond 64 bits, half of a surrogate pair. Each of them ended a station that took it in.
msgspec writes NaN as `null` and lets the last duplicate win; both would change a measurement in silence.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeVar

import msgspec

from edge.contract.breach import first_breach
from edge.errors import MessageError

T = TypeVar("T")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_LONG = re.compile(r"[0-9]{19}|[eE]\+?[0-9]{3}")
"""Only texts with something like these are looked at number by number."""


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
        MessageError: not UTF-8, not JSON, a number that is not finite or too long, half of a surrogate pair, a
            duplicate key, or nested too deeply.
    """
    try:
        text = data.decode() if isinstance(data, bytes) else data
        careful: dict[str, Any] = {"parse_int": _int_of_64_bits, "parse_float": _finite} if _LONG.search(text) else {}
        values = json.loads(text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant, **careful)
        if _HALF.search(text):
            json.dumps(values, ensure_ascii=False).encode()
        return values
    except UnicodeDecodeError as error:
        raise MessageError(f"expected UTF-8 text, got byte {data[error.start]!r} at {error.start}") from error
    except UnicodeEncodeError as error:
        raise MessageError("expected Unicode text, got half of a surrogate pair") from error
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
    values = parse(data)
    try:
        return msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise MessageError(f"{kind.__name__}: {first_breach(values, kind) or error}") from error


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MessageError(f"expected each key once, got {twice!r} twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MessageError(f"expected finite numbers, got {name}")


def _int_of_64_bits(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise MessageError(f"expected an integer of 64 bits, got {text[:40]}")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise MessageError(f"expected finite numbers, got {text[:40]}")
    return number
