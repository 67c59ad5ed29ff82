"""What `check` found: errors, with which nothing may be trained, and warnings of what will mislead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One finding; sorted by line of the table (0: the whole table), then column. severity: "error" or "warning"."""

    line: int
    column: str
    text: str
    severity: str = "error"

    def __str__(self) -> str:
        """Return one line for people."""
        where = f"line {self.line}, " if self.line else ""
        column = f"column '{self.column}': " if self.column else ""
        return f"{self.severity}: {where}{column}{self.text}"
