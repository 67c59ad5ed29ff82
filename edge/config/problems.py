"""All that is wrong with a settings file at once: what `cageclock check` prints."""

from __future__ import annotations

import copy
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from edge.config.crosschecks import contradictions
from edge.config.load import WORDING, read_config
from edge.config.tree import Config
from edge.contract.service.settings.convert import explain, with_empty_sections
from edge.contract.service.settings.document import Document, parse_document
from edge.errors import ConfigError

_MOST = 50


@dataclass(frozen=True, slots=True)
class Checked:
    """config: the settings, None where an error stands. warnings: sentences on what works and should not stay so."""

    config: Config | None
    errors: tuple[ConfigError, ...]
    warnings: tuple[str, ...] = ()


def check_file(path: Path) -> Checked:
    """Return every error of a file, each with the file's name.

    Raises:
        OperatorError: the file cannot be read.
    """
    try:
        return _check(read_config(path))
    except ConfigError as error:
        return Checked(None, (error,))


def check_text(text: str) -> Checked:
    """Return every error of settings as YAML text; each wrong key is reported once, and set aside to see the next."""
    try:
        return _check(parse_document(text))
    except ConfigError as error:
        return Checked(None, (error,))


def _check(document: Document) -> Checked:
    found = _find(with_empty_sections(document.values, Config))
    return Checked(found.config, tuple(map(document.place, found.errors)), found.warnings)


def _find(values: dict[str, Any]) -> Checked:
    errors: list[ConfigError] = []
    remaining = copy.deepcopy(values)
    config: Config | None = None
    while config is None and len(errors) < _MOST:
        try:
            config = msgspec.convert(remaining, Config, strict=True)
        except msgspec.ValidationError as error:
            found = explain(str(error), remaining, Config, WORDING)
            if any(found.path == one.path for one in errors) or not isinstance(remaining, dict):
                return Checked(None, (*errors, *(() if errors else (found,))))
            errors.append(found)
            remaining = _set_aside(remaining, found.path)
    if config is None:
        return Checked(None, tuple(errors))
    aside = [one.path for one in errors]
    errors += [one for one in contradictions(config) if not any(_touches(one.path, path) for path in aside)]
    return Checked(None if errors else config, tuple(errors), tuple(_warnings(config)) if not errors else ())


def _touches(path: str, other: str) -> bool:
    """Return whether one path is the other, or lies in it: what was set aside is not judged a second time."""
    return path == other or path.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{path}.", f"{path}["))


def _set_aside(values: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the values without the key at a path, or with a sound value where it has to be given."""
    steps: list[Any] = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]
    node: Any = values
    kind: Any = Config
    for step in steps[:-1]:
        kind, inner = _inside(kind, step), _item(node, step)
        if not isinstance(inner, (dict, list)):
            return values
        node = inner
    last = steps[-1]
    if isinstance(node, list) and isinstance(last, int) and last < len(node):
        node[last] = _stand_in(_inside(kind, last))
    elif isinstance(node, dict):
        node.pop(last, None)
        field = next((one for one in _fields(kind) if one.encode_name == last), None)
        if field is not None and field.required:
            node[last] = _stand_in(field.type)
    return values


def _item(node: Any, step: Any) -> Any:
    """Return what stands under a key or at a place of a list, None for nothing."""
    if isinstance(node, dict):
        return node.get(step)
    return node[step] if isinstance(node, list) and isinstance(step, int) and step < len(node) else None


def _fields(kind: Any) -> tuple[Any, ...]:
    struct = _struct(kind)
    return msgspec.structs.fields(struct) if struct is not None else ()


def _inside(kind: Any, step: Any) -> Any:
    """Return the type of a key of a section, or of an item of a list."""
    if isinstance(step, int):
        listed = next((one for one in (kind, *get_args(kind)) if get_origin(one) is tuple), None)
        items = get_args(listed)
        return items[0] if items else Any
    return next((one.type for one in _fields(kind) if one.encode_name == step), Any)


def _struct(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for one in get_args(kind) if (found := _struct(one)) is not None), None)


def _stand_in(kind: Any) -> Any:
    """Return a value that a type takes, in place of one that was refused; it is never used."""
    struct = _struct(kind)
    if struct is not None:
        return {one.encode_name: _stand_in(one.type) for one in msgspec.structs.fields(struct) if one.required}
    for value in ("stand-in", 1, 1.0, True, {}, [], *(get_args(kind) or ())):
        try:
            msgspec.convert(value, kind, strict=True)
        except (msgspec.ValidationError, TypeError):
            continue
        return value
    return None


def _warnings(config: Config) -> Iterator[str]:
    mqtt = config.mqtt
    if mqtt.password_file is not None and mqtt.tls is None and not _is_here(mqtt.host):
        yield (
            f"mqtt.password_file: the password goes over the network to {mqtt.host} in clear, for everyone on the way "
            "to read; set mqtt.tls"
        )
    if config.camera.px_per_mm is None:
        yield (
            "camera.px_per_mm: not set, so that no age is ever given; firmware_config/README.md says how to measure it"
        )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
