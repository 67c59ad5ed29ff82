"""YAML text into plain values, without YAML 1.1's surprises.

Only what looks like a number in JSON is one. `19:00` stays text (YAML 1.1 makes it 1140), so do `0012`, `0x1F`,
`1_000`, `2026-11-21`, `yes`, `no`, `on`, `off`. A key that stands twice, an anchor and a merge key are refused.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from edge.errors import ConfigError

MAX_CHARACTERS = 200_000


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

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice: the last one would win in silence."""
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refusal(key.start_mark, "a plain key", "a list or a section as key")
            if key.value in seen:
                place = f"lines {seen[key.value]} and {key.start_mark.line + 1}"
                raise ConfigError(key.value, "each key once", f"it twice, on {place}")
            seen[key.value] = key.start_mark.line + 1
        # Keys are names, never numbers: `3: timeout` in a script of faults has the key "3".
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node)


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


def parse_yaml(text: str) -> dict[str, Any]:
    """Return the top section as plain values.

    Raises:
        ConfigError: not YAML, a key twice, an anchor, a tag, or not a section of keys.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError("(the file)", f"at most {MAX_CHARACTERS} characters", f"{len(text)}")
    try:
        value = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "(the file)"
        raise ConfigError(where, "YAML", error.problem or str(error)) from error
    except yaml.YAMLError as error:
        raise ConfigError("(the file)", "YAML", str(error).splitlines()[0]) from error
    except RecursionError as error:
        raise ConfigError("(the file)", "YAML of modest depth", "one nested too deeply") from error
    if not isinstance(value, dict):
        got = "an empty file" if value is None else type(value).__name__
        raise ConfigError("(the file)", "a section of keys such as `device_id: cage07`", got)
    return value


def _refusal(mark: Any, expected: str, got: str) -> ConfigError:
    return ConfigError(f"line {mark.line + 1}", expected, got)
