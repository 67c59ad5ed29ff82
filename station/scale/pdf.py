"""The printed card: a chessboard with marks, two rulers to check the print by, as a PDF in true size."""

from __future__ import annotations

from pathlib import Path

from edge.errors import OperatorError
from station.scale.board import mark_bits
from station.scale.card import PAGE_MM, RULER_MM, Card

_MM = 1 / 25.4


def draw_card(card: Card, path: Path) -> None:
    """Write the card as one page, A4 landscape; every length is a vector's, in millimetres.

    Raises:
        OperatorError: the file cannot be written.
    """
    from matplotlib.backends.backend_pdf import PdfPages
    from matplotlib.collections import PatchCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(PAGE_MM[0] * _MM, PAGE_MM[1] * _MM))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, PAGE_MM[0])
    axes.set_ylim(PAGE_MM[1], 0)
    axes.axis("off")
    left, top = (PAGE_MM[0] - card.size_mm[0]) / 2, 15.0
    black = [Rectangle((left + x, top + y), w, h) for x, y, w, h in _black(card)]
    axes.add_collection(PatchCollection(black, facecolor="black", edgecolor="none", antialiased=False))
    bottom = top + card.size_mm[1]
    _ruler(axes, left, bottom + 8, across=True)
    _ruler(axes, left - 9, top, across=False)
    text = (
        f"CageClock scale card, {card.name}: fields of {card.field_mm:g} mm, board {card.size_mm[0]:g} x "
        f"{card.size_mm[1]:g} mm. Print at 100 % (no \"fit to page\") on matt paper.",
        f"Check: both rulers are {RULER_MM:g} mm long, by a steel ruler. If not, give what you measured as --ruler-mm.",
        "Lay it flat on the cage's floor, in the middle of the picture; focus; take a picture in the settings' size;",
        "cageclock-station scale PICTURE. If you cut it out, leave 5 mm of white around the board.",
    )  # fmt: skip
    for row, line in enumerate(text):
        axes.text(left, bottom + 22 + 5.5 * row, line, fontsize=9, va="top", parse_math=False)
    try:
        with PdfPages(path, metadata={"Title": f"CageClock scale card, {card.name}", "CreationDate": None}) as pages:
            pages.savefig(figure)
    except OSError as error:
        raise OperatorError(f"{path}: cannot be written: {error.strerror}") from error


def _black(card: Card) -> list[tuple[float, float, float, float]]:
    """Return every black rectangle of the board: x, y, width, height, mm from its upper left corner.

    As OpenCV has it: the field in the upper left corner is black, the marks follow each other by rows.
    """
    found, number = [], card.first_mark
    inset, bit = (card.field_mm - card.mark_mm) / 2, card.mark_mm / 6
    for row in range(card.down):
        for column in range(card.across):
            x, y = column * card.field_mm, row * card.field_mm
            if (row + column) % 2 == 0:
                found.append((x, y, card.field_mm, card.field_mm))
                continue
            bits = mark_bits(number)
            number += 1
            for down, across in zip(*(bits == 0).nonzero(), strict=True):
                found.append((x + inset + float(across) * bit, y + inset + float(down) * bit, bit, bit))
    return found


def _ruler(axes: object, x: float, y: float, *, across: bool) -> None:
    """Draw a ruler of 100 mm, its ends at the ends of its first and last line."""
    for mm in range(int(RULER_MM) + 1):
        length = 5.0 if mm % 10 == 0 else 3.0 if mm % 5 == 0 else 1.8
        xs, ys = ([x + mm] * 2, [y, y + length]) if across else ([x, x - length], [y + mm] * 2)
        axes.plot(xs, ys, color="black", linewidth=0.4, solid_capstyle="butt")  # type: ignore[attr-defined]
    ends = ([x, x + RULER_MM], [y, y]) if across else ([x, x], [y, y + RULER_MM])
    axes.plot(*ends, color="black", linewidth=0.4)  # type: ignore[attr-defined]
    place = (x + RULER_MM + 3, y + 3) if across else (x - 3, y + RULER_MM + 5)
    axes.text(*place, f"{RULER_MM:g} mm", fontsize=8, ha="left" if across else "center")  # type: ignore[attr-defined]
