"""The newest day and week of each subject, or of the cage, from the readings that the device still holds.

The estimate is the median of the accepted ages. Its interval is the median of the readings' own lower bounds to the
median of their upper bounds: readings of one animal share most of their error, so that averaging does not narrow an
interval, and the device must not claim what only the bundle's calibration of days and weeks (used by nobody yet)
may claim. It is therefore wider than that, never narrower on average.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Literal

from edge.contract import jsontext
from edge.contract.reading import SCHEMA, Estimate, Outcome, Reading, Reason
from edge.contract.summary import Summary, Window
from edge.errors import MessageError
from edge.outbox.row import Row


@dataclass(frozen=True, slots=True)
class Span:
    """An accepted estimate without its distribution and embedding: a summary looks at up to 5,000 readings at once."""

    age_days: float
    interval_low_days: float | None
    interval_high_days: float | None
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Glance:
    """What summaries and health need of one reading.

    outcome: the reading's. refused: why each animal that was not accepted was not, one tuple an animal.
    """

    at: datetime
    light: str
    accepted: tuple[tuple[str | None, Span], ...]
    identity_method: str
    model_sha256: str | None
    outcome: Outcome = Outcome.OK
    refused: tuple[tuple[Reason, ...], ...] = ()


def glance(reading: Reading) -> Glance:
    """Return a reading without what summaries do not need."""
    accepted = tuple(
        (animal.subject, _span(animal.estimate))
        for animal in reading.animals
        if animal.accepted and animal.estimate is not None
    )
    method = reading.animals[0].identity_method if reading.animals else "none"
    sha = reading.model.sha256 if reading.model is not None else None
    refused = tuple(animal.reject_reasons for animal in reading.animals if not animal.accepted)
    return Glance(reading.captured_at, reading.light.value, accepted, method, sha, reading.outcome, refused)


def _span(of: Estimate) -> Span:
    return Span(of.age_days, of.interval_low_days, of.interval_high_days, of.coverage)


def _of_known(figure: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    """Return a figure of the values that there are; None where there is none (a bundle without intervals)."""
    known = [value for value in values if value is not None]
    return figure(known) if known else None


def look_over(rows: Iterable[Row]) -> list[Glance]:
    """Return a glance at each row that is a reading of a known form.

    Others (another version of this program wrote them) are the station's to judge; here they are passed over.
    """
    seen = []
    for row in rows:
        if row.schema == SCHEMA:
            with contextlib.suppress(MessageError):
                seen.append(glance(jsontext.decode(row.body, Reading)))
    return seen


def summarise(device_id: str, cage_id: str, housed: str | None, glances: Sequence[Glance]) -> dict[str, Summary]:
    """Return a summary per name: each subject that was seen, the housed one, or the cage where nothing is named."""
    if not glances:
        return {}
    subjects = {subject for seen in glances for subject, _ in seen.accepted} or {housed}
    newest = max(glances, key=lambda seen: seen.at)
    method = next((seen.identity_method for seen in reversed(glances) if seen.accepted), newest.identity_method)
    return {
        subject or cage_id: Summary(
            device_id=device_id,
            cage_id=cage_id,
            subject=subject,
            identity_method=method if subject is not None else "none",
            model_sha256=newest.model_sha256,
            windows=(
                _window("day", newest.at, timedelta(days=1), subject, glances),
                _window("week", newest.at, timedelta(days=7), subject, glances),
            ),
        )
        for subject in subjects
    }


def _window(
    kind: Literal["day", "week"], end: datetime, span: timedelta, subject: str | None, glances: Iterable[Glance]
) -> Window:
    inside = [seen for seen in glances if end - span < seen.at <= end]
    hits = [(seen.light, estimate) for seen in inside for name, estimate in seen.accepted if name == subject]
    estimates = [estimate for _, estimate in hits]
    return Window(
        kind=kind,
        begins_at=end - span,
        ends_at=end,
        age_days=median(one.age_days for one in estimates) if estimates else None,
        interval_low_days=_of_known(median, (one.interval_low_days for one in estimates)),
        interval_high_days=_of_known(median, (one.interval_high_days for one in estimates)),
        coverage=_of_known(min, (one.coverage for one in estimates)),
        readings=len(estimates),
        captures=len(inside),
        readings_by_light=_count(light for light, _ in hits),
        captures_by_light=_count(seen.light for seen in inside),
    )


def _count(lights: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for light in lights:
        counts[light] = counts.get(light, 0) + 1
    return counts
