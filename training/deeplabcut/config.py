"""The settings of a DeepLabCut project, `config.yaml`: what its tables' columns mean."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from edge.errors import OperatorError

MOST_BYTES = 4_000_000
MULTI = "MULTI!"
"""What DeepLabCut writes for `bodyparts` in a project of several animals."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the project says of itself; names as written there.

    parts: body parts of an animal, empty where none are named. unique: project-wide points that belong to no animal.
    individuals: empty in a project of one animal. skeleton: pairs of parts. likelihood: below it a label needs a look.
    """

    path: Path
    scorer: str = ""
    parts: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    individuals: tuple[str, ...] = ()
    skeleton: tuple[tuple[str, str], ...] = ()
    likelihood: float = 0.6


def read_config(folder: Path) -> Config | None:
    """Return the settings of a project's folder; None where it has no config.yaml.

    Raises:
        OperatorError: the file cannot be read, or a key holds something else than expected; with the key's name.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        return None
    way_out = "mend it, or move it away and the tables alone count"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise OperatorError(f"{path}: expected settings of at most {MOST_BYTES} bytes; {way_out}")
        # As text: to YAML 1.1 a part called `on` is a truth value and an animal called 007 the number 7.
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        text = " ".join(str(error).split())[:300]
        raise OperatorError(f"{path}: expected YAML, got {text}; {way_out}") from error
    if not isinstance(content, dict):
        raise OperatorError(f"{path}: expected keys such as scorer and bodyparts, got {content!r:.60}; {way_out}")
    several = (
        str(content.get("multianimalproject")).lower() in ("true", "yes", "on") or content.get("bodyparts") == MULTI
    )
    key = "multianimalbodyparts" if several else "bodyparts"
    parts = _names(content, key, path)
    return Config(
        path,
        str(content.get("scorer") or "").strip(),
        parts,
        _names(content, "uniquebodyparts", path) if several else (),
        _names(content, "individuals", path) if several else (),
        tuple(_pairs(content, path)),
        _likelihood(content),
    )


def _names(content: dict[Any, Any], key: str, path: Path) -> tuple[str, ...]:
    value = content.get(key)
    if value is None or value in ("", "null", "~"):
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise OperatorError(f"{path}: key {key}: expected a list of names, got {value!r:.80}")
    names = tuple(one.strip() for one in value)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        raise OperatorError(
            f"{path}: key {key}: expected each name once, got {twice[0] if twice else 'an empty one'!r}"
        )
    return names


def _pairs(content: dict[Any, Any], path: Path) -> list[tuple[str, str]]:
    value = content.get("skeleton") or []
    value = [] if value in ("null", "~") else value
    if not isinstance(value, list) or not all(isinstance(one, list) for one in value):
        raise OperatorError(f"{path}: key skeleton: expected a list of pairs of body parts, got {value!r:.80}")
    # A bone of DeepLabCut may run over several parts in a row.
    return [(str(a).strip(), str(b).strip()) for bone in value for a, b in pairwise(bone)]


def _likelihood(content: dict[Any, Any]) -> float:
    try:
        value = float(str(content.get("pcutoff")))
    except ValueError:
        return 0.6
    return value if 0 < value < 1 else 0.6
