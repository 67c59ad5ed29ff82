"""What a person decided about a device: that it is retired, or that its present problems are known."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.errors import OperatorError
from station.store import schema

_RETIRED, _ACKNOWLEDGED = "retired/", "acknowledged/"
"""In the table `meta`, before the device's name."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Made at a time, for a reason. problems: code -> how many there were, of an acknowledgement."""

    at: datetime
    reason: str
    problems: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decisions:
    """Of all devices, by name."""

    retired: Mapping[str, Decision] = field(default_factory=dict)
    acknowledged: Mapping[str, Decision] = field(default_factory=dict)


def load_decisions(connection: sqlite3.Connection) -> Decisions:
    """Return what was decided; what cannot be read (the database was edited by hand) counts as not decided."""
    retired: dict[str, Decision] = {}
    acknowledged: dict[str, Decision] = {}
    query = "SELECT key, value FROM meta WHERE key LIKE 'retired/%' OR key LIKE 'acknowledged/%'"
    for key, text in connection.execute(query):
        decision = _read(text)
        if decision is not None:
            kind, _, device = str(key).partition("/")
            (retired if kind == "retired" else acknowledged)[device] = decision
    return Decisions(retired, acknowledged)


def retire(data: Path, device: str, reason: str) -> None:
    """Keep that a device is out of service: `status` counts it no longer, unless it sends again.

    Raises:
        OperatorError: the folder cannot be written.
    """
    _write(data, {f"{_RETIRED}{device}": Decision(datetime.now(UTC), reason)}, [f"{_ACKNOWLEDGED}{device}"])


def acknowledge(data: Path, device: str, problems: Mapping[str, int], reason: str) -> None:
    """Keep that a device's present problems are known: `status` counts them again when there are more.

    Raises:
        OperatorError: the folder cannot be written.
    """
    _write(data, {f"{_ACKNOWLEDGED}{device}": Decision(datetime.now(UTC), reason, problems)}, [])


def reinstate(data: Path, device: str) -> None:
    """Forget what was decided about a device.

    Raises:
        OperatorError: the folder cannot be written.
    """
    _write(data, {}, [f"{_RETIRED}{device}", f"{_ACKNOWLEDGED}{device}"])


def _write(data: Path, decided: Mapping[str, Decision], forgotten: list[str]) -> None:
    with closing(schema.open_for_writing(data)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM meta WHERE key = ?", [(key,) for key in forgotten])
            rows = [(key, _text(decision)) for key, decision in decided.items()]
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise OperatorError(f"{data}: could not write what was decided: {error}") from error


def _text(decision: Decision) -> str:
    return json.dumps(
        {"at": decision.at.isoformat(), "reason": decision.reason, "problems": dict(decision.problems)},
        sort_keys=True,
    )


def _read(text: object) -> Decision | None:
    try:
        found: Any = json.loads(str(text))
        at = datetime.fromisoformat(found["at"])
        problems = {str(code): int(count) for code, count in found["problems"].items()}
        return Decision(at if at.tzinfo else at.replace(tzinfo=UTC), str(found["reason"]), problems)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
