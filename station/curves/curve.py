"""Longitudinal curves: sightings of animals gathered into days, weeks or months. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from statistics import fmean, median
from typing import Literal

from station.registry.lifetime import midnight

By = Literal["day", "week", "month"]
MIN_ANIMALS_TO_CORRECT = 3
DAYS_A_WEEK = 7.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """One estimate of one animal in one reading. Ages are days; at is UTC, corrected where the clock was wrong.

    low_days, high_days: None where the model's animals were too few for an interval.
    """

    at: datetime
    light: str
    accepted: bool
    age_days: float
    low_days: float | None
    high_days: float | None
    model_sha256: str | None


@dataclass(frozen=True, slots=True)
class Capture:
    """One due slot of the cage, whatever came of it."""

    at: datetime
    light: str
    outcome: str
    model_sha256: str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something a reader of the curve must know: a model change, a gap, a conflict, an estimate that jumps."""

    at: datetime
    kind: str
    text: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Readings on no animal's curve, in no trend and no statistics, and why: a code of `station.registry.attribution`.

    about: the animals that the reason speaks of. first, last: their times, as labelled where no clock was set.
    """

    device: str
    cage: str
    reason: str
    about: tuple[str, ...]
    first: datetime
    last: datetime
    readings: int


@dataclass(frozen=True, slots=True)
class Window:
    """A day, week or month. The interval's ends are the medians of its readings' ends.

    That is wider than an interval calibrated for the window, on purpose: an average of readings of one animal is not
    as sure as their number suggests, because most of the error belongs to the animal and comes again in each.

    readings, captures: numbers by light phase; captures counts every due slot of the cage.
    chronological_days: true age at the window's middle sighting, None without a date of birth.
    """

    begins: date
    ends: date
    middle: datetime
    age_days: float | None
    low_days: float | None
    high_days: float | None
    readings: dict[str, int]
    captures: dict[str, int]
    chronological_days: float | None

    @property
    def gap_days(self) -> float | None:
        """Predicted minus chronological age, raw; it shrinks towards the mean age of the training animals."""
        if self.age_days is None or self.chronological_days is None:
            return None
        return self.age_days - self.chronological_days


@dataclass(frozen=True, slots=True)
class Counted:
    """What a curve of days says of its readings: accepted ones, captures by outcome, first and last; and its weeks."""

    accepted: int
    outcomes: tuple[tuple[str, int], ...]
    first: datetime | None
    last: datetime | None
    weeks: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """One animal, or one cage whose animals are not told apart (`named` is false).

    refused: estimates that were not accepted, by reason (one may have several). left_out: what the curve leaves out.
    zone: of the room, in which days begin; born and the other dates are days there.
    counted: of a curve that was made of days; its sightings are medians of a day in a light phase, and it has no
    single captures.
    """

    name: str
    named: bool
    device: str
    cage: str
    strain: str | None
    sex: str | None
    born: date | None
    died: date | None
    sightings: tuple[Sighting, ...]
    captures: tuple[Capture, ...]
    windows: tuple[Window, ...]
    marks: tuple[Mark, ...]
    notices: tuple[str, ...] = field(default=())
    arrived: date | None = None
    left: date | None = None
    refused: tuple[tuple[str, int], ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    zone: tzinfo = UTC
    counted: Counted | None = None

    @property
    def accepted(self) -> int:
        """How many accepted estimates it has."""
        if self.counted is not None:
            return self.counted.accepted
        return sum(sighting.accepted for sighting in self.sightings)

    @property
    def outcomes(self) -> list[tuple[str, int]]:
        """How many captures it has, by outcome, the most frequent first."""
        if self.counted is not None:
            return list(self.counted.outcomes)
        return Counter(capture.outcome for capture in self.captures).most_common()

    @property
    def captured(self) -> int:
        """How many captures it has."""
        return sum(number for _, number in self.outcomes)

    @property
    def ends(self) -> tuple[datetime, datetime] | None:
        """When its first and its last capture were, None where it has none."""
        if self.counted is not None:
            first, last = self.counted.first, self.counted.last
            return None if first is None or last is None else (first, last)
        return (self.captures[0].at, self.captures[-1].at) if self.captures else None

    @property
    def weeks(self) -> tuple[Window, ...]:
        """Its weeks, by whatever windows it is drawn."""
        if self.counted is not None:
            return self.counted.weeks
        return gather(self.sightings, self.captures, "week", self.born, self.zone)


@dataclass(frozen=True, slots=True)
class Trend:
    """The age that animals are expected to look: a line of chronological age, over those with a date of birth.

    `gap_corrected = predicted - (offset + slope * chronological)`. Never a measure of accuracy.
    """

    offset_days: float
    slope: float
    animals: int

    def corrected_gap_days(self, window: Window) -> float | None:
        """Return the gap freed of regression to the mean, None without a date of birth or an estimate."""
        if window.age_days is None or window.chronological_days is None:
            return None
        return window.age_days - (self.offset_days + self.slope * window.chronological_days)


def gather(
    sightings: Sequence[Sighting], captures: Sequence[Capture], by: By, born: date | None, zone: tzinfo = UTC
) -> tuple[Window, ...]:
    """Return the windows in which the cage was captured at least once, in order; days begin in the room's zone."""
    seen: dict[date, list[Sighting]] = {}
    for sighting in sightings:
        seen.setdefault(begin_of(sighting.at, by, zone), []).append(sighting)
    due: dict[date, list[Capture]] = {}
    for capture in captures:
        due.setdefault(begin_of(capture.at, by, zone), []).append(capture)
    return tuple(
        _window(begins, seen.get(begins, []), due.get(begins, []), by, born, zone) for begins in sorted({*seen, *due})
    )


def begin_of(at: datetime, by: By, zone: tzinfo = UTC) -> date:
    """Return the first day of the window that holds the time; weeks begin on Monday."""
    return start_of(at.astimezone(zone).date(), by)


def start_of(day: date, by: By) -> date:
    """Return the first day of the window that holds the day; weeks begin on Monday."""
    if by == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by == "month" else day


def end_of(begins: date, by: By) -> date:
    """Return the first day after the window."""
    if by == "month":
        return (begins.replace(day=28) + timedelta(days=4)).replace(day=1)
    return begins + timedelta(days=7 if by == "week" else 1)


def age_on(at: datetime, born: date, zone: tzinfo = UTC) -> float:
    """Return the age in days at a time, counted from the beginning of the day of birth, never below 0."""
    return max(0.0, (at - midnight(born, zone)).total_seconds() / 86400.0)


def model_changes(captures: Sequence[Capture]) -> list[Mark]:
    """Return a mark where the model's digest differs from the reading's before."""
    marks = []
    before: str | None = None
    for capture in sorted(captures, key=lambda found: found.at):
        now = capture.model_sha256
        if now is None:
            continue
        if before is not None and now != before:
            marks.append(Mark(capture.at, "model", f"model {before[:8]} → {now[:8]}"))
        before = now
    return marks


def silences(captures: Sequence[Capture]) -> list[Mark]:
    """Return a mark for each stretch without captures that is five times the usual distance and over six hours."""
    times = sorted(capture.at for capture in captures)
    distances_s = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    if len(distances_s) < 4:
        return []
    limit_s = max(5 * median(distances_s), 6 * 3600.0)
    return [
        Mark(earlier, "gap", f"no captures for {distance_s / 86400:.1f} days", later)
        for (earlier, later), distance_s in zip(pairwise(times), distances_s, strict=True)
        if distance_s > limit_s
    ]


def _median_of_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def rejuvenations(windows: Sequence[Window], marks: Sequence[Mark]) -> list[Mark]:
    """Return a mark where the estimate falls so far that the intervals do not touch: animals do not grow younger.

    Most often another animal moved in of which the lab's table says nothing. Changes of the model are marked already.
    """
    changes = [mark.at for mark in marks if mark.kind == "model"]
    found = []
    drawn = [window for window in windows if window.age_days is not None]
    for earlier, later in pairwise(drawn):
        if any(earlier.middle < change <= later.middle for change in changes):
            continue
        if earlier.low_days is not None and later.high_days is not None and later.high_days < earlier.low_days:
            younger = ((earlier.age_days or 0.0) - (later.age_days or 0.0)) / DAYS_A_WEEK
            found.append(
                Mark(
                    later.middle, "jump", f"looks {younger:.1f} weeks younger: another animal? Give its date_of_arrival"
                )
            )
    return found


def fit_trend(curves: Iterable[Curve]) -> Trend | None:
    """Return the line through the windows of all animals with a date of birth, each animal weighing the same.

    None with fewer than three animals, or when their ages do not differ. Ordinary least squares, as in
    de Lange & Cole 2020 (NeuroImage: Clinical 26:102229); the corrected gap must not be used to state accuracy.
    """
    points = []
    animals = 0
    for curve in curves:
        own = [
            (window.chronological_days, window.age_days)
            for window in curve.windows
            if window.chronological_days is not None and window.age_days is not None
        ]
        animals += bool(own)
        points += [(x, y, 1.0 / len(own)) for x, y in own]
    if animals < MIN_ANIMALS_TO_CORRECT:
        return None
    weight = sum(w for _, _, w in points)
    mean_x = sum(x * w for x, _, w in points) / weight
    mean_y = sum(y * w for _, y, w in points) / weight
    spread = sum((x - mean_x) ** 2 * w for x, _, w in points)
    if spread <= 0:
        return None
    slope = sum((x - mean_x) * (y - mean_y) * w for x, y, w in points) / spread
    return Trend(mean_y - slope * mean_x, slope, animals)


def _window(
    begins: date, seen: Sequence[Sighting], due: Sequence[Capture], by: By, born: date | None, zone: tzinfo
) -> Window:
    times = [sighting.at.timestamp() for sighting in seen] or [capture.at.timestamp() for capture in due]
    middle = datetime.fromtimestamp(fmean(times), UTC)
    return Window(
        begins=begins,
        ends=end_of(begins, by),
        middle=middle,
        age_days=median(sighting.age_days for sighting in seen) if seen else None,
        low_days=_median_of_known(sighting.low_days for sighting in seen),
        high_days=_median_of_known(sighting.high_days for sighting in seen),
        readings=dict(Counter(sighting.light for sighting in seen)),
        captures=dict(Counter(capture.light for capture in due)),
        chronological_days=age_on(middle, born, zone) if born is not None else None,
    )
