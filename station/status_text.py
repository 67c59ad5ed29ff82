"""The station's status for people and for programs: what `cageclock-station status` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, tzinfo
from typing import Any

from station.ingest.running import Running
from station.printable import printable
from station.status import DeviceStatus, ago
from station.store.upkeep import LastPass

_HEADER = (
    f"{'device':<20} {'says':<8} {'last reading':<31} {'records':>8} {'pictures':>8} {'to come':>7} {'lost':>6} "
    f"{'conflicts':>9} {'quarantine':>10}  problems"
)
_OUTCOMES = {
    "ok": "an animal was found and looked at",
    "dark": "the picture was dark",
    "overexposed": "the picture was too bright",
    "blurred": "the picture was blurred",
    "obstructed": "something stood before the lens",
    "stale_frame": "the camera gave an old frame",
    "no_mouse": "no animal was found",
    "in_nest": "the animals lay in the nest",
    "camera_fault": "the camera gave no frame",
    "model_fault": "the model could not be used",
}


def draw_status(found: Sequence[DeviceStatus], now: datetime) -> str:
    """Return the table for a terminal, and below it each device's last capture and problems in words."""
    if not found:
        return "no device was heard of yet"
    serving = [status for status in found if status.retired is None or status.problems]
    lines = [_HEADER]
    for status in serving:
        last = "-"
        if status.last_reading_at is not None:
            last = f"{_local(status.last_reading_at, status.zone)} ({ago(status.last_reading_at, now)})"
        codes = [f"({code})" if code in status.known else code for code in status.problems]
        lines.append(
            f"{printable(status.device):<20} {status.availability:<8} {last:<31} {status.records:>8} "
            f"{status.thumbnails:>8} {status.holes:>7} {status.lost:>6} {status.conflicts:>9} "
            f"{status.quarantined:>10}  {' '.join(codes)}".rstrip()
        )
    lines.append("")
    for status in serving:
        lines.append(f"{printable(status.device)}: {_last_capture(status)}")
        for code, sentence in status.problems.items():
            known = " (acknowledged)" if code in status.known else ""
            lines.append(f"  ! {code}{known}{': ' if sentence else ''}{sentence}")
    retired = [status for status in found if status.retired is not None and not status.problems]
    if retired:
        lines.append(f"retired: {', '.join(printable(status.device) for status in retired)}")
    if any(status.needs_a_person for status in found):
        lines.append(
            "what is known and needs nobody any more: cageclock-station devices acknowledge DEVICE; what is out of "
            "service: cageclock-station devices retire DEVICE"
        )
    return "\n".join(lines)


def describe_station(running: Running | None, now: datetime, zone: tzinfo) -> str:
    """Return one sentence on whether a station logs here."""
    if running is None:
        return "station: none is known to have run on this folder (`cageclock-station run`); nothing new is logged"
    since = _local(running.updated_at, zone)
    if not running.runs(now):
        how = "it was ended" if running.ended else "it was last seen"
        return (
            f"station {running.name}: does not run, nothing is logged; {how} {since} ({ago(running.updated_at, now)})"
        )
    if not running.connected:
        return f"station {running.name}: runs, but is not connected to {running.broker}: {running.said or 'connecting'}"
    return f"station {running.name}: runs, connected to {running.broker}" + (
        f"; {running.said}" if running.said else ""
    )


def describe_pass(last: LastPass | None, now: datetime, zone: tzinfo) -> str:
    """Return one sentence on when every row and picture was looked at last, and what was wrong then."""
    if last is None:
        return "verified: no pass over the whole database is complete yet"
    at = datetime.fromtimestamp(last.ended_s, UTC)
    wrong = ", ".join(f"{number} {kind}" for kind, number in sorted(last.found.items())) or "nothing"
    return (
        f"verified: {_local(at, zone)} ({ago(at, now)}), {last.records} records and {last.pictures} pictures; "
        f"put right then: {wrong}"
    )


def describe_due(days_due: int) -> str:
    """Return one sentence on the days that wait to be made anew."""
    return (
        f"days: {days_due} wait to be made anew after a change of animals, zones or version; the station does it, "
        "`cageclock-station days rebuild` does it at once; until then `show` reads their readings and is slower"
    )


def station_is_well(running: Running | None, now: datetime) -> bool:
    """Return whether nothing is known against the station; a copied database may come without its file."""
    return running is None or (running.runs(now) and running.connected and not running.said)


def status_values(
    found: Sequence[DeviceStatus],
    running: Running | None,
    quotas: Sequence[str],
    last: LastPass | None,
    now: datetime,
    *,
    well: bool,
    days_due: int = 0,
) -> dict[str, Any]:
    """Return the same as plain values for JSON; times are ISO 8601 in UTC."""
    station = None
    if running is not None:
        station = {
            "name": running.name,
            "runs": running.runs(now),
            "connected": running.runs(now) and running.connected,
            "broker": running.broker,
            "updated_at": running.updated_at.isoformat(),
            "said": running.said,
        }
    return {
        "now": now.isoformat(),
        "ok": well,
        "station": station,
        "quotas": list(quotas),
        "days_due": days_due,
        "verified": None if last is None else asdict(last),
        "devices": [_device_values(status) for status in found],
    }


def _device_values(status: DeviceStatus) -> dict[str, Any]:
    last = status.last_reading_at
    return {
        "device": status.device,
        "availability": status.availability,
        "last_reading_at": None if last is None else last.isoformat(),
        "last_outcome": status.last_outcome,
        "records": status.records,
        "thumbnails": status.thumbnails,
        "to_come": status.holes,
        "lost": status.lost,
        "conflicts": status.conflicts,
        "quarantined": status.quarantined,
        "copied": status.copied,
        "unseen": status.unseen,
        "problems": [
            {"code": code, "text": text, "acknowledged": code in status.known} for code, text in status.problems.items()
        ],
        "retired_at": None if status.retired is None else status.retired.at.isoformat(),
        "needs_a_person": status.needs_a_person,
    }


def _last_capture(status: DeviceStatus) -> str:
    if status.last_outcome is None:
        return "no capture came yet"
    return f"last capture: {_OUTCOMES.get(status.last_outcome, status.last_outcome)}"


def _local(at: datetime, zone: tzinfo) -> str:
    """Return a time in the room's zone with its offset, to the minute."""
    text = at.astimezone(zone).isoformat(timespec="minutes")
    return text.replace("T", " ", 1)
