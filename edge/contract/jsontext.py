"""Strict JSON: NaN, infinities and duplicate keys are refused in both directions, and what is read is bounded.

What JSON may say and nobody can store or say again is refused on reading: a number beyond a double (1e400 would be read
as infinity), an integer beyond 64 bits, half of a surrogate pair. Each of them ended a station that took it in.
msgspec writes NaN as `null` and lets the last duplicate win; both would change a measurement in silence.
How deep a text may nest is this module's own rule: the interpreter's limit is another one in each version. Reading
takes time in proportion to the text's length, whatever is in it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from edge.contract.breach import first_breach
from edge.errors import MessageError

MAX_DEPTH: Final = 64
T = TypeVar("T")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""One that nobody ends matches too: searching for its end again from every quote in it would take the square."""
_BRACKETS = b"[]{}"
_OTHERS = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_STEPS = {byte: 1 if byte in b"[{" else -1 for byte in _BRACKETS}
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_AS_ZEROS = bytes.maketrans(b"0123456789", b"0" * 10)
_LONG = re.compile(b"0" * 19 + b"(?<![.0]" + b"0" * 19 + b")")
_EXPONENTS = (b"e000", b"e+000", b"E000", b"E+000")
"""Only texts with something like these outside of strings (every digit as 0) are looked at number by number, which
takes three times as long. Digits behind a point make no number large. Within strings they would be in every reading:
one SHA-256 of two holds an "e" before three digits."""
_OF_NUMBERS = b"0123456789.+-eE"
"""Every character of a number, which two encoders may write in two ways: 2e-05 is 0.00002, 20000 is 20000.0."""


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
            duplicate key, or nested deeper than MAX_DEPTH.
    """
    try:
        raw = data.encode() if isinstance(data, str) else data
        text = raw.decode()
        outside = _STRING.sub(b"", raw)
        _check_depth(outside)
        careful: dict[str, Any] = {}
        if _may_be_large(outside):
            careful = {"parse_int": _int_of_64_bits, "parse_float": _finite}
        values = json.loads(text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant, **careful)
        if _HALF.search(raw):
            json.dumps(values, ensure_ascii=False).encode()
        return values
    except UnicodeDecodeError as error:
        raise MessageError(f"expected UTF-8 text, got byte {error.object[error.start]!r} at {error.start}") from error
    except UnicodeEncodeError as error:
        raise MessageError("expected Unicode text, got half of a surrogate pair") from error
    except json.JSONDecodeError as error:
        raise MessageError(f"expected JSON, got {error.msg} at character {error.pos}") from error
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


def decode_as_written(data: bytes, kind: type[T]) -> T | None:
    """Return the struct that a text holds in the very form in which `encode` writes it; None of any other text.

    A fifth of the time of `decode`, which is asked about the rest. The text is decoded without a look at its keys and
    written again: where both texts are the same but for the characters of numbers, each key stands there once, in its
    place. kind: a struct whose fields are typed and bounded all the way down, so that no number in it is too large.

    Raises:
        TypeError: a field of `kind` has keys of any name, or two that differ in characters of numbers only.
    """
    decoder: msgspec.json.Decoder[T] = _decoder(kind)  # type: ignore[arg-type]
    try:
        found = decoder.decode(data)
    except (msgspec.MsgspecError, ValueError):  # `decode` says what is wrong
        return None
    again = _ENCODER.encode(found)
    return found if again.translate(None, _OF_NUMBERS) == data.translate(None, _OF_NUMBERS) else None


_ENCODER = msgspec.json.Encoder()


@cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    _check_telling(msgspec.inspect.type_info(kind), kind)
    return msgspec.json.Decoder(kind, strict=True)


def _check_telling(info: Any, kind: type[Any]) -> None:
    """Refuse a type with keys that are not its own, or that are the same without the characters of numbers."""
    if isinstance(info, (msgspec.inspect.DictType, msgspec.inspect.AnyType)):
        raise TypeError(f"{kind.__name__}: expected fields of known names only, got {type(info).__name__}")
    if isinstance(info, msgspec.inspect.StructType):
        short = {field.encode_name.encode().translate(None, _OF_NUMBERS) for field in info.fields}
        if len(short) != len(info.fields) or not info.forbid_unknown_fields:
            raise TypeError(f"{info.cls.__name__}: expected fields that differ without the letter e, got {info.fields}")
        for field in info.fields:
            _check_telling(field.type, kind)
    for inner in (*getattr(info, "types", ()), *getattr(info, "item_types", ())):
        _check_telling(inner, kind)
    if hasattr(info, "item_type"):
        _check_telling(info.item_type, kind)


def _check_depth(outside: bytes) -> None:
    depth = 0
    for byte in outside.translate(None, _OTHERS):
        depth += _STEPS[byte]
        if depth > MAX_DEPTH:
            raise MessageError(f"expected JSON of at most {MAX_DEPTH} levels, got one nested too deeply")


def _may_be_large(outside: bytes) -> bool:
    zeros = outside.translate(_AS_ZEROS)
    return any(exponent in zeros for exponent in _EXPONENTS) or _LONG.search(zeros) is not None


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise MessageError(f"expected each key once, got {name[:80]!r} twice")
            seen.add(name)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise MessageError(f"expected finite numbers, got {name}")


def _int_of_64_bits(text: str) -> int:
    # The length comes first: `int` takes the square of it.
    number = int(text) if len(text) <= 20 else 2**63
    if not -(2**63) <= number < 2**63:
        raise MessageError(f"expected an integer of 64 bits, got {text[:40]}")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise MessageError(f"expected finite numbers, got {text[:40]}")
    return number
