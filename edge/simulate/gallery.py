"""Pictures of the simulation for people to look at."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from PIL import Image, ImageDraw

from edge.simulate.activity import POSTURES, Activity, Placement
from edge.simulate.cage import SimulatedCage
from edge.simulate.population import create_population
from edge.simulate.setup import CageSetup
from edge.simulate.truth import Light, SimulatedFrame

_BORN = date(2025, 1, 1)
_AGES = (80, 450, 850)
_TILE = (480, 300)  # 120 x 75 mm at 4 px/mm


def contact_sheet(seed: int, *, strain: str = "C57BL/6J") -> Image.Image:
    """Return a sheet of three animals in both lights, young to old from left to right; below them the postures."""
    animals = create_population(seed, 3, born_from=_BORN, born_until=_BORN, strains=(strain,))
    setup = replace(CageSetup.from_seed(seed), shelter="none")
    width, height = setup.field_mm
    open_floor = (width - setup.nest_mm[0], height - setup.nest_mm[1])  # the corner opposite to the nest
    place = (0.6 * width / 2 + 0.4 * open_floor[0], 0.6 * height / 2 + 0.4 * open_floor[1])
    tiles: list[tuple[Image.Image, str]] = []
    for number, animal in enumerate(animals):
        cage = SimulatedCage("gallery", (animal,), setup)
        for light in ("white", "infrared"):
            for age in _AGES:
                activity = Activity((Placement("walking", position_mm=place, heading_rad=0.25, bend=0.3),))
                frame = _photograph(cage, age, light, number, activity)
                tiles.append((_crop(frame), f"{animal.subject_id} {animal.sex}, {age} days, {light}"))
    cage = SimulatedCage("gallery", animals[:1], setup)
    for posture in POSTURES:
        activity = Activity((Placement(posture, position_mm=place, heading_rad=2.8, bend=0.5),))
        tiles.append((_crop(_photograph(cage, 300, "white", 7, activity)), f"{posture}, 300 days"))
    return _arrange(tiles, columns=3)


def _photograph(cage: SimulatedCage, age_days: float, light: Light, seed: int, activity: Activity) -> SimulatedFrame:
    at = datetime.combine(_BORN, time(), UTC) + timedelta(days=age_days)
    return cage.photograph(
        at=at, light=light, zeitgeber_h=6.0 if light == "white" else 16.0, seed=seed, activity=activity
    )


def _crop(frame: SimulatedFrame) -> Image.Image:
    """A tile of the frame around its one animal."""
    box = frame.truth.animals[0].box
    picture = Image.fromarray(frame.image)
    centre = ((box[0] + box[2]) // 2, (box[1] + box[3]) // 2) if box else (picture.width // 2, picture.height // 2)
    left = min(max(0, centre[0] - _TILE[0] // 2), picture.width - _TILE[0])
    top = min(max(0, centre[1] - _TILE[1] // 2), picture.height - _TILE[1])
    return picture.crop((left, top, left + _TILE[0], top + _TILE[1]))


def _arrange(tiles: list[tuple[Image.Image, str]], *, columns: int) -> Image.Image:
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * _TILE[0], rows * _TILE[1]), (20, 20, 20))
    draw = ImageDraw.Draw(sheet)
    for number, (tile, caption) in enumerate(tiles):
        corner = (number % columns * _TILE[0], number // columns * _TILE[1])
        sheet.paste(tile, corner)
        draw.rectangle((*corner, corner[0] + 8 + 6 * len(caption), corner[1] + 15), fill=(20, 20, 20))
        draw.text((corner[0] + 4, corner[1] + 2), caption, fill=(255, 255, 255))
    return sheet
