"""A YAML file as plain values with the line of each key, without YAML 1.1's surprises.

Only what looks like a number in JSON is one. `19:00` stays text (YAML 1.1 makes it 1140), so do `0012`, `0x1F`,
`1_000`, `2026-11-21`, `yes`, `no`, `on`, `off`. A key that stands twice, an anchor and a merge key are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edge.errors import ConfigError, OperatorError

MAX_CHARACTERS = 200_000
_SECTION = "a section of keys such as `name: value`"


class _Loader(yaml.SafeLoader):
    """SafeLoader with the resolvers of YAML 1.2's JSON schema and no aliases."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own interface

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse anchors and aliases: nothing in a settings file needs them, and they can nest without end."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:
            raise _refusal(event.start_mark, "plain values", "an anchor or alias (& or *)")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


class _TextLoader(_Loader):
    """The same, with every value as the text that stands there: a network called NO, a name 0123."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own interface


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    # Keys are names, never numbers: `3: timeout` in a script of faults has the key "3".
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), list("-0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)$"),
    list("-0123456789"),
)


def _construct_float(_loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(node.value)


_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says. values: its top section, as plain values. lines: the line of each key, by the key's path.

    source: the file's name, for people; "" for text without one.
    """

    values: dict[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)
    source: str = ""

    def place(self, error: ConfigError) -> ConfigError:
        """Return the error with the file's name and the line of its key, or of the nearest section around it."""
        path, line = error.path, None
        while path and (line := self.lines.get(path)) is None:
            path = re.sub(r"(?:^|\.)[^.\[]*$|\[\d+\]$", "", path)
        return ConfigError(error.path, error.expected, error.got, source=self.source, line=line)


def parse_document(text: str, source: str = "", *, as_text: bool = False) -> Document:
    """Return what YAML text says. as_text: every value is the text that stands there.

    Raises:
        ConfigError: not YAML, a key twice, an anchor, a tag, or not a section of keys.
    """
    try:
        values, lines = _parse(text, _TextLoader if as_text else _Loader)
    except ConfigError as error:
        raise ConfigError(error.path, error.expected, error.got, source=source, line=error.line) from error
    return Document(values, lines, source)


def read_document(path: Path, *, as_text: bool = False, hint: str = "") -> Document:
    """Return what a YAML file says. hint: what to do where there is no such file.

    Raises:
        OperatorError: the file cannot be read.
        ConfigError: not YAML, a key twice, an anchor, a tag, or not a section of keys.
    """
    return parse_document(_read(path, hint), str(path), as_text=as_text)


def read_nodes(path: Path) -> yaml.MappingNode:
    """Return a YAML file as a tree of nodes, to be changed and written again; an empty file is an empty section.

    Raises:
        OperatorError: the file cannot be read.
        ConfigError: not YAML, a key twice, an anchor, or not a section of keys.
    """
    text = _read(path, "")
    try:
        node = _compose(_loader(text, _Loader))[0]
        if node is not None and not isinstance(node, yaml.MappingNode):
            raise ConfigError("(the file)", _SECTION, "something else")
    except ConfigError as error:
        raise ConfigError(error.path, error.expected, error.got, source=str(path), line=error.line) from error
    return yaml.MappingNode("tag:yaml.org,2002:map", []) if node is None else node


def parse_yaml(text: str) -> dict[str, Any]:
    """Return the top section of YAML text as plain values.

    Raises:
        ConfigError: not YAML, a key twice, an anchor, a tag, or not a section of keys.
    """
    return parse_document(text).values


def _read(path: Path, hint: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise OperatorError(f"{path}: no such settings file{f'; {hint}' if hint else ''}") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OperatorError(f"{path}: the settings cannot be read: {reason}") from error


def _parse(text: str, kind: type[_Loader]) -> tuple[dict[str, Any], dict[str, int]]:
    loader = _loader(text, kind)
    node, lines = _compose(loader)
    try:
        value = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(error) from error
    if not isinstance(value, dict):
        got = "an empty file" if value is None or value == "" else type(value).__name__
        raise ConfigError("(the file)", _SECTION, got)
    return value, lines


def _loader(text: str, kind: type[_Loader]) -> _Loader:
    if len(text) > MAX_CHARACTERS:
        raise ConfigError("(the file)", f"at most {MAX_CHARACTERS} characters", f"{len(text)}")
    try:
        return kind(text)
    except yaml.YAMLError as error:  # a character that no YAML has
        raise ConfigError("(the file)", "YAML", str(error).splitlines()[0]) from error


def _compose(loader: _Loader) -> tuple[yaml.Node | None, dict[str, int]]:
    """Return the tree of nodes and the line of every key."""
    lines: dict[str, int] = {}
    try:
        node: yaml.Node | None = loader.get_single_node()
        _note_lines(node, "", lines)
    except yaml.MarkedYAMLError as error:
        raise _no_yaml(error) from error
    except yaml.YAMLError as error:
        raise ConfigError("(the file)", "YAML", str(error).splitlines()[0]) from error
    except RecursionError as error:
        raise ConfigError("(the file)", "YAML of modest depth", "one nested too deeply") from error
    return node, lines


def _no_yaml(error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "(the file)"
    return ConfigError(where, "YAML", error.problem or str(error))


def _note_lines(node: yaml.Node | None, path: str, lines: dict[str, int]) -> None:
    """Note the line of every key below a node; refuse one that stands twice, of which the last would win in silence."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[f"{path}[{index}]"] = item.start_mark.line + 1
            _note_lines(item, f"{path}[{index}]", lines)
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise _refusal(key.start_mark, "a plain key", "a list or a section as key")
        below = f"{path}.{key.value}" if path else key.value
        if below in lines:
            raise ConfigError(below, "each key once", f"it twice, on lines {lines[below]} and {line}", line=line)
        lines[below] = line
        _note_lines(value, below, lines)


def _refusal(mark: Any, expected: str, got: str) -> ConfigError:
    return ConfigError(f"line {mark.line + 1}", expected, got)
