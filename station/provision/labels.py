"""Printed labels for cards and devices: one for each device of the fleet, in true size, as a PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import OperatorError

PAGE_MM = (210.0, 297.0)
LABEL_MM = (63.5, 38.1)
"""The common sheet of 21 labels, three beside each other."""
_ACROSS, _DOWN = 3, 7
_LEFT_MM, _TOP_MM, _GAP_MM = 7.2, 15.1, 2.5
_MM = 1 / 25.4


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on one label. until: when the device's certificate ends, YYYY-MM-DD."""

    device: str
    cage: str
    place: str
    instance: str
    until: str


def draw_labels(labels: Sequence[Label], path: Path) -> int:
    """Write the sheets and return how many pages they are.

    Raises:
        OperatorError: the file cannot be written.
    """
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.figure import Figure

    pages = [labels[start : start + _ACROSS * _DOWN] for start in range(0, len(labels), _ACROSS * _DOWN)]
    try:
        with PdfPages(path, metadata={"Title": "CageClock: labels", "CreationDate": None}) as sheets:
            for page in pages:
                figure = Figure(figsize=(PAGE_MM[0] * _MM, PAGE_MM[1] * _MM))
                for index, label in enumerate(page):
                    row, column = divmod(index, _ACROSS)
                    left = _LEFT_MM + column * (LABEL_MM[0] + _GAP_MM)
                    _draw(figure, label, left, PAGE_MM[1] - _TOP_MM - row * LABEL_MM[1])
                sheets.savefig(figure)
    except OSError as error:
        raise OperatorError(f"{path}: cannot be written: {error.strerror}") from error
    return len(pages)


def _draw(figure: object, label: Label, left: float, top: float) -> None:
    lines = [
        (8.0, 17 if len(label.device) <= 14 else 11, "bold", label.device),
        (16.0, 9, "normal", f"cage {label.cage}" + (f", {label.place}" if label.place else "")),
        (23.0, 7, "normal", "CageClock; certificate until " + label.until),
        (28.0, 6, "normal", label.instance),
        (33.0, 6, "normal", "Trouble: put the card into a laptop, open first-boot.txt"),
    ]
    for down, size, weight, text in lines:
        figure.text(  # type: ignore[attr-defined]
            (left + 3) / PAGE_MM[0], (top - down) / PAGE_MM[1], text, fontsize=size, fontweight=weight, parse_math=False
        )
