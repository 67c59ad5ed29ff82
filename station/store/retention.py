"""Retention: pictures and raw bodies are removed by rules, part by part, each with its line in the audit table.

Keys, digests, and the rows of readings, animals and days stay for ever. What is damaged is left for `verify`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from edge.contract.base import Struct
from edge.contract.reading import SCHEMA as READING_SCHEMA
from station.store.inspection import derived_rows, stored_rows
from station.store.picture import sync_folders
from station.store.record_rows import COLUMNS, RecordRow, read_body
from station.store.removed import BODIES, LOG, THUMBNAILS, mark_body, mark_path, read_path_mark

LOOKED_AT_A_PART: Final = 2000
REMOVED_A_PART: Final = 200
_STATE, _LAST = "retention", "retained"
FILES = "CREATE TABLE IF NOT EXISTS retention_files (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID"
"""Files that no row names any more, from the transaction that says so until they are gone."""
_BODIES = (
    f"SELECT id, received_at, length(body), {COLUMNS.replace('body', 'CAST(body AS BLOB)')} "
    "FROM main.records WHERE id > ? ORDER BY id LIMIT ?"
)
_PICTURES = (
    "SELECT t.device, t.epoch, t.seq, t.received_at, t.bytes, t.path, t.sha256 FROM main.thumbnails t "
    "WHERE (t.device, t.epoch, t.seq) > (?, ?, ?) ORDER BY 1, 2, 3 LIMIT ?"
)
_ACCEPTED = "SELECT accepted FROM main.readings WHERE device = ? AND epoch = ? AND seq = ?"


class Rule(Struct, frozen=True, kw_only=True):
    """What is removed some days after it came. kind: of the readings whose pictures or bodies are meant."""

    what: Literal["thumbnails", "bodies"]
    older_than_days: Annotated[int, msgspec.Meta(ge=1, le=36500)]
    kind: Literal["all", "accepted", "rejected"] = "all"

    def __str__(self) -> str:
        """Return it in words."""
        of = "" if self.kind == "all" else f" of {self.kind} readings"
        return f"{self.what}{of} older than {self.older_than_days} days"


@dataclass(frozen=True, slots=True)
class Item:
    """One picture or body that a rule removes. row: as it was selected."""

    key: tuple[str, str, int]
    received_at: float
    bytes: int
    row: tuple[Any, ...]


@dataclass(slots=True)
class Pass:
    """How far a pass is. rule: its place among the rules; at: the last key; line: of the audit table, 0 before it."""

    began_s: float
    rules: str
    rule: int = 0
    at: list[Any] = field(default_factory=list)
    line: int = 0


class Retention:
    """Works inside the caller's transactions; `remove_files` after each commit."""

    def __init__(self, connection: sqlite3.Connection, data: Path, rules: Sequence[Rule], who: str) -> None:
        """Use the store's connection. who: in whose name something is removed, for the audit table."""
        self._connection, self._data, self._rules, self._who = connection, data, tuple(rules), who
        self._fingerprint = json.dumps([msgspec.to_builtins(rule) for rule in self._rules])

    def last_pass_s(self) -> float:
        """Return when the last complete pass by these rules ended, Unix seconds; 0 where there was none."""
        found = self._load(_LAST)
        return float(found["ended_s"]) if found.get("rules") == self._fingerprint else 0.0

    def next_part(self, now_s: float) -> tuple[int, bool]:
        """Return how many pictures or bodies the next part removed, and whether the pass is complete."""
        state = self._state(now_s)
        if state.rule >= len(self._rules):
            self._save(_LAST, {"ended_s": now_s, "rules": self._fingerprint})
            self._connection.execute("DELETE FROM meta WHERE key = ?", (_STATE,))
            return 0, True
        rule = self._rules[state.rule]
        items, at = find_items(self._connection, rule, state.at, state.began_s)
        removed = self._remove(rule, items, state, now_s) if items else 0
        if at is None:
            state.rule, state.at, state.line = state.rule + 1, [], 0
        else:
            state.at = at
        values = {
            "began_s": state.began_s,
            "rules": state.rules,
            "rule": state.rule,
            "at": state.at,
            "line": state.line,
        }
        self._save(_STATE, values)
        return removed, False

    def remove_files(self) -> None:
        """Remove the files that no row names any more; one that cannot be removed now is tried again later."""
        try:
            found = self._connection.execute("SELECT path, sha256 FROM retention_files").fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return
        gone = [path for path, sha256 in found if self._is_gone(path, sha256)]
        with suppress(OSError):  # a folder that was removed meanwhile
            sync_folders(self._data, [Path(path) for path in gone])
        self._connection.executemany("DELETE FROM retention_files WHERE path = ?", [(path,) for path in gone])

    def _is_gone(self, path: str, sha256: str) -> bool:
        """Remove a file, unless another content stands there by now; return whether nothing is left to be done."""
        file = (self._data / path).resolve()
        if not file.is_relative_to((self._data / "thumbnails").resolve()):
            return True  # a database that was edited by hand removes nothing elsewhere
        try:
            if hashlib.sha256(file.read_bytes()).hexdigest() == sha256:
                file.unlink()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _remove(self, rule: Rule, items: Sequence[Item], state: Pass, now_s: float) -> int:
        """Remove what is sound, with its line in the audit table, in the caller's transaction."""
        line = state.line or self._begin_line(rule, state, now_s)
        execute = self._connection.execute
        done: list[Item] = []
        freed = 0
        for item in items:
            if rule.what == THUMBNAILS:
                path, sha256 = item.row[5], item.row[6]
                where = "WHERE device = ? AND epoch = ? AND seq = ?"
                if not execute(f"UPDATE thumbnails SET path = ? {where}", (mark_path(line), *item.key)).rowcount:
                    continue
                execute("INSERT OR REPLACE INTO retention_files VALUES (?, ?)", (path, sha256))
                freed += item.bytes
            else:
                mark = self._mark(line, item)
                if mark is None:
                    continue
                execute("UPDATE records SET body = ? WHERE id = ?", (mark, item.row[0]))
                freed += item.bytes - len(mark)
            done.append(item)
        if not done:
            if not state.line:
                execute("DELETE FROM retention_log WHERE id = ?", (line,))
            return 0
        state.line = line
        (devices,) = execute("SELECT devices FROM retention_log WHERE id = ?", (line,)).fetchone()
        counts = Counter(json.loads(devices)) + Counter(item.key[0] for item in done)
        times = [item.received_at for item in done]
        execute(
            "UPDATE retention_log SET ended_at = ?, removed = removed + ?, bytes = bytes + ?, devices = ?, "
            "first_s = min(first_s, ?), last_s = max(last_s, ?) WHERE id = ?",
            (now_s, len(done), freed, json.dumps(dict(sorted(counts.items()))), min(times), max(times), line),
        )
        return len(done)

    def _mark(self, line: int, item: Item) -> bytes | None:
        """Return what stands in a body's place, None where the record is damaged: that is for `verify`."""
        row = RecordRow(*item.row[3:])
        try:
            derived = derived_rows(row, read_body(row))
        except (ValueError, TypeError):
            return None
        stored = stored_rows(self._connection, item.key)
        if derived is None or any(stored[table] != derived.get(table, []) for table in stored):
            return None
        return mark_body(line, stored)

    def _begin_line(self, rule: Rule, state: Pass, now_s: float) -> int:
        self._connection.execute(LOG)
        self._connection.execute(FILES)
        before_s = state.began_s - rule.older_than_days * 86400.0
        values = (now_s, now_s, self._who, rule.what, rule.kind, rule.older_than_days, before_s, 1e18, -1e18)
        cursor = self._connection.execute(
            "INSERT INTO retention_log (began_at, ended_at, who, what, kind, older_than_days, before_s, first_s, "
            "last_s, removed, bytes, devices) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '{}')",
            values,
        )
        return int(cursor.lastrowid or 0)

    def _state(self, now_s: float) -> Pass:
        found = self._load(_STATE)
        try:
            state = Pass(**found)
            if state.rules == self._fingerprint and state.began_s <= now_s:
                return state
        except TypeError:
            pass
        return Pass(now_s, self._fingerprint)

    def _load(self, key: str) -> dict[str, Any]:
        found = self._connection.execute("SELECT value FROM main.meta WHERE key = ?", (key,)).fetchone()
        with suppress(ValueError):
            values = json.loads(found[0]) if found is not None else {}
            return values if isinstance(values, dict) else {}
        return {}

    def _save(self, key: str, values: dict[str, Any]) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(values)))


def find_items(
    connection: sqlite3.Connection, rule: Rule, after: Sequence[Any], now_s: float
) -> tuple[list[Item], list[Any] | None]:
    """Return what a rule removes of the next rows behind a key, and the last key looked at, None behind the last.

    after: empty for the first; bodies are looked at by number, pictures by key.
    """
    before_s = now_s - rule.older_than_days * 86400.0
    bodies = rule.what == BODIES
    start: tuple[Any, ...] = tuple(after) if after else ((0,) if bodies else ("", "", 0))
    query = _BODIES if bodies else _PICTURES
    items: list[Item] = []
    with _lenient_texts(connection):
        rows = connection.execute(query, (*start, LOOKED_AT_A_PART)).fetchall()
    for found in rows:
        row = tuple(found)
        key, received_at, size = ((row[3], row[4], row[5]), row[1], row[2]) if bodies else (row[:3], row[3], row[4])
        last = [row[0]] if bodies else list(row[:3])
        if isinstance(received_at, (int, float)) and received_at < before_s and _is_meant(connection, rule, row, key):
            items.append(Item(key, float(received_at), size, row))
            if len(items) == REMOVED_A_PART:
                return items, last
    # A damaged name may sort before itself as it is read: never look at the same rows for ever.
    return items, last if rows and last != list(start) else None


@contextmanager
def _lenient_texts(connection: sqlite3.Connection) -> Iterator[None]:
    """Read texts that a flipped bit has made unreadable with a sign in their place: their row costs itself alone."""
    before = connection.text_factory
    connection.text_factory = lambda raw: str(raw, "utf-8", "replace")
    try:
        yield
    finally:
        connection.text_factory = before


def _is_meant(connection: sqlite3.Connection, rule: Rule, row: tuple[Any, ...], key: tuple[str, str, int]) -> bool:
    if rule.what == BODIES:
        body = row[8]
        if row[7] != READING_SCHEMA or not isinstance(body, bytes) or body.startswith(b"\x00"):
            return False
    elif read_path_mark(row[5]) is not None:
        return False
    if rule.kind == "all":
        return True
    found = connection.execute(_ACCEPTED, key).fetchone()
    return found is not None and bool(found[0]) == (rule.kind == "accepted")
