"""The texts of the page, all from one file, `texts.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("texts.yaml")


@cache
def load_texts() -> dict[str, str]:
    """Return all texts by key."""
    found = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {str(key): str(text) for key, text in found.items()}


def has_text(key: str) -> bool:
    """Return whether there is a text of that name."""
    return key in load_texts()


def text(key: str, /, **values: object) -> str:
    """Return a text with its values in place.

    Raises:
        KeyError: there is no such text.
    """
    found = load_texts()[key]
    return found.format(**values) if values else found
