"""What the station knows of the contents under its numbers, told to a device that compares them with its own."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import msgspec

from edge.contract.delivery import MAX_ASKED, Committed, CommittedEpoch


def tell_known(connection: sqlite3.Connection, device: str, promise: Committed) -> Committed:
    """Return the promise with the digests that the device compares; as it is where the device does not say it does."""
    found = connection.execute("SELECT body FROM device_state WHERE device = ? AND what = 'info'", (device,)).fetchone()
    asked = _asked(found[0] if found is not None else b"")
    if asked is None:
        return promise
    epochs = tuple(_with_digests(connection, device, of, asked.get(of.epoch, [])) for of in promise.epochs)
    return msgspec.structs.replace(promise, epochs=epochs)


def _with_digests(connection: sqlite3.Connection, device: str, of: CommittedEpoch, asked: list[int]) -> CommittedEpoch:
    newest = connection.execute(
        "SELECT seq, digest FROM records WHERE device = ? AND epoch = ? ORDER BY seq DESC LIMIT 1", (device, of.epoch)
    ).fetchall()
    known: dict[int, str] = dict(newest)
    for seq in asked:
        held = connection.execute(
            "SELECT digest FROM records WHERE device = ? AND epoch = ? AND seq = ?", (device, of.epoch, seq)
        ).fetchone()
        known[seq] = held[0] if held is not None else ""
    return msgspec.structs.replace(of, known=tuple(sorted(known.items())))


def _asked(info: bytes) -> dict[str, list[int]] | None:
    """Return what a device's `info` asks for, per epoch; None where it does not compare.

    Read leniently: a later version's `info` may hold more than this one knows.
    """
    try:
        questions: Any = json.loads(info).get("compares")
    except (ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(questions, list):
        return None
    asked: dict[str, list[int]] = {}
    for question in questions[:MAX_ASKED]:
        seqs = question.get("seqs") if isinstance(question, dict) else None
        if isinstance(seqs, list) and isinstance(question.get("epoch"), str):
            asked[question["epoch"]] = [seq for seq in seqs[:MAX_ASKED] if type(seq) is int and 0 < seq < 1 << 62]
    return asked
