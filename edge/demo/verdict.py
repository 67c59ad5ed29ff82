"""What the demo measured: were all readings logged once, and how near to the truth are the ages."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge.contract import jsontext
from edge.contract.reading import Reading
from edge.demo.lab import DemoCage
from edge.demo.table import weeks


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts over all cages; ages in days. `errors` holds |estimate - truth| of accepted readings."""

    appended: int
    logged: int
    missing: int
    captures: int
    accepted: int
    errors: tuple[float, ...]
    constant_errors: tuple[float, ...]
    covered: int
    outbox_bytes: int
    outcomes: dict[str, int]

    @property
    def mean_error_days(self) -> float | None:
        """Mean absolute error of accepted readings, None where there is none."""
        return sum(self.errors) / len(self.errors) if self.errors else None


def judge(
    cages: list[DemoCage], logged: set[tuple[str, str, int]], true_age: Callable[[DemoCage, Reading], float]
) -> Verdict:
    """Return the verdict over the devices' outboxes and the station's keys (device, epoch, seq)."""
    kept: set[tuple[str, str, int]] = set()
    ages: list[tuple[float, float, float | None, float | None]] = []
    outcomes: dict[str, int] = {}
    captures = accepted = size = 0
    for cage in cages:
        path = cage.state_dir / "outbox.db"
        size += path.stat().st_size
        for epoch, seq, body in _rows(path):
            kept.add((cage.device_id, epoch, seq))
            if b'"schema":"cageclock/reading/' not in body[:64]:
                continue
            reading = jsontext.decode(body, Reading)
            captures += 1
            outcomes[reading.outcome.value] = outcomes.get(reading.outcome.value, 0) + 1
            estimate = reading.animals[0].estimate if len(reading.animals) == 1 else None
            if reading.accepted and estimate is not None and reading.age_days is not None:
                accepted += 1
                truth = true_age(cage, reading)
                ages.append((reading.age_days, truth, estimate.interval_low_days, estimate.interval_high_days))
    middle = sorted(truth for _, truth, _, _ in ages)[len(ages) // 2] if ages else 0.0
    return Verdict(
        appended=len(kept),
        logged=len(kept & logged),
        missing=len(kept - logged),
        captures=captures,
        accepted=accepted,
        errors=tuple(abs(age - truth) for age, truth, _, _ in ages),
        constant_errors=tuple(abs(middle - truth) for _, truth, _, _ in ages),
        covered=sum(low is not None and high is not None and low <= truth <= high for _, truth, low, high in ages),
        outbox_bytes=size,
        outcomes=outcomes,
    )


def describe(verdict: Verdict, elapsed_s: float) -> str:
    """Return the closing lines for people."""
    outcomes = ", ".join(
        f"{name} {count}" for name, count in sorted(verdict.outcomes.items(), key=lambda item: -item[1])
    )
    lines = [
        f"captures        {verdict.captures} in {elapsed_s:.0f} s: {outcomes}",
        f"records         {verdict.appended} appended on the devices, {verdict.logged} in the station's database, "
        f"{verdict.missing} missing",
        f"ages accepted   {verdict.accepted} of {verdict.captures}; each of the rest names its reason",
    ]
    if verdict.mean_error_days is not None:
        guess = sum(verdict.constant_errors) / len(verdict.constant_errors)
        lines.append(
            f"mean error      {weeks(verdict.mean_error_days)} against the simulated truth "
            f"(always guessing the middle age: {weeks(guess)})"
        )
        lines.append(
            f"in the interval {verdict.covered / len(verdict.errors):.0%} of accepted readings (calibrated for 90%)"
        )
    lines.append(
        f"on disk         {verdict.outbox_bytes / max(1, verdict.appended):.0f} bytes a record, without thumbnails"
    )
    return "\n".join(lines)


def appended(cage: DemoCage) -> int:
    """Return how many records the device's outbox holds."""
    with closing(sqlite3.connect(f"file:{cage.state_dir / 'outbox.db'}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])


def station_keys(database: Path) -> set[tuple[str, str, int]]:
    """Return the (device, epoch, seq) of every record in the station's database."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return {
            (device, epoch, seq) for device, epoch, seq in connection.execute("SELECT device, epoch, seq FROM records")
        }


def _rows(path: Path) -> list[tuple[str, int, bytes]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT epoch, seq, body FROM records ORDER BY id").fetchall()
