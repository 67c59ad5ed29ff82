"""Plain values into a frozen struct, or one error that names the key, what was expected and what came."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from edge.contract.service.settings.document import Document
from edge.errors import ConfigError

_SECRETS = re.compile(r"passw|secret|token|credential$|private", re.IGNORECASE)
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<where>[^`]*)`)?$", re.DOTALL)
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "a section of keys",
    "array": "a list",
    "null": "nothing (null)",
}

Settings = TypeVar("Settings", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Wording:
    """What one kind of file says in words of its own.

    other_words: what people write -> the key that means it, with what it wants, where the two look unlike.
    patterns: the regular expression of a value -> what it wants, for people.
    missing: how to give a key that is missing. secret: which file's name to give in place of a secret.
    """

    other_words: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    missing: str = "this key to be given"
    secret: str = "no secret in this file (name a file: mqtt.password_file)"


def convert(document: Document, kind: type[Settings], wording: Wording, *, strict: bool = True) -> Settings:
    """Return the settings that a document holds. strict: False where its values are all text, as of `as_text`.

    Raises:
        ConfigError: a key is unknown, missing, of the wrong type or out of range; with the file and the line.
    """
    values = with_empty_sections(document.values, kind)
    try:
        return msgspec.convert(values, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise document.place(explain(str(error), values, kind, wording)) from error


def with_empty_sections(values: Any, kind: Any) -> Any:
    """Return the values with a section whose keys are all commented out (YAML's null) as an empty section."""
    if not isinstance(values, dict):
        return values
    filled = dict(values)
    for one in msgspec.structs.fields(kind):
        is_section = isinstance(one.type, type) and issubclass(one.type, msgspec.Struct)
        if is_section and one.encode_name in filled:
            inner = filled[one.encode_name]
            filled[one.encode_name] = {} if inner is None else with_empty_sections(inner, one.type)
    return filled


def explain(message: str, values: dict[str, Any], kind: Any, wording: Wording) -> ConfigError:
    """Return msgspec's message as path, expectation and what came."""
    match = _PLACE.match(message)
    assert match is not None  # the pattern matches any text
    what, where = match["what"], (match["where"] or "$").removeprefix("$").lstrip(".")
    if unknown := re.match(r"Object contains unknown field `(.*)`", what):
        return _unknown_key(where, unknown[1], kind, wording)
    if missing := re.match(r"Object missing required field `(.*)`", what):
        return ConfigError(_join(where, missing[1]), wording.missing, "nothing")
    got = _look_up(values, where)
    return ConfigError(where or "(the file)", _expectation(what, where, kind, wording), _shown(got, where))


def _unknown_key(where: str, key: str, kind: Any, wording: Wording) -> ConfigError:
    if _SECRETS.search(key):
        return ConfigError(_join(where, key), wording.secret, "one (not shown)")
    known = _keys_at(where, kind)
    if key in wording.other_words and wording.other_words[key].partition(" ")[0] in known:
        return ConfigError(_join(where, key), f"another key: {wording.other_words[key]}", f"the unknown key {key!r}")
    near = difflib.get_close_matches(key, known, n=1)
    expected = f"a known key (did you mean {near[0]!r}?)" if near else f"one of {', '.join(known)}"
    return ConfigError(_join(where, key), expected, f"the unknown key {key!r}")


def _keys_at(where: str, kind: Any) -> list[str]:
    """Return the keys that the section at a path may hold."""
    for step in re.findall(r"[^.\[\]]+", where):
        if not step.isdigit():
            kind = next(one.type for one in msgspec.structs.fields(kind) if one.name == step)
        kind = _struct_in(kind)
    return [one.encode_name for one in msgspec.structs.fields(kind)]


def _struct_in(kind: Any) -> Any:
    """Return the struct inside `X | None` or `tuple[X, ...]`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next(found for part in getattr(kind, "__args__", ()) if (found := _struct_in(part)) is not None)


def _expectation(what: str, where: str, kind: Any, wording: Wording) -> str:
    """Return msgspec's expectation in words for people."""
    if pattern := re.search(r"matching regex '(.*)'$", what):
        return wording.patterns.get(pattern[1], f"text of the form {pattern[1]}")
    if what.startswith("Invalid enum value"):
        return _choices(where, kind)
    if limit := re.match(r"Expected `(\w+)` (<=|>=|<|>) (\S+)", what):
        words = {"<=": "of at most", ">=": "of at least", "<": "below", ">": "above"}[limit[2]]
        return f"{_KINDS.get(limit[1], limit[1])} {words} {limit[3]}"
    if length := re.match(r"Expected `(\w+)` of length (.*?)(?:, got .*)?$", what):
        return f"{_KINDS.get(length[1], length[1])} of length {length[2]}"
    kinds = re.match(r"Expected `([^`]*)`", what)
    if kinds is None:
        return what
    text = " or ".join(_KINDS.get(kind.strip(), kind.strip()) for kind in kinds[1].split("|"))
    return text + (" (put it in quotes)" if "`str" in what and "got `str`" not in what else "")


def _choices(where: str, kind: Any) -> str:
    """Return the values that the key at a path may have."""
    parent, _, key = where.rpartition(".")
    for step in re.findall(r"[^.\[\]]+", parent):
        if not step.isdigit():
            kind = next(one.type for one in msgspec.structs.fields(kind) if one.name == step)
        kind = _struct_in(kind)
    chosen = next(one for one in msgspec.structs.fields(kind) if one.name == key)
    return "one of " + ", ".join(str(choice) for choice in chosen.type.__args__)


def _look_up(values: Any, where: str) -> Any:
    for step in re.findall(r"[^.\[\]]+", where):
        if isinstance(values, list) and step.isdigit():
            values = values[int(step)]
        elif isinstance(values, dict) and step in values:
            values = values[step]
    return values


def _shown(value: Any, where: str) -> str:
    if _SECRETS.search(where.rpartition(".")[2]) and isinstance(value, str):
        return "text (not shown)"
    if isinstance(value, dict):
        return "a section of keys"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value is None else repr(value)[:80]


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
