"""What a section of the report holds: figures for report.json, and sentences, tables and plots for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.json_values import plain

DAYS_A_WEEK = 7.0


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows as texts, ready to be shown. `note` stands below it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with what it shows."""

    caption: str
    png: bytes


@dataclass(frozen=True, slots=True)
class Section:
    """One question and its answer.

    key: its name in report.json. summary: the answer in one sentence. text: how it was measured and what to mind.
    figures: lengths of time in days. beware: a sentence where the figures may mislead. missing: why there is
    no answer, None where there is one.
    """

    key: str
    title: str
    summary: str
    text: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    beware: str = ""
    missing: str | None = None

    def json(self) -> dict[str, Any]:
        """Return what stands in report.json under the section's key."""
        if self.missing is not None:
            return {"missing": self.missing}
        found: dict[str, Any] = plain({"summary": self.summary, **self.figures})
        return found | ({"beware": self.beware} if self.beware else {})


def absent(key: str, title: str, reason: str) -> Section:
    """Return the section that says why there is no answer."""
    return Section(key, title, "", missing=reason)


def weeks(days: float, digits: int = 1) -> str:
    """Return days as a text in weeks, a dash where there is no number."""
    return f"{round(days / DAYS_A_WEEK, digits) + 0.0:.{digits}f}" if np.isfinite(days) else "–"


def weeks_between(ends: Sequence[float]) -> str:
    """Return an interval in days as a text in weeks, nothing where it has no ends."""
    return f"{weeks(ends[0])} to {weeks(ends[1])}" if np.isfinite(ends).all() else ""


def bracketed(text: str) -> str:
    """Return an interval's text in brackets after a space, nothing where there is none."""
    return f" ({text})" if text else ""


def counted(count: int, what: str) -> str:
    """Return a number with its noun."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def number(value: float, digits: int = 2) -> str:
    """Return a number as a text, a dash where there is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"


def between(ends: Sequence[float], digits: int = 2, unit: str = "") -> str:
    """Return an interval as a text with its unit at the end, nothing where it has no ends."""
    low, high = (round(end, digits) + 0.0 for end in ends)
    return f"{low:.{digits}f} to {high:.{digits}f}{unit}" if np.isfinite(ends).all() else ""


def percent(share: float, digits: int = 0) -> str:
    """Return a share 0 to 1 as a text."""
    return f"{100 * share:.{digits}f}%" if np.isfinite(share) else "–"
