"""Where plain values first break a struct's ranges: the path with its index, what was expected, what came.

msgspec's own message names neither the index within a list nor the value, and whoever must mend a manifest of
thousands of numbers needs both.
"""

from __future__ import annotations

from typing import Any

from msgspec import inspect

_SHOWN = 60
_NUMBERS = (inspect.IntType, inspect.FloatType)
_LISTS = (inspect.VarTupleType, inspect.ListType)


def first_breach(value: Any, kind: Any) -> str | None:
    """Return `path: expected ..., got ...` for the first value out of its range; None where none is.

    value: what strict JSON holds. kind: a struct or any type that msgspec knows. What is missing, unknown or of another
    shape than the struct is left to msgspec's message.
    """
    return _walk(value, inspect.type_info(kind), "")


def _walk(value: Any, kind: inspect.Type, path: str) -> str | None:
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        return _of_union(value, kind, path)
    if isinstance(kind, inspect.StructType):
        return _of_struct(value, kind, path)
    if isinstance(kind, _NUMBERS):
        return _of_number(value, kind, path)
    if isinstance(kind, inspect.StrType):
        return _of_length(value, str, kind, path, "characters")
    if isinstance(kind, inspect.DictType):
        return _of_length(value, dict, kind, path, "entries") or _first(
            (_walk(one, kind.value_type, _joined(path, str(key)[:_SHOWN])) for key, one in value.items())
        )
    if isinstance(kind, _LISTS):
        return _of_length(value, list, kind, path, "entries") or _first(
            (_walk(one, kind.item_type, f"{path}[{number}]") for number, one in enumerate(value))
        )
    if isinstance(kind, inspect.TupleType) and isinstance(value, list):
        pairs = zip(value, kind.item_types, strict=False)
        return _first(_walk(one, item, f"{path}[{number}]") for number, (one, item) in enumerate(pairs))
    if isinstance(kind, inspect.LiteralType) and value not in kind.values:
        return f"{path}: expected {' or '.join(map(repr, kind.values))}, got {shown(value)}"
    return None


def shown(value: Any) -> str:
    """Return a value for a message: short, whatever came."""
    text = f"{len(value)} entries" if isinstance(value, list | dict) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _of_struct(value: Any, kind: inspect.StructType, path: str) -> str | None:
    if not isinstance(value, dict):
        return f"{path or kind.cls.__name__}: expected an object, got {shown(value)}"
    known = (field for field in kind.fields if field.encode_name in value)
    return _first(_walk(value[field.encode_name], field.type, _joined(path, field.encode_name)) for field in known)


def _of_union(value: Any, kind: inspect.UnionType, path: str) -> str | None:
    """Return the breach of the member that the value looks like; where it looks like none, msgspec says so."""
    for member in kind.types:
        inner = member.type if isinstance(member, inspect.Metadata) else member
        if value is None and isinstance(inner, inspect.NoneType):
            return None
        looks = (
            (isinstance(inner, inspect.StructType | inspect.DictType) and isinstance(value, dict))
            or (isinstance(inner, inspect.StrType) and isinstance(value, str))
            or (isinstance(inner, inspect.FloatType) and isinstance(value, float))
            or (isinstance(inner, inspect.IntType) and isinstance(value, int) and not isinstance(value, bool))
        )
        if looks:
            return _walk(value, member, path)
    return None


def _of_number(value: Any, kind: inspect.IntType | inspect.FloatType, path: str) -> str | None:
    whole = isinstance(kind, inspect.IntType)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return f"{path}: expected a {'whole ' if whole else ''}number, got {shown(value)}"
    fits = (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )
    if fits:
        return None
    limits = [("at least", kind.ge), ("more than", kind.gt), ("at most", kind.le), ("less than", kind.lt)]
    said = " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)
    return f"{path}: expected {said}, got {shown(value)}"


def _of_length(value: Any, python: Any, kind: Any, path: str, unit: str) -> str | None:
    """Return the breach of a text's, list's or object's length; `kind` has min_length and max_length."""
    if not isinstance(value, python):
        name = {str: "text", list: "a list", dict: "an object"}[python]
        return f"{path}: expected {name}, got {shown(value)}"
    low, high = kind.min_length or 0, kind.max_length
    if len(value) < low or (high is not None and len(value) > high):
        limit = f"at least {low}" if high is None else f"{low} to {high}"
        return f"{path}: expected {limit} {unit}, got {len(value)}"
    return None


def _first(breaches: Any) -> str | None:
    return next((breach for breach in breaches if breach is not None), None)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
