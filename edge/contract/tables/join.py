"""What two tables have in common: names in both, and on either side those without a partner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.contract.tables.names import key_of, natural

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Join:
    """Names of two tables, each in natural order: in both, in the first only, in the second only."""

    matched: tuple[str, ...]
    first_only: tuple[str, ...]
    second_only: tuple[str, ...]


def join(first: Iterable[str], second: Iterable[str]) -> Join:
    """Return which names the two have in common; empty ones are nobody's."""
    one, two = set(first) - {""}, set(second) - {""}
    return Join(*(tuple(sorted(part, key=natural)) for part in (one & two, one - two, two - one)))


def describe_join(found: Join, first: str, second: str, what: str = "animals") -> list[str]:
    """Return the report: how many matched, then a sentence for each side that has names without a partner."""
    said = [f"{len(found.matched)} {what} are in both {first} and {second}"]
    for names, here, there in ((found.first_only, first, second), (found.second_only, second, first)):
        if names:
            said.append(f"{len(names)} {what} of {here} are not in {there} (first: {first_few(names)})")
    keys = {key_of(name): name for name in reversed(found.first_only)}
    pairs = [(keys[key_of(name)], name) for name in found.second_only if key_of(name) in keys]
    if pairs:
        shown = ", ".join(f"{one} and {two}" for one, two in pairs[:SHOWN])
        said.append(f"{len(pairs)} of them likely mean the same, written in two ways: {shown}")
    return said


def first_few(names: Iterable[str]) -> str:
    """Return "1, 2, 3, ..." """
    names = list(names)
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
