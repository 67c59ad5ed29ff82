"""What could not be read of one source, kept until the end and then reported in a few lines."""

from __future__ import annotations

from edge.errors import UnreadablePicture

_MOST_LINES = 20


class Faults:
    """Rows that stay empty, each with its reason."""

    def __init__(self) -> None:
        """None yet."""
        self._names: list[str] = []
        self._reasons: list[str] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._names)

    def add(self, name: str, reason: str) -> None:
        """Note a row by its name, with a sentence that names it too."""
        self._names.append(name)
        if len(self._reasons) < _MOST_LINES:
            self._reasons.append(reason)

    def lines(self) -> list[str]:
        """Return one line a row, up to 20, and how many more there are."""
        more = len(self) - len(self._reasons)
        return self._reasons + ([f"... and {more} more, the last: {self._names[-1]}"] if more else [])

    def frames(self) -> list[str]:
        """Return one line for all frames of a video, runs of them as `3-7`, with the first one's reason."""
        if not self._names:
            return []
        return [f"{self._reasons[0]}; empty rows: {_runs([int(name) for name in self._names])}"]

    def nothing_read(self, source: str) -> UnreadablePicture:
        """Return the error that stands for all rows of a source, or for its having none."""
        if len(self) > 1:
            return UnreadablePicture(f"{source}: none of {len(self)} could be read; the first: {self._reasons[0]}")
        return UnreadablePicture(
            self._reasons[0] if self._reasons else f"{source}: expected a video, it holds no frame"
        )


def _runs(numbers: list[int]) -> str:
    """Return numbers, which rise, with runs drawn together."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [f"{first}-{last}" if last > first else f"{first}" for first, last in runs]
    more = len(texts) - _MOST_LINES
    return ", ".join(texts[:_MOST_LINES]) + (f" and {more} more runs, the last {texts[-1]}" if more > 0 else "")
