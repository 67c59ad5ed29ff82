"""The settings file into the frozen tree, or one clear error. It never writes, never clamps, never guesses."""

from __future__ import annotations

import difflib
import hashlib
import re
from pathlib import Path
from typing import Any, get_args

import msgspec

from edge.config.crosschecks import check_together
from edge.config.strict_yaml import parse_yaml
from edge.config.tree import ClockTime, Config, Name
from edge.contract import jsontext
from edge.errors import ConfigError, OperatorError

_SECRETS = re.compile(r"passw|secret|token|credential$|private", re.IGNORECASE)
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<where>[^`]*)`)?$", re.DOTALL)
_PATTERNS = {
    get_args(ClockTime)[1].pattern: "a clock time HH:MM from 00:00 to 23:59, such as 07:00",
    get_args(Name)[1].pattern: "a name of 1-32 characters a-z, 0-9 and '-', such as cage07",
}
_OTHER_WORDS = {
    "lights_off": "light_hours (how many hours the light stays on after lights_on)",
    "light_off": "light_hours (how many hours the light stays on after lights_on)",
    "timezone": "zone (a fixed offset such as '+01:00', or an IANA zone)",
    "tz": "zone (a fixed offset such as '+01:00', or an IANA zone)",
    "broker": "host (the broker's name or address)",
    "server": "host (the broker's name or address)",
    "address": "host (the broker's name or address)",
    "user": "username",
    "ca_file": "ca (the broker's authority, PEM)",
    "cert_file": "certificate (PEM)",
    "key_file": "key (PEM, or credential:NAME)",
    "scale": "px_per_mm (pixels of the main stream per millimetre on the cage floor)",
    "mm_per_px": "px_per_mm (pixels per millimetre, the reciprocal)",
    "interval_s": "interval_light_s and interval_dark_s",
    "name": "id",
}
"""What people write -> the key that means it, with what it wants, where the two look unlike."""
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "a section of keys",
    "array": "a list",
    "null": "nothing (null)",
}


def load_config(path: Path | str) -> Config:
    """Return the settings of one device.

    Raises:
        OperatorError: the file cannot be read.
        ConfigError: a key is unknown, missing, of the wrong type or out of range.
    """
    source = Path(path)
    text = read_text(source)
    try:
        return parse_config(text)
    except ConfigError as error:
        raise ConfigError(error.path, error.expected, error.got, source=str(source)) from error


def read_text(source: Path) -> str:
    """Return a settings file's text.

    Raises:
        OperatorError: the file cannot be read.
    """
    try:
        return source.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise OperatorError(f"{source}: no such settings file; `cageclock init {source}` writes an example") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OperatorError(f"{source}: the settings cannot be read: {reason}") from error


def parse_config(text: str) -> Config:
    """Return the settings that the YAML text holds.

    Raises:
        ConfigError: a key is unknown, missing, of the wrong type or out of range.
    """
    values = with_empty_sections(parse_yaml(text), Config)
    try:
        config = msgspec.convert(values, Config, strict=True)
    except msgspec.ValidationError as error:
        raise explain(str(error), values) from error
    check_together(config)
    return config


def config_sha256(config: Config) -> str:
    """Return the SHA-256 of the whole tree, defaults included: two files that mean the same have the same digest."""
    return hashlib.sha256(jsontext.encode(config)).hexdigest()


def with_empty_sections(values: Any, kind: Any) -> Any:
    """Return the values with a section whose keys are all commented out (YAML's null) as an empty section."""
    if not isinstance(values, dict):
        return values
    filled = dict(values)
    for field in msgspec.structs.fields(kind):
        is_section = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        if is_section and field.encode_name in filled:
            inner = filled[field.encode_name]
            filled[field.encode_name] = {} if inner is None else with_empty_sections(inner, field.type)
    return filled


def explain(message: str, values: dict[str, Any]) -> ConfigError:
    """Return msgspec's message as path, expectation and what came."""
    match = _PLACE.match(message)
    assert match is not None  # the pattern matches any text
    what, where = match["what"], (match["where"] or "$").removeprefix("$").lstrip(".")
    if unknown := re.match(r"Object contains unknown field `(.*)`", what):
        return _unknown_key(where, unknown[1], values)
    if missing := re.match(r"Object missing required field `(.*)`", what):
        return ConfigError(_join(where, missing[1]), "this key to be given", "nothing")
    got = _look_up(values, where)
    return ConfigError(where or "(the file)", _expectation(what, where), _shown(got, where))


def _unknown_key(where: str, key: str, values: dict[str, Any]) -> ConfigError:
    if _SECRETS.search(key):
        expected = "no secret in this file (name a file: mqtt.password_file)"
        return ConfigError(_join(where, key), expected, "one (not shown)")
    known = _keys_at(where, values)
    if key in _OTHER_WORDS and _OTHER_WORDS[key].partition(" ")[0] in known:
        return ConfigError(_join(where, key), f"another key: {_OTHER_WORDS[key]}", f"the unknown key {key!r}")
    near = difflib.get_close_matches(key, known, n=1)
    expected = f"a known key (did you mean {near[0]!r}?)" if near else f"one of {', '.join(known)}"
    return ConfigError(_join(where, key), expected, f"the unknown key {key!r}")


def _keys_at(where: str, values: dict[str, Any]) -> list[str]:
    """Return the keys that the section at a path may hold."""
    kind: Any = Config
    for step in re.findall(r"[^.\[\]]+", where):
        if not step.isdigit():
            kind = next(field.type for field in msgspec.structs.fields(kind) if field.name == step)
        kind = _struct_in(kind)
    return [field.encode_name for field in msgspec.structs.fields(kind)]


def _struct_in(kind: Any) -> Any:
    """Return the struct inside `X | None` or `tuple[X, ...]`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next(found for part in getattr(kind, "__args__", ()) if (found := _struct_in(part)) is not None)


def _expectation(what: str, where: str) -> str:
    """Return msgspec's expectation in words for people."""
    if pattern := re.search(r"matching regex '(.*)'$", what):
        return _PATTERNS.get(pattern[1], f"text of the form {pattern[1]}")
    if what.startswith("Invalid enum value"):
        return _choices(where)
    if limit := re.match(r"Expected `(\w+)` (<=|>=|<|>) (\S+)", what):
        words = {"<=": "at most", ">=": "at least", "<": "below", ">": "above"}[limit[2]]
        return f"{_KINDS.get(limit[1], limit[1])} {words} {limit[3]}"
    if length := re.match(r"Expected `(\w+)` of length (.*?)(?:, got .*)?$", what):
        return f"{_KINDS.get(length[1], length[1])} of length {length[2]}"
    kinds = re.match(r"Expected `([^`]*)`", what)
    if kinds is None:
        return what
    text = " or ".join(_KINDS.get(kind.strip(), kind.strip()) for kind in kinds[1].split("|"))
    return text + (" (put it in quotes)" if "`str" in what and "got `str`" not in what else "")


def _choices(where: str) -> str:
    """Return the values that the key at a path may have."""
    parent, _, key = where.rpartition(".")
    kind: Any = Config
    for step in parent.split(".") if parent else []:
        kind = _struct_in(next(field.type for field in msgspec.structs.fields(kind) if field.name == step))
    field = next(field for field in msgspec.structs.fields(kind) if field.name == key)
    return "one of " + ", ".join(str(choice) for choice in field.type.__args__)


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
