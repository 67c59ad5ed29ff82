"""What a station knows after a simulated month, and whether it is all that it should know."""

from __future__ import annotations

import math
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge.contract import jsontext
from edge.contract.ranges import RangeSet
from edge.contract.record import CLOCK_SCHEMA, Event
from edge.errors import StorageError
from edge.outbox.publish_file import PublishFile
from edge.outbox.reader import Reader
from edge.outbox.watermarks import Released
from tests.campaigns.campaign import Line
from tests.campaigns.synthetic import DEVICE
from tests.campaigns.virtual import Boot
from tests.losses import read_losses

Key = tuple[str, int]


class Station:
    """Publisher and station in one: reads the outbox, keeps each record once, promises what it has."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self.records: dict[Key, bytes] = {}
        self.wrong = ""

    def listen(self) -> None:
        """Take in what the outbox holds now; what cannot be read is tried again next time."""
        reader = Reader(self._state_dir / "outbox.db")
        with suppress(StorageError):
            reader.changed()
            for of in reader.epochs():
                for row in reader.rows(of.epoch, of.first_held, of.last):
                    if self.records.setdefault((row.epoch, row.seq), row.body) != row.body:
                        self.wrong = self.wrong or f"number {row.seq} of {row.epoch[:8]} has two contents"
        reader.close()

    def promise(self, chance: random.Random) -> None:
        """Let the device release what is here."""
        held: dict[str, RangeSet] = {}
        for epoch, seq in self.records:
            held.setdefault(epoch, RangeSet()).add(seq)
        delivery = PublishFile.open(self._state_dir, device_id=DEVICE)
        pictures = {epoch: ranges if chance.random() < 0.8 else RangeSet() for epoch, ranges in held.items()}
        delivery.set_released({epoch: Released(held[epoch], pictures[epoch]) for epoch in held}, "db-1")
        delivery.close()


def judge(station: Station, boots: list[Boot], interval_s: float, gaps: dict[Key, Event], line: Line) -> str:
    """Return what is wrong, "" where every slot has one reading or is named as missing, and every label is honest.

    gaps: the `gap` events as they were appended. Where a `lost` record names one of these, the slots that it spoke of
    are known to be in question too.
    """
    bodies = [jsontext.parse(body) for body in station.records.values()]
    gone = {
        (loss.of_epoch, seq)
        for body, values in zip(station.records.values(), bodies, strict=True)
        for loss in read_losses(str(values.get("schema")), body)
        if loss.what == "record"
        for seq in range(loss.first_seq, loss.last_seq + 1)
    }
    gaps_gone = [gaps[key] for key in gone if key in gaps]
    lost = len(gone) + sum(_missed(gap) for gap in gaps_gone)
    torn = sum(int(body["detail"].get("in_doubt") or 0) for body in bodies if _is(body, "epoch_begun"))
    excused = lost + torn
    line.count("readings", sum("outcome" in body for body in bodies))
    line.count("records named as lost", len(gone))
    for number, boot in enumerate(boots):
        mine = [body for body in bodies if body["boot_id"] == boot.boot_id]
        following = boots[number + 1].boot_id if number + 1 < len(boots) else ""
        gap_after = any(_is(body, "gap") and body["boot_id"] == following for body in bodies) or any(
            gap.boot_id == following for gap in gaps_gone
        )
        problem, unnamed = _judge_boot(boot, mine, interval_s, gap_after, line)
        excused -= unnamed
        if problem or excused < 0:
            return f"boot {number}: {problem or f'{unnamed} slots have no reading and no record says so'}"
    return ""


def _judge_boot(
    boot: Boot, mine: list[dict[str, Any]], interval_s: float, gap_after: bool, line: Line
) -> tuple[str, int]:
    """Return a problem, and how many slots only a `lost` record could explain."""
    readings = [body for body in mine if body.get("trigger") == "schedule"]
    slots = Counter(math.floor(body["monotonic_s"] / interval_s + 1e-6) for body in readings)
    double = [slot for slot, times in slots.items() if times > 1]
    if double:
        return f"slot {double[0]} has {slots[double[0]]} readings", 0
    for body in readings:
        if not body["clock_synced"] and body["light"] != "unknown":
            return "a light phase is known while the time is not", 0
    corrections = sum(body.get("schema") == CLOCK_SCHEMA for body in mine)
    line.count("clock records", corrections)
    if corrections > len(boot.synced_at):
        return f"{corrections} clock records, but the clock was set {len(boot.synced_at)} times", 0
    if not boot.starts:
        return "", 0
    first = math.floor(boot.starts[0] / interval_s) + 1
    last = math.floor(boot.ended_s / interval_s)
    missing = [slot for slot in range(first, last + 1) if slot not in slots]
    if gap_after:  # the end of a boot: the next one's gap says since when nothing was captured
        newest = max(slots, default=first - 1)
        missing = [slot for slot in missing if slot < newest]
    # A later start of this boot may know of nothing since another boot: its gap says so of all slots until then.
    whole = [body["monotonic_s"] for body in mine if _is(body, "gap") and body["detail"].get("missed_slots") is None]
    missing = [slot for slot in missing if slot * interval_s > max(whole, default=0.0)]
    named = sum(body["detail"].get("missed_slots") or 0 for body in mine if _is(body, "gap"))
    line.count("slots named as missed", min(named, len(missing)))
    return "", max(0, len(missing) - named)


def _missed(gap: Event) -> int:
    return int(gap.detail.get("missed_slots") or 0)


def _is(body: dict[str, Any], code: str) -> bool:
    return body.get("code") == code
