"""What `check` found: errors, with which nothing may be trained, warnings of what will mislead, and notes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding; sorted by line of the table (0: the whole table), then column. severity: error, warning, note."""

    line: int
    column: str
    text: str
    severity: str = "error"

    def __str__(self) -> str:
        """Return one line for people."""
        where = f"line {self.line}, " if self.line else ""
        column = f"column '{self.column}': " if self.column else ""
        return f"{self.severity}: {where}{column}{self.text}"
