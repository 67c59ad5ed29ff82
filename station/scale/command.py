"""The commands `scale-card` and `scale` of the station's command line."""

from __future__ import annotations

import argparse
import json
import re

from edge.contract.bundle.bundle import read_bundle
from edge.errors import OperatorError
from station.printable import printable
from station.scale.card import CARDS
from station.scale.measure import Scale, measure
from station.scale.pdf import draw_card
from station.scale.picture import read_grey


def scale_card(options: argparse.Namespace) -> int:
    """Write the card as a PDF."""
    card = CARDS[options.size]
    draw_card(card, options.file)
    wide, high = card.size_mm
    print(
        printable(f"{options.file}: the {card.name} card, {wide:g} x {high:g} mm; print at 100 % and check its rulers")
    )
    return 0


def scale(options: argparse.Namespace) -> int:
    """Measure a picture of the card, and print the lines for the settings."""
    if not 10 <= options.field_of_view <= 150:
        raise OperatorError(f"--field-of-view: expected 10 to 150 degrees, got {options.field_of_view:g}")
    size = _size(options.settings_size)
    picture = read_grey(options.picture)
    try:
        found = measure(picture, ruler_mm=options.ruler_mm, field_of_view_degrees=options.field_of_view)
    except OperatorError as error:
        raise OperatorError(f"{options.picture}: {error}") from error
    width = found.size[0] if size is None else size[0]
    if size is not None and abs(size[0] / size[1] - found.size[0] / found.size[1]) > 0.003:
        raise OperatorError(
            f"{options.picture}: expected a picture of the settings' shape, {size[0]} x {size[1]}, got "
            f"{found.size[0]} x {found.size[1]}: another mode of the camera, which may see another part of the cage"
        )
    px_per_mm = found.px_per_mm * width / found.size[0]
    notes = _bundle_notes(options, px_per_mm)
    if options.json:
        print(json.dumps(_values(found, width, px_per_mm, notes), indent=2))
    else:
        print(printable("\n".join(_lines(found, width, px_per_mm, notes)), lines=True))
    return 0


def _lines(found: Scale, width: int, px_per_mm: float, notes: list[str]) -> list[str]:
    factor = px_per_mm / found.px_per_mm
    lines = [
        f"card: {found.card.name}, {found.corners} of {found.card.corners} corners seen in "
        f"{found.size[0]} x {found.size[1]} pixels; the fit misses them by {found.residual_px:.2f} px",
        f"scale: {px_per_mm:.3f} px/mm in the middle of the picture (standard error {max(found.error, 1e-4):.2%}); "
        f"over the whole picture {found.smallest * factor:.3f} to {found.largest * factor:.3f}",
        f"tilt: {found.tilt_degrees:.1f} degrees",
        "distortion: the card covers too little of the picture to tell"
        if found.radial is None
        else f"distortion: {found.radial:+.1%} at the picture's corners",
        f"view: {width / px_per_mm:.0f} mm wide",
    ]
    lines += [f"note: {note}" for note in notes]
    lines += [f"warning: {warning}" for warning in found.warnings]
    return [*lines, "for cageclock.yaml:", "camera:", f"  width: {width}", f"  px_per_mm: {px_per_mm:.3f}"]


def _values(found: Scale, width: int, px_per_mm: float, notes: list[str]) -> dict[str, object]:
    return {
        "px_per_mm": round(px_per_mm, 4),
        "width": width,
        "standard_error": found.error,
        "smallest_px_per_mm": found.smallest * px_per_mm / found.px_per_mm,
        "largest_px_per_mm": found.largest * px_per_mm / found.px_per_mm,
        "tilt_degrees": found.tilt_degrees,
        "distortion": found.radial,
        "stretch": found.stretch,
        "residual_px": found.residual_px,
        "card": found.card.name,
        "corners": found.corners,
        "ruler_mm": found.ruler_mm,
        "notes": notes,
        "warnings": list(found.warnings),
    }


def _bundle_notes(options: argparse.Namespace, px_per_mm: float) -> list[str]:
    """Return what the scale means for a model's age crop."""
    if options.bundle is None:
        return []
    if options.key is None:
        raise OperatorError("--bundle: expected --key with it, the public key that signed the bundle")
    try:
        key = options.key.read_bytes()
    except OSError as error:
        raise OperatorError(f"--key: {options.key}: {error.strerror}") from error
    manifest = read_bundle(options.bundle, [key]).manifest
    least, age = manifest.validity.min_px_per_mm, manifest.age
    if px_per_mm < least:
        return [
            f"the model needs at least {least:g} px/mm and gets {px_per_mm:.2f}: it will give no age. "
            "Bring the camera nearer, or take larger pictures (camera.width)"
        ]
    return [
        f"the age crop is {age.width / age.px_per_mm:.0f} x {age.height / age.px_per_mm:.0f} mm, cut at "
        f"{age.px_per_mm:g} px/mm: the picture has {px_per_mm / age.px_per_mm:.1f} times that "
        f"(at least {least:g} px/mm are needed)"
    ]


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if found is None or "0" in (found[1].lstrip("0") or "0", found[2].lstrip("0") or "0"):
        raise OperatorError(f"--settings-size: expected camera.width x camera.height, such as 1456x1088, got {text!r}")
    return int(found[1]), int(found[2])
