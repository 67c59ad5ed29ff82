"""A key that stands twice in a section of YAML, of which PyYAML would keep the last in silence."""

from __future__ import annotations

import yaml


def refuse_twice(node: yaml.MappingNode) -> None:
    """Look through a section's own keys.

    Raises:
        yaml.MarkedYAMLError: one stands twice; the mark is that of the second.
    """
    seen = set()
    for key, _ in node.value:
        if key.value in seen:
            raise yaml.MarkedYAMLError(problem=f"{key.value!r} is given twice", problem_mark=key.start_mark)
        seen.add(key.value)
