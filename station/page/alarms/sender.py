"""Sends what waits in `outgoing`: a thread that looks, and a child process a message, which is killed when it hangs."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from station.page.alarms.channels import Channel, load_channels
from station.page.database import page_database
from station.page.read import load_table
from station.page.texts import has_text, text
from station.page.web import query
from station.printable import printable
from station.transaction import transaction

LOG = logging.getLogger("station.page")
LOOK_EVERY_S = 2.0
MOST_S = 45.0
"""So long a message may take."""
BACK_OFF_S = (60.0, 300.0, 900.0, 3600.0)
GIVE_UP_S = 86400.0
KEPT_S = 30 * 86400.0
MOST_IN_ONE = 20
"""Alarms of one message that are named; further ones are counted."""


class Sender:
    """The one who sends. The page only puts rows into `outgoing`, so that it never waits for a mail server."""

    def __init__(self, data: Path, url: str) -> None:
        """Nothing is sent before `start`. url: of the page, for the links."""
        self._data, self._url = data, url
        self._wake, self._stop = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._busy: set[int] = set()
        self._children: set[subprocess.Popen[str]] = set()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Begin to look for what waits."""
        self._thread.start()

    def stop(self) -> None:
        """End; what was not sent is sent by the next process."""
        self._stop.set()
        self._wake.set()
        with self._lock:
            for child in self._children:
                child.kill()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - what cannot be sent now is sent later; the page goes on
                LOG.error("alarms cannot be sent: %s: %s", type(error).__name__, error)
                self._stop.wait(30)
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def _look(self) -> None:
        if not (self._data / "page.db").exists():
            return
        zone = None
        with page_database(self._data) as connection:
            drop_settled(connection)
            for channel in load_channels(connection):
                with self._lock:
                    if not channel.waiting or channel.id in self._busy:
                        continue
                zone = zone or load_table(self._data)[1].lab
                rows = find_due(connection, channel, time.time(), datetime.now(UTC).astimezone(zone))
                if rows:
                    with self._lock:
                        self._busy.add(channel.id)
                    threading.Thread(target=self._send, args=(channel, rows), name="send", daemon=True).start()

    def _send(self, channel: Channel, rows: Sequence[sqlite3.Row]) -> None:
        try:
            with page_database(self._data) as connection:
                (address,) = connection.execute("SELECT address FROM channels WHERE id = ?", (channel.id,)).fetchone()
            found = self.ask(address, *compose(rows, self._url))
            if self._stop.is_set() and not found["ok"]:
                return
            with page_database(self._data) as connection:
                keep_outcome(connection, channel, [row["id"] for row in rows], bool(found["ok"]), str(found["said"]))
            if not found["ok"]:
                LOG.error("channel %s: nothing could be sent: %s", channel.name, found["said"])
        except Exception as error:  # noqa: BLE001 - as above
            LOG.error("channel %s: %s: %s", channel.name, type(error).__name__, error)
        finally:
            with self._lock:
                self._busy.discard(channel.id)

    def ask(self, address: str, title: str = "", body: str = "") -> dict[str, Any]:
        """Return what the child says of an address, or of a message that it sent: ok, service, said."""
        command = [sys.executable, "-m", "station.page.alarms.send"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        child = subprocess.Popen(command, text=True, **pipes)  # type: ignore[call-overload]
        with self._lock:
            self._children.add(child)
        try:
            said, _ = child.communicate(json.dumps({"address": address, "title": title, "body": body}), MOST_S)
            found = json.loads(said)
            return found if isinstance(found, dict) else _failed("its answer could not be read")
        except subprocess.TimeoutExpired:
            return _failed(f"no answer within {MOST_S:.0f} s")
        except (ValueError, OSError):
            return _failed("the child process that sends ended without an answer")
        finally:
            child.kill()
            child.communicate()
            with self._lock:
                self._children.discard(child)


def drop_settled(connection: sqlite3.Connection) -> None:
    """Drop what waits of alarms that are over, known or put off, and what was sent or given up a month ago."""
    settled = "sent_s IS NULL AND alarm IN (SELECT id FROM alarms WHERE state != 'active' OR snoozed_until IS NOT NULL)"
    for condition, values in ((settled, ()), ("queued_s < ?", (time.time() - KEPT_S,))):
        found = connection.execute(f"SELECT 1 FROM outgoing WHERE {condition} LIMIT 1", values).fetchone()
        if found is not None:  # nearly always there is nothing to drop, and no lock is taken then
            connection.execute(f"DELETE FROM outgoing WHERE {condition}", values)


def find_due(connection: sqlite3.Connection, channel: Channel, now_s: float, at: datetime) -> list[sqlite3.Row]:
    """Return what is to go out by a channel now, in one message: all that waits once the oldest has waited enough.

    A test goes alone and at once. at: the same time in the lab's zone.
    """
    rows = connection.execute(
        "SELECT o.id, o.alarm, o.due_s, a.device, a.kind, a.text FROM outgoing o LEFT JOIN alarms a ON a.id = o.alarm "
        "WHERE o.channel = ? AND o.sent_s IS NULL AND o.given_up = 0 ORDER BY o.queued_s, o.id LIMIT 1000",
        (channel.id,),
    ).fetchall()
    tests = [row for row in rows if row["alarm"] is None and row["due_s"] <= now_s]
    if tests:
        return tests[:1]
    if not channel.enabled or channel.is_quiet(at) or not any(row["due_s"] <= now_s for row in rows):
        return []
    return [row for row in rows if row["alarm"] is not None]


def compose(rows: Sequence[sqlite3.Row], url: str) -> tuple[str, str]:
    """Return title and text of a message."""
    if rows[0]["alarm"] is None:
        return text("send.test_title"), text("send.test_body", url=url)
    lines = []
    for row in rows[:MOST_IN_ONE]:
        kind = f"code.{row['kind']}"
        name = text(kind) if has_text(kind) else row["kind"].replace("_", " ").capitalize()
        lines.append(f"{row['device']}: {name}. {row['text']}\n{url}{query('/alarm', id=row['alarm'])}")
    if len(rows) > MOST_IN_ONE:
        lines.append(text("card.more", count=len(rows) - MOST_IN_ONE) + f"\n{url}/alarms")
    title = text("send.title_one", device=rows[0]["device"]) if len(rows) == 1 else text("send.title", count=len(rows))
    return printable(title), printable("\n\n".join(lines), lines=True)


def keep_outcome(connection: sqlite3.Connection, channel: Channel, rows: Sequence[int], ok: bool, said: str) -> None:
    """Keep whether a message went; one that did not is tried again, ever more seldom, for a day."""
    now = time.time()
    with transaction(connection):
        if ok:
            connection.execute(
                "UPDATE channels SET sent_s = ?, failing_since = NULL, said = '' WHERE id = ?", (now, channel.id)
            )
        else:
            connection.execute(
                "UPDATE channels SET failing_since = coalesce(failing_since, ?), said = ? WHERE id = ?",
                (now, said, channel.id),
            )
        for number in rows:
            if ok:
                connection.execute("UPDATE outgoing SET sent_s = ?, said = '' WHERE id = ?", (now, number))
                continue
            row = connection.execute("SELECT * FROM outgoing WHERE id = ?", (number,)).fetchone()
            if row is None:
                continue
            wait_s = BACK_OFF_S[min(row["tries"], len(BACK_OFF_S) - 1)]
            over = row["alarm"] is None or now - row["queued_s"] > GIVE_UP_S
            connection.execute(
                "UPDATE outgoing SET tries = tries + 1, due_s = ?, said = ?, given_up = ? WHERE id = ?",
                (now + wait_s, said, over, number),
            )


def _failed(said: str) -> dict[str, Any]:
    return {"ok": False, "service": "", "said": said}
