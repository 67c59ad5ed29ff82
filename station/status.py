"""What the station holds and what needs a person, device by device."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

from edge.contract import jsontext
from edge.contract.ranges import RangeSet
from edge.contract.times import FIRST_S, LAST_S
from edge.errors import MessageError
from station.printable import printable
from station.registry.devices import Decision, Decisions, load_decisions
from station.registry.zones import load_zones
from station.store.account import read_ranges, union
from station.store.chain import count_copied, count_unseen, read_info
from station.store.losses import CAME

INTERVALS = 3
"""A device that has sent nothing for so many of its own intervals is silent."""
LEAST_SILENCE = timedelta(minutes=10)
UNKNOWN_INTERVAL_S = 4 * 3600.0
_MOST_PROBLEMS = 40
_SAME = "{0}.device = t.device AND {0}.epoch = t.epoch AND {0}.seq = t.seq"
_NEWEST = (
    f"SELECT t.at_s, t.outcome, t.time_basis, (SELECT received_at FROM records r WHERE {_SAME.format('r')}) "
    "FROM timed_readings t WHERE t.device = ? AND"
)
_CLOCKS = (
    f"t.clock_synced = 1 AND t.captured_s BETWEEN {FIRST_S} AND {LAST_S} "
    f"AND NOT EXISTS (SELECT 1 FROM dated_ahead d WHERE {_SAME.format('d')}) ORDER BY t.captured_s DESC LIMIT 1",
    "(t.epoch, t.seq) = (SELECT d.epoch, d.seq FROM dated_ahead d WHERE d.device = t.device "
    "ORDER BY d.received_at DESC LIMIT 1)",
    "t.clock_synced IS NOT 1 ORDER BY (t.time_basis = 'unsynchronised'), t.at_s DESC LIMIT 1",
)
"""The newest reading of a sound clock, of one that ran ahead, and of one that was not set: each has an index."""
_AHEAD = (
    "SELECT count(*), max(at_s) FROM (SELECT at_s FROM dated_ahead WHERE device = :device UNION ALL SELECT at_s "
    "FROM timed_readings WHERE device = :device AND clock_synced IS NOT 1 AND time_basis = 'ahead') AS one"
)
_GAPS = 60
_FEWEST_GAPS = 10


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device. holes: numbers below the highest seen that are not accounted for (still to come).

    availability: what it or its last will said. last_reading_at: by the device's clock, where that was right.
    problems: code -> a sentence with advice, what it says of itself in `health` and what the station sees.
    known: those of the problems that a person has acknowledged. retired: since when it is out of service.
    zone: of its room, for people. copied: epochs that go on after the same one as another.
    unseen: starts before the oldest epoch that it holds, of which nothing is known here. ahead: readings that are dated
    after they came.
    """

    device: str
    availability: str
    last_reading_at: datetime | None
    last_outcome: str | None
    records: int
    thumbnails: int
    holes: int
    lost: int
    conflicts: int
    quarantined: int
    problems: Mapping[str, str]
    known: frozenset[str] = frozenset()
    retired: Decision | None = None
    zone: tzinfo = field(default=UTC)
    copied: int = 0
    unseen: int = 0
    ahead: int = 0

    @property
    def needs_a_person(self) -> bool:
        """Whether something is wrong that nobody has acknowledged."""
        return any(code not in self.known for code in self.problems)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each problem there are, as an acknowledgement keeps it."""
        counted = {
            "lost": self.lost,
            "conflicts": self.conflicts,
            "quarantined": self.quarantined,
            "copied": self.copied,
            "unseen": self.unseen,
            "clock_ahead": self.ahead,
        }
        return {code: counted.get(code, 1) for code in self.problems}


def load_status(connection: sqlite3.Connection, now: datetime | None = None) -> list[DeviceStatus]:
    """Return every device of which anything is known, in order."""
    tables = ("accounts", "quarantine", "conflicts", "device_state", "totals")
    union = " UNION ".join(f"SELECT device FROM {table}" for table in tables)
    decisions, zones = load_decisions(connection), load_zones(connection)
    now = now or datetime.now(UTC)
    devices = [row[0] for row in connection.execute(f"{union} ORDER BY 1").fetchall()]
    return [_status(connection, device, decisions, zones.of(device), now) for device in devices]


def _status(
    connection: sqlite3.Connection, device: str, decisions: Decisions, zone: tzinfo, now: datetime
) -> DeviceStatus:
    def number(sql: str) -> int:
        return int(connection.execute(sql, (device,)).fetchone()[0])

    holes = 0
    for row in connection.execute("SELECT records, lost FROM accounts WHERE device = ?", (device,)).fetchall():
        numbers = union(*map(read_ranges, row))
        holes += numbers.highest - numbers.count()
    states = dict(connection.execute("SELECT what, body FROM device_state WHERE device = ?", (device,)).fetchall())
    health = _health(_bytes(states.get("health", b"{}")))
    last = _last_reading(connection, device)
    found = DeviceStatus(
        device=device,
        availability=printed(_bytes(states.get("availability", b"-")).decode(errors="replace"))[:8],
        last_reading_at=last[0] if last else None,
        last_outcome=last[1] if last else None,
        records=number("SELECT coalesce(max(records), 0) FROM totals WHERE device = ?"),
        thumbnails=number("SELECT coalesce(max(thumbnails), 0) FROM totals WHERE device = ?"),
        holes=holes,
        lost=_lost(connection, device),
        conflicts=number("SELECT count(*) FROM conflicts WHERE device = ?"),
        quarantined=number("SELECT count(*) FROM quarantine WHERE device = ?"),
        problems={},
        zone=zone,
        copied=count_copied(connection, device),
        ahead=int(connection.execute(_AHEAD, {"device": device}).fetchone()[0]),
        unseen=sum(
            count_unseen(connection, device, epoch) for epoch in read_info(_bytes(states.get("info", b"{}"))).oldest
        ),
    )
    return _judge(connection, found, health, decisions, now)


def _judge(
    connection: sqlite3.Connection,
    found: DeviceStatus,
    health: Mapping[str, object],
    decisions: Decisions,
    now: datetime,
) -> DeviceStatus:
    """Return the device with its problems, and with what was decided about them."""
    retired = decisions.retired.get(found.device)
    if retired is not None:
        (again,) = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM accounts a JOIN records r ON r.device = a.device AND r.epoch = a.epoch "
            "WHERE a.device = :device AND a.received_at > :since AND r.replayed = 0 AND r.received_at > :since)",
            {"device": found.device, "since": retired.at.timestamp()},
        ).fetchone()
        text = f"it was retired on {retired.at:%Y-%m-%d} and has sent since: `devices reinstate`, or switch it off"
        return _with(found, {"retired_but_sending": text} if again else {}, frozenset(), retired)
    problems = _presence(connection, found, health, now) | _health_problems(health) | _kept(found)
    if found.ahead:
        problems["clock_ahead"] = (
            f"{found.ahead} readings are dated more than a day after they came, up to "
            f"{_newest_date(connection, found)}: they are on no curve. Let the device reach a time server, then "
            "`devices acknowledge`"
        )
    known = frozenset[str]()
    acknowledged = decisions.acknowledged.get(found.device)
    if acknowledged is not None:
        counts = _with(found, problems, known, None).counts
        # What has sent again since and is silent again is another silence.
        over = {"silent", "offline"} if _sent_since(found, acknowledged) else set()
        known = frozenset(code for code in counts if counts[code] <= acknowledged.problems.get(code, 0)) - over
    return _with(found, problems, known, None)


def _with(
    found: DeviceStatus, problems: Mapping[str, str], known: frozenset[str], retired: Decision | None
) -> DeviceStatus:
    return replace(found, problems=problems, known=known, retired=retired)


def _sent_since(found: DeviceStatus, acknowledged: Decision) -> bool:
    return found.last_reading_at is not None and found.last_reading_at > acknowledged.at


def _presence(
    connection: sqlite3.Connection, found: DeviceStatus, health: Mapping[str, object], now: datetime
) -> dict[str, str]:
    """Return what is wrong with a device's being there at all."""
    problems = {}
    if found.records == 0:
        problems["never_sent"] = (
            "it announced itself at the broker and has sent no record: is its mqtt.station this station, does its "
            "capture run? A name that is used no longer: `devices retire`, and clear its retained messages"
        )
    if found.availability == "offline":
        problems["offline"] = "it is not connected to the broker: is it switched on, does its network reach the broker?"
    if found.last_reading_at is not None:
        interval_s = _interval_s(connection, found.device, health)
        silence = now - found.last_reading_at
        if silence > max(LEAST_SILENCE, timedelta(seconds=INTERVALS * interval_s)):
            problems["silent"] = (
                f"no reading for {ago(found.last_reading_at, now)}, with a capture due every {interval_s / 60:.0f} "
                "min: does cageclock-capture run there? Taken out of service: `devices retire`"
            )
    return problems


def _kept(found: DeviceStatus) -> dict[str, str]:
    """Return what happened to its records that no program can put right."""
    where = "look at the table {0} in station.db, then `devices acknowledge`"
    problems = {}
    if found.lost:
        problems["lost"] = f"{found.lost} records are lost: {where.format('losses')}"
    if found.conflicts:
        problems["conflicts"] = f"{found.conflicts} keys came with two contents: {where.format('conflicts')}"
    if found.quarantined:
        problems["quarantined"] = f"{found.quarantined} messages could not be read: {where.format('quarantine')}"
    if found.copied:
        problems["copied"] = (
            f"{found.copied} epochs go on after the same one as another: a copied card, or an older copy put back? "
            "Nothing is lost by it; give each card its own device_id, then `devices acknowledge`"
        )
    if found.unseen:
        problems["unseen"] = (
            f"{found.unseen} starts of which nothing came here, and which the device no longer holds; another station "
            "may have them: `devices acknowledge`"
        )
    return problems


def _interval_s(connection: sqlite3.Connection, device: str, health: Mapping[str, object]) -> float:
    """Return the longest time between two captures by the device's own schedule.

    A device before that field does not say it: nine of ten of its last gaps were at most what is returned.
    """
    said = health.get("longest_interval_s")
    if isinstance(said, (int, float)) and 0 < said < 1e8:
        return float(said)
    times = [
        row[0]
        for row in connection.execute(
            "SELECT captured_s FROM readings WHERE device = ? AND clock_synced = 1 ORDER BY captured_s DESC LIMIT ?",
            (device, _GAPS + 1),
        )
        if isinstance(row[0], (int, float))
    ]
    gaps = sorted(later - earlier for later, earlier in pairwise(times))
    if len(gaps) < _FEWEST_GAPS:  # one of them may be an earlier silence
        return UNKNOWN_INTERVAL_S
    return gaps[int(0.9 * (len(gaps) - 1))]


def _last_reading(connection: sqlite3.Connection, device: str) -> tuple[datetime, str] | None:
    """Return time and outcome of the newest reading.

    Its time is the device's own; the station's, of when it came, where the device had none or its clock runs ahead.
    """
    newest = [row for clock in _CLOCKS if (row := connection.execute(f"{_NEWEST} {clock}", (device,)).fetchone())]
    row = max(newest, key=lambda found: (found[2] != "unsynchronised", _seen_s(found[0], found[3])), default=None)
    if row is None:
        return None
    at_s, outcome, basis, received_s = row
    second = _seen_s(received_s) if basis == "unsynchronised" else _seen_s(at_s, received_s)
    try:
        return datetime.fromtimestamp(second, UTC), str(outcome)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC), str(outcome)


def _seen_s(*seconds: object) -> float:
    """Return the earliest of the times that are one; 0 where none is: a damaged row has another's, or no record."""
    return min((float(one) for one in seconds if isinstance(one, (int, float))), default=0.0)


def _newest_date(connection: sqlite3.Connection, found: DeviceStatus) -> str:
    _, at_s = connection.execute(_AHEAD, {"device": found.device}).fetchone()
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"


def _lost(connection: sqlite3.Connection, device: str) -> int:
    """Return how many records are gone: named as lost, and neither stored nor in quarantine all the same."""
    by_epoch: dict[str, RangeSet] = {}
    rows = connection.execute(
        "SELECT epoch, first_seq, last_seq FROM losses WHERE device = ? AND what = 'record'", (device,)
    ).fetchall()
    for epoch, first, last in rows:
        by_epoch.setdefault(epoch, RangeSet()).add(first, last)
    lost = sum(numbers.count() for numbers in by_epoch.values())
    for epoch, numbers in by_epoch.items():
        for first, last in numbers:
            span = {"device": device, "epoch": epoch, "first": first, "last": last}
            (came,) = connection.execute(f"SELECT count(*) FROM ({CAME}) AS one", span).fetchone()
            lost -= int(came)
    return lost


def _health(body: bytes) -> Mapping[str, object]:
    """Return the device's own words; read leniently, as a later version's health may hold more than this one knows."""
    try:
        found = jsontext.parse(body)
    except MessageError:
        found = None
    return found if isinstance(found, dict) else {"problems": ["unreadable_health"]}


def _health_problems(health: Mapping[str, object]) -> dict[str, str]:
    """Return the codes that a device names, with its advice."""
    codes, advice = health.get("problems", []), health.get("advice", [])
    if not isinstance(codes, list):
        return {"unreadable_health": "its health message cannot be read"}
    sentences = advice if isinstance(advice, list) and len(advice) == len(codes) else [""] * len(codes)
    return {
        printed(str(code))[:40]: printed(str(text))[:500]
        for code, text in list(zip(codes, sentences, strict=True))[:_MOST_PROBLEMS]
    }


def _bytes(value: object) -> bytes:
    """Return what stands in a column that an earlier version, or a person, may have filled with something else."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


def printed(text: str) -> str:
    """Return a text in which nothing steers a terminal."""
    return printable(text)


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago that was, in the unit that reads best."""
    seconds = (now - at).total_seconds()
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{max(0, seconds) / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
