"""Scenes that no age should be given for, most of them near to what the model knows, and good ones beside them.

Every scene has its own animals, places, noise and drawn objects; the scenes of one cage, all of other kinds, share its
floor, because strewing the litter costs more than the photograph. Scenes of other seeds are what the age network learns
to tell from its animals (training.age.outliers); nothing of the seeds tested here is used in any training or
calibration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from edge.footage.picture import read_image
from edge.simulate import Activity, CageSetup, Placement, SceneFaults, SimulatedCage, SimulatedFrame, create_population
from edge.simulate.truth import Light
from training.simulated.table import STRAIN

Picture = NDArray[np.uint8]
Point = tuple[float, float]

FIRST_POPULATION, FIRST_SETUP = 5_000_000_000, 6_000_000_000
IN_DOMAIN = "in domain"
_BORN = date(2020, 1, 1)


@dataclass(frozen=True, eq=False)
class Scene:
    """One photograph, uint8 (h, w, 3), and where a locator would put snout and tail base of what lies in it, pixels."""

    kind: str
    image: Picture
    white: bool
    px_per_mm: float
    snout: Point
    tail_base: Point


@dataclass(frozen=True, eq=False)
class _Stage:
    """One empty cage with the random numbers of one scene."""

    setup: CageSetup
    light: Light
    key: int
    rng: np.random.Generator

    def photograph(self, strain: str = STRAIN, age_days: float | None = None, *, nest: bool = False) -> SimulatedFrame:
        """One animal of 60 to 920 days, or of this age, stretched out or walking, or asleep in the nest."""
        animals = create_population(
            FIRST_POPULATION + self.key, 1, born_from=_BORN, born_until=_BORN, strains=(strain,)
        )
        age = float(self.rng.uniform(60, 920)) if age_days is None else age_days
        posture = ("stretched", "walking")[int(self.rng.integers(2))]
        place = Placement("curled", in_nest=True) if nest else Placement(posture)  # type: ignore[arg-type]
        return self._take(SimulatedCage(f"foreign-{self.key}", animals, self.setup), age, Activity((place,)))

    def empty(self) -> SimulatedFrame:
        """The floor alone."""
        return self._take(SimulatedCage(f"foreign-{self.key}", (), self.setup), 100.0, None)

    def _take(self, cage: SimulatedCage, age: float, activity: Activity | None) -> SimulatedFrame:
        return cage.photograph(
            at=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=age),
            light=self.light,
            zeitgeber_h=6.0 if self.light == "white" else 15.0,
            seed=self.key % (1 << 30),
            activity=activity,
            faults=SceneFaults(exposure_factor=float(np.exp(self.rng.normal(0, 0.12)))),
        )

    def scene(self, kind: str, frame: SimulatedFrame, image: Picture | None = None) -> Scene:
        """The frame as a scene, cut at its animal, or anywhere where there is none to be seen."""
        picture = frame.image if image is None else image
        for animal in frame.truth.animals:
            parts = animal.keypoints
            if not animal.in_nest:
                return self._at(kind, picture, parts["snout"][:2], parts["tail_base"][:2])
        return self.anywhere(kind, picture)

    def anywhere(self, kind: str, image: Picture, middle: Point | None = None) -> Scene:
        """A scene that is cut at a place in the picture, in any direction."""
        height, width = image.shape[:2]
        x, y = middle or (self.rng.uniform(0.25, 0.75) * width, self.rng.uniform(0.25, 0.75) * height)
        angle, half = self.rng.uniform(-np.pi, np.pi), 42 * self.setup.px_per_mm
        dx, dy = half * np.cos(angle), half * np.sin(angle)
        return self._at(kind, image, (x + dx, y + dy), (x - dx, y - dy))

    def _at(self, kind: str, image: Picture, snout: Point, tail_base: Point) -> Scene:
        return Scene(kind, image, self.light == "white", self.setup.px_per_mm, snout, tail_base)


def _coat(strain: str) -> Callable[[_Stage], Scene]:
    return lambda stage: stage.scene(f"coat of {strain}", stage.photograph(strain))


def _juvenile(stage: _Stage) -> Scene:
    return stage.scene("juvenile, 16-26 days", stage.photograph(age_days=float(stage.rng.uniform(16, 26))))


def _shaved(stage: _Stage) -> Scene:
    """A mouse whose back was shaved for surgery: skin with stubble, sharp borders."""
    frame = stage.photograph()
    mask = Image.new("L", frame.image.shape[1::-1], 0)
    parts = frame.truth.animals[0].keypoints
    snout, tail = np.array(parts["snout"][:2]), np.array(parts["tail_base"][:2])
    start, end = tail + (snout - tail) * 0.12, tail + (snout - tail) * stage.rng.uniform(0.5, 0.68)
    radius = stage.rng.uniform(7, 10) * stage.setup.px_per_mm
    draw = ImageDraw.Draw(mask)
    for share in np.linspace(0, 1, 12):
        x, y = start + (end - start) * share
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    alpha = np.asarray(mask.filter(ImageFilter.GaussianBlur(2)), np.float32)[..., None] / 255 * 0.8
    skin = np.array((188, 155, 144) if stage.light == "white" else (185, 185, 185), np.float32)
    skin = skin * stage.rng.normal(1, 0.05, (*frame.image.shape[:2], 1)).astype(np.float32)
    return stage.scene("shaved back", frame, _clip(frame.image * (1 - alpha) + skin * alpha))


def _hand(stage: _Stage) -> Scene:
    from edge.simulate.lens import reach_in

    frame = stage.empty()
    patch = reach_in(stage.setup, stage.setup.view(), 3 if stage.light == "white" else 1, stage.rng)
    alpha = patch.alpha[..., None]
    glove = 255 * np.clip(patch.colour, 0, 1) ** (1 / 2.2)
    rows, columns = np.nonzero(patch.alpha > 0.5)
    picked = int(stage.rng.integers(len(rows)))
    image = _clip(frame.image * (1 - alpha) + glove * (alpha > 0.02))
    return stage.anywhere("gloved hand", image, (float(columns[picked]), float(rows[picked])))


def _nest(stage: _Stage) -> Scene:
    frame = stage.photograph(nest=True)
    scale = stage.setup.px_per_mm
    return stage.anywhere(
        "nest with a sleeper", frame.image, (stage.setup.nest_mm[0] * scale, stage.setup.nest_mm[1] * scale)
    )


def _bedding(stage: _Stage) -> Scene:
    return stage.anywhere("empty cage", stage.empty().image)


def _drawn(stage: _Stage) -> Scene:
    """A drawn toy: an ellipse with ears and a tail, of any tone, on the litter."""
    image = Image.fromarray(stage.empty().image)
    draw, scale, rng = ImageDraw.Draw(image), stage.setup.px_per_mm, stage.rng
    x, y = rng.uniform(0.3, 0.7) * image.width, rng.uniform(0.3, 0.7) * image.height
    long, wide = rng.uniform(36, 50) * scale, rng.uniform(12, 20) * scale
    tone = tuple(
        int(value) for value in (rng.integers(10, 240, 3) if stage.light == "white" else [rng.integers(10, 240)] * 3)
    )
    draw.ellipse((x - long, y - wide, x + long, y + wide), fill=tone)
    for side in (-1, 1):
        draw.ellipse(
            (x + 0.5 * long - 20, y + side * wide * 0.8 - 20, x + 0.5 * long + 20, y + side * wide * 0.8 + 20),
            fill=tone,
        )
    draw.line((x - long, y, x - long - 160, y + rng.uniform(-60, 60)), fill=tone, width=10)
    noisy = _clip(np.asarray(image, np.float32) + rng.normal(0, 2, (image.height, image.width, 1)))
    return Scene("drawn toy", noisy, stage.light == "white", scale, (x + long, y), (x - long, y))


def _rat(stage: _Stage) -> Scene:
    """The animal of another cage size: everything 1.6 to 2 times as large as the scale says."""
    scene = stage.scene("rodent of rat size", stage.photograph())
    zoom = float(stage.rng.uniform(1.6, 2.0))
    height, width = scene.image.shape[:2]
    middle = (np.array(scene.snout) + np.array(scene.tail_base)) / 2
    x0, y0 = np.clip(middle - np.array([width, height]) / zoom / 2, 0, np.array([width, height]) * (1 - 1 / zoom))
    box = (float(x0), float(y0), float(x0 + width / zoom), float(y0 + height / zoom))
    image = np.asarray(Image.fromarray(scene.image).resize((width, height), Image.Resampling.BICUBIC, box))
    snout, tail = ((zoom * (place[0] - x0), zoom * (place[1] - y0)) for place in (scene.snout, scene.tail_base))
    return replace(scene, image=image, snout=snout, tail_base=tail)


def _wire(stage: _Stage) -> Scene:
    """Another cage: the animal seen through a wire lid."""
    frame = stage.photograph()
    scale, rng = stage.setup.px_per_mm, stage.rng
    image = Image.fromarray(frame.image)
    draw = ImageDraw.Draw(image)
    step, tone = rng.uniform(7, 10) * scale, int(rng.integers(120, 215))
    for x in np.arange(rng.uniform(0, step), image.width, step):
        draw.line((x, 0, x, image.height), fill=(tone, tone, tone), width=round(2.2 * scale))
    return stage.scene(
        "other cage: wire lid", frame, _clip(np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), np.float32))
    )


def _other_floor(grid: bool) -> Callable[[_Stage], Scene]:
    """Another cage: bare plastic, or a grid, in place of the litter."""

    def draw(stage: _Stage) -> Scene:
        frame, floor = stage.photograph(), stage.empty()
        apart = np.abs(frame.image.astype(np.float32) - floor.image).max(axis=2) > 34
        mask = Image.fromarray((apart * 255).astype(np.uint8)).filter(ImageFilter.MedianFilter(5))
        mask = mask.filter(ImageFilter.MaxFilter(19)).filter(ImageFilter.MinFilter(19))
        mask = mask.filter(ImageFilter.GaussianBlur(2))
        alpha = np.asarray(mask, np.float32)[..., None] / 255
        base = Image.new("L", (frame.image.shape[1], frame.image.shape[0]), int(stage.rng.integers(90, 215)))
        if grid:
            pen, step = ImageDraw.Draw(base), 10 * stage.setup.px_per_mm
            for x in np.arange(0, base.width, step):
                pen.line((x, 0, x, base.height), fill=45, width=14)
                pen.line((0, x, base.width, x), fill=45, width=14)
        noise = stage.rng.normal(0, 2.5, (base.height, base.width))
        plain = (np.asarray(base, np.float32) + noise)[..., None]
        image = _clip(frame.image * alpha + plain * (1 - alpha))
        return stage.scene("other cage: grid floor" if grid else "other cage: bare floor", frame, image)

    return draw


NEAR: tuple[Callable[[_Stage], Scene], ...] = (_coat("DBA/2J"), _coat("129S1/SvImJ"), _juvenile)
"""The kinds that look most like the animals of the domain: brown coats in grey pictures, and size alone."""
KINDS: tuple[Callable[[_Stage], Scene], ...] = (
    _coat("BALB/cJ"),
    *NEAR,
    _shaved,
    _hand,
    _nest,
    _bedding,
    _drawn,
    _rat,
    _wire,
    _other_floor(grid=False),
    _other_floor(grid=True),
)


def scenes_of_cage(number: int, seed: int = 1, each: int = 4) -> list[Scene]:
    """Return one good scene and `each` foreign ones of a cage; the next cage goes on with the next kinds."""
    setup = CageSetup.from_seed(FIRST_SETUP + seed * 10_000 + number)
    found = []
    for index in range(each + 1):
        rng = np.random.default_rng([0xF0E, seed, number, index])
        light: Light = "white" if rng.random() < 0.5 else "infrared"
        stage = _Stage(setup, light, (seed * 10_000 + number) * 16 + index, rng)
        if index == each:
            found.append(stage.scene(IN_DOMAIN, stage.photograph()))
        else:
            found.append(KINDS[(number * each + index) % len(KINDS)](stage))
    return found


def open_field_scenes(project: Path, count: int = 24, px_per_mm: float = 1.3) -> list[Scene]:
    """Return evenly spaced labelled frames of the real open-field video of a DeepLabCut project."""
    from training.deeplabcut.read import read_project

    labelled = read_project(project)
    snout, tail = labelled.keypoints.index("snout"), labelled.keypoints.index("tailbase")
    found = []
    for frame in labelled.frames[:: max(1, len(labelled.frames) // count)][:count]:
        points = frame.animals[0]
        if np.isfinite(points[[snout, tail]]).all():
            image = read_image(frame.image)
            ends = [(float(points[part, 0]), float(points[part, 1])) for part in (snout, tail)]
            found.append(Scene("open-field video", image, True, px_per_mm, ends[0], ends[1]))
    return found


def _clip(values: NDArray[np.floating]) -> Picture:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
