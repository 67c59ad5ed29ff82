"""Requests to devices: queued by people and the page, sent by the fleet process, with what became of each."""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

import msgspec

from edge.contract import jsontext
from edge.contract.command import CaptureRequest, ReplayRequest, Result
from edge.errors import OperatorError
from station.fleet.keep.groups import checked_device
from station.fleet.keep.history import keep

REQUESTS: dict[str, type[CaptureRequest] | type[ReplayRequest]] = {"capture": CaptureRequest, "replay": ReplayRequest}
EXPIRES_S = 3600.0
"""A device that is not connected for so long does not get the request any more."""
ANSWER_S = 600.0
"""Without a word for so long a request counts as unanswered; an answer that comes later is kept all the same."""
OPEN = ("queued", "sent", "accepted")


@dataclass(frozen=True, slots=True)
class Command:
    """One request. state: queued, sent, accepted, done, refused, unanswered or expired; text: why, in words."""

    id: str
    device: str
    name: str
    payload: bytes
    who: str
    made_s: float
    state: str
    text: str
    changed_s: float


def queue_command(
    connection: sqlite3.Connection, now_s: float, who: str, device: str, name: str, values: dict[str, Any] | None = None
) -> str:
    """Queue a request, in the caller's transaction, and return its id. values: of the message, without the id.

    Raises:
        OperatorError: no such command, or the values are not those of its message.
    """
    checked_device(device)
    if name not in REQUESTS:
        raise OperatorError(f"command: expected {' or '.join(REQUESTS)}, got {name!r}")
    made = f"fleet-{secrets.token_hex(8)}"
    try:
        request = msgspec.convert({"id": made, **(values or {})}, REQUESTS[name], strict=False)
    except msgspec.ValidationError as error:
        raise OperatorError(f"{name}: {error}") from error
    payload = jsontext.encode(request).decode()
    connection.execute(
        "INSERT INTO commands VALUES (?, ?, ?, ?, ?, ?, 'queued', '', ?)",
        (made, device, name, payload, who, now_s, now_s),
    )
    keep(connection, now_s, who, "command", f"{name} ({made})", device=device)
    return made


def load_commands(
    connection: sqlite3.Connection, *, device: str | None = None, states: tuple[str, ...] | None = None, most: int = 100
) -> list[Command]:
    """Return the newest requests, oldest first."""
    where, values = ["1"], []
    if device is not None:
        where.append("device = ?")
        values.append(device)
    if states is not None:
        where.append(f"state IN ({', '.join('?' * len(states))})")
        values.extend(states)
    query = f"SELECT * FROM commands WHERE {' AND '.join(where)} ORDER BY made_s DESC, id LIMIT ?"
    rows = connection.execute(query, (*values, most)).fetchall()
    return [
        Command(
            row["id"], row["device"], row["name"], row["payload"].encode(), row["who"], row["made_s"], row["state"],
            row["text"], row["changed_s"],
        )
        for row in reversed(rows)
    ]  # fmt: skip


def mark(connection: sqlite3.Connection, now_s: float, command: str, state: str, text: str = "") -> None:
    """Keep how far a request is."""
    connection.execute(
        "UPDATE commands SET state = ?, text = ?, changed_s = ? WHERE id = ?", (state, text[:2000], now_s, command)
    )


def hear_result(connection: sqlite3.Connection, now_s: float, device: str, result: Result) -> None:
    """Keep a device's answer to one of our requests; others' and another device's are passed over.

    `accepted` that arrives after `done`, a copy, changes nothing.
    """
    row = connection.execute("SELECT device, state FROM commands WHERE id = ?", (result.id,)).fetchone()
    if row is None or row["device"] != device or (result.status == "accepted" and row["state"] in ("done", "refused")):
        return
    detail = f" {json.dumps(result.detail, sort_keys=True)}" if result.detail else ""
    mark(connection, now_s, result.id, result.status, f"{result.text}{detail}")


def close_old(connection: sqlite3.Connection, now_s: float) -> None:
    """Give up what was never sent or never answered."""
    connection.execute(
        "UPDATE commands SET state = 'expired', text = 'the device was not connected in time', changed_s = ? "
        "WHERE state = 'queued' AND made_s < ?",
        (now_s, now_s - EXPIRES_S),
    )
    connection.execute(
        "UPDATE commands SET state = 'unanswered', text = 'the device did not answer', changed_s = ? "
        "WHERE state = 'sent' AND changed_s < ?",
        (now_s, now_s - ANSWER_S),
    )
