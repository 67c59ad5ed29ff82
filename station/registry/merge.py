"""What an import of animals adds to the lab's table, changes in it and leaves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from station.printable import printable
from station.registry.lifetime import wrong_order
from station.registry.subject import COLUMNS, Row, Subject


@dataclass(frozen=True, slots=True)
class Change:
    """One cell of the lab's table that an import sets. before, after: None where it is empty."""

    subject: str
    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do. refused: a sentence for each row that was passed over."""

    added: tuple[str, ...]
    changed: tuple[Change, ...]
    same: tuple[str, ...]
    not_named: tuple[str, ...]
    refused: tuple[str, ...]


def draw_import(found: Imported, *, dry_run: bool = False) -> str:
    """Return what was added, changed and left, a line a change, and the counts below."""
    lines = [f"added    {name}" for name in found.added]
    lines += [
        f"changed  {change.subject}: {change.column}: {change.before or 'empty'} -> {change.after or 'empty'}"
        for change in found.changed
    ]
    lines += [f"left     {name}: nothing new" for name in found.same]
    changed = len({change.subject for change in found.changed})
    counts = f"{len(found.added)} animals added, {changed} changed, {len(found.same)} left as they were"
    if found.refused:
        counts += f", {len(found.refused)} rows refused"
    if found.not_named:
        counts += f"; {len(found.not_named)} known animals that the file does not name stay"
    lines.append(f"{counts}; a dry run, nothing was written" if dry_run else counts)
    return "\n".join(printable(line) for line in lines)


def plan_import(
    path: Path, rows: Sequence[Row], refused: Sequence[str], table: Sequence[Subject]
) -> tuple[Imported, list[Subject]]:
    """Return what an import does and the animals that it writes. Dates are compared with those known already."""
    known = {subject.subject: subject for subject in table}
    added, changed, same, merged, wrong = [], [], [], [], list(refused)
    for row in rows:
        before = known.get(row.subject)
        said: dict[str, Any] = dict(row.said)
        after = replace(before or Subject(row.subject), **said)
        dates = wrong_order(asdict(after))
        if dates is not None:
            wrong.append(f"{path}, line {row.line}: subject {row.subject!r}: {dates}")
            continue
        if before is None:
            added.append(row.subject)
        elif before == after:
            same.append(row.subject)
            continue
        else:
            changed += [
                Change(row.subject, column, getattr(before, column), getattr(after, column))
                for column in COLUMNS
                if getattr(before, column) != getattr(after, column)
            ]
        merged.append(after)
    named = {row.subject for row in rows}
    return Imported(tuple(added), tuple(changed), tuple(same), tuple(sorted(set(known) - named)), tuple(wrong)), merged
