"""One finding of the doctor."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is well, what was seen, and what to do where it is not."""

    name: str
    ok: bool
    text: str
    advice: str = ""

    def line(self) -> str:
        """Return the finding as one line for people."""
        said = f"{'ok  ' if self.ok else 'FAIL'} {self.name:<12} {self.text}"
        return said if self.ok else f"{said}; {self.advice}"

    def plain(self) -> dict[str, str | bool]:
        """Return the finding as plain values for JSON."""
        return asdict(self)
