"""A simulated cage: its animals, its look, and the photograph of it at a given time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from edge.errors import OperatorError
from edge.simulate.activity import Activity, Placement, draw_activity, settle
from edge.simulate.appearance import Appearance, appearance_at
from edge.simulate.bedding import DECODE, floor_of
from edge.simulate.coat import Palette
from edge.simulate.faults import SceneFaults
from edge.simulate.lens import fog, reach_in, shake, soil
from edge.simulate.mouse import DrawnMouse, draw_mouse
from edge.simulate.nest import nest_cover
from edge.simulate.optics import expose
from edge.simulate.patch import Patch, lay_over, smear
from edge.simulate.population import SimulatedAnimal
from edge.simulate.posture import EAR_AT, EAR_OUT, Pose, take_posture
from edge.simulate.setup import CageSetup
from edge.simulate.shelter import shelter_of
from edge.simulate.sketch import Sketch
from edge.simulate.strains import STRAINS
from edge.simulate.truth import AnimalTruth, Box, FrameTruth, Keypoint, Light, SimulatedFrame
from edge.simulate.view import View

MAX_ANIMALS = 5
NO_FAULTS = SceneFaults()

_AMBIENT = {"white": 0.58, "infrared": 0.50}
_INFRARED_LAMP = (0.10, -0.08, 0.9917)  # a ring of LEDs around the lens
_RUN_MM = {"walking": 2.2, "rearing": 0.8, "grooming": 0.5}  # smear of a moving animal during a long exposure, at most
_TAIL = 100  # a tail's owner is its animal's number plus this
_COVERED = -1
_BARE = -2


@dataclass(frozen=True, eq=False)
class _Actor:
    """One animal in one frame, before it is drawn."""

    animal: SimulatedAnimal
    age_days: float
    appearance: Appearance
    placement: Placement
    pose: Pose


@dataclass(frozen=True)
class SimulatedCage:
    """One to five animals (or none) in one setup.

    Raises:
        OperatorError: more than five animals, or one animal twice.
    """

    cage_id: str
    animals: tuple[SimulatedAnimal, ...]
    setup: CageSetup

    def __post_init__(self) -> None:
        names = [animal.subject_id for animal in self.animals]
        if len(names) > MAX_ANIMALS or len(set(names)) < len(names):
            raise OperatorError(f"cage {self.cage_id}: expected up to {MAX_ANIMALS} different animals, got {names}")

    def photograph(
        self,
        *,
        at: datetime,
        light: Light,
        zeitgeber_h: float,
        seed: int,
        faults: SceneFaults = NO_FAULTS,
        activity: Activity | None = None,
    ) -> SimulatedFrame:
        """The picture of the cage at this aware time, with its ground truth; the same arguments give the same bytes.

        Without an `activity`, what the animals do is drawn from the zeitgeber time. What an activity leaves out is
        drawn.

        Raises:
            OperatorError: a naive time, an animal not yet born, or an activity for another number of animals.
        """
        rng = np.random.default_rng([seed, self.setup.seed, crc32(self.cage_id.encode())])
        actors = () if faults.empty else self._cast(at, zeitgeber_h, activity, rng)
        view = self.setup.view(faults.camera_shift_mm, faults.camera_rotation_deg)
        scene: NDArray[np.float32] = DECODE[floor_of(self.setup, light, view)]
        owner = np.full(scene.shape[:2], _BARE, np.int16)
        whole = [0] * len(actors)
        for number, actor in enumerate(actors):
            drawn = _draw(actor, view, light, self.setup, rng)
            whole[number] = _place(scene, owner, drawn, number, light, self.setup)
        if any(actor.placement.in_nest for actor in actors):
            _cover(scene, owner, nest_cover(self.setup, light, view))
        shelter = shelter_of(self.setup, light, view)
        if shelter is not None:
            _cover(scene, owner, shelter)
        if faults.hand:
            _cover(scene, owner, reach_in(self.setup, view, scene.shape[2], rng))
        scene = _disturb(scene, self.setup, faults, seed, rng)
        lamp = 0.004 if faults.lights_off else 1.0
        image = expose(scene, self.setup, light, faults.exposure_factor * lamp, rng)
        truths = tuple(_truth_of(actor, number, owner, whole[number], view) for number, actor in enumerate(actors))
        return SimulatedFrame(image, FrameTruth(self.setup.px_per_mm, light, truths))

    def _cast(
        self, at: datetime, zeitgeber_h: float, activity: Activity | None, rng: np.random.Generator
    ) -> tuple[_Actor, ...]:
        """Every animal with its age, look, place and pose."""
        if activity is None:
            activity = draw_activity(rng, self.setup, len(self.animals), zeitgeber_h)
        elif len(activity.placements) != len(self.animals):
            raise OperatorError(
                f"cage {self.cage_id}: expected an activity for {len(self.animals)} animals, "
                f"got {len(activity.placements)}"
            )
        else:
            activity = settle(rng, self.setup, activity)
        actors = []
        for animal, placement in zip(self.animals, activity.placements, strict=True):
            age_days = animal.age_days_at(at)
            appearance = appearance_at(animal, age_days)
            pose = take_posture(appearance, placement, rng, self.setup.field_mm, self.setup.wall_mm)
            actors.append(_Actor(animal, age_days, appearance, placement, pose))
        return tuple(actors)


def _draw(actor: _Actor, view: View, light: Light, setup: CageSetup, rng: np.random.Generator) -> DrawnMouse:
    strain = STRAINS[actor.animal.strain]
    sketch = Sketch(
        appearance=actor.appearance,
        strain=strain,
        palette=Palette.of(strain, light, actor.appearance.coat_brightness),
        seed=actor.animal.seed,
        lamp=setup.lamp_direction if light == "white" else _INFRARED_LAMP,
        ambient=_AMBIENT[light],
    )
    drawn = draw_mouse(sketch, actor.pose, view)
    run = _RUN_MM.get(actor.placement.posture, 0.0) * float(rng.random()) ** 2 * (1.0 if light == "white" else 1.4)
    if run * view.px_per_mm < 1.0 or drawn.body is None:
        return drawn
    dx, dy = actor.pose.along[len(actor.pose.along) // 2] * run * view.px_per_mm
    body = Patch(
        drawn.body.x0,
        drawn.body.y0,
        smear(drawn.body.colour, float(dx), float(dy)),
        smear(drawn.body.alpha, float(dx), float(dy)),
    )
    return DrawnMouse(drawn.tail, body, drawn.mask)


def _place(
    scene: NDArray[np.float32], owner: NDArray[np.int16], drawn: DrawnMouse, number: int, light: Light, setup: CageSetup
) -> int:
    """Pixels that the body covers; lays shadow, tail and body over the scene and notes their owner, in place."""
    if drawn.body is not None:
        _cast_shadow(scene, drawn.body, light, setup)
    if drawn.tail is not None:
        lay_over(scene, drawn.tail)
        owner[drawn.tail.rows, drawn.tail.columns][drawn.tail.alpha > 0.5] = number + _TAIL
    if drawn.body is None:
        return 0
    lay_over(scene, drawn.body)
    owner[drawn.body.rows, drawn.body.columns][drawn.mask] = number
    return int(drawn.mask.sum())


def _cast_shadow(scene: NDArray[np.float32], body: Patch, light: Light, setup: CageSetup) -> None:
    """Darken the floor on the side away from the lamp, in place: a soft cast shadow, and a tighter one of contact."""
    lamp = setup.lamp_direction if light == "white" else _INFRARED_LAMP
    scale = setup.px_per_mm
    picture = Image.fromarray((body.alpha * 255).astype(np.uint8))
    small = picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)), Image.Resampling.BILINEAR)
    for height_mm, blur_mm, depth in ((9.0, 3.2, 0.42), (2.5, 1.2, 0.38)):
        blurred = small.filter(ImageFilter.GaussianBlur(blur_mm * scale / 2)).resize(
            picture.size, Image.Resampling.BILINEAR
        )
        shade = 1.0 - np.float32(depth / 255.0) * np.asarray(blurred, np.float32)
        dx, dy = round(-lamp[0] / lamp[2] * height_mm * scale), round(-lamp[1] / lamp[2] * height_mm * scale)
        x0, y0 = max(0, body.x0 + dx), max(0, body.y0 + dy)
        x1, y1 = min(scene.shape[1], body.x0 + dx + shade.shape[1]), min(scene.shape[0], body.y0 + dy + shade.shape[0])
        if x1 > x0 and y1 > y0:
            cut = shade[y0 - body.y0 - dy : y1 - body.y0 - dy, x0 - body.x0 - dx : x1 - body.x0 - dx]
            scene[y0:y1, x0:x1] *= cut[..., None]


def _cover(scene: NDArray[np.float32], owner: NDArray[np.int16], patch: Patch) -> None:
    lay_over(scene, patch)
    owner[patch.rows, patch.columns][patch.alpha > 0.5] = _COVERED


def _disturb(
    scene: NDArray[np.float32], setup: CageSetup, faults: SceneFaults, seed: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The scene after what sits between it and the sensor."""
    if faults.motion_blur > 0:
        scene = shake(scene, setup, faults.motion_blur, rng)
    if faults.condensation > 0:
        scene = fog(scene, setup, faults.condensation, seed)
    if faults.dirt > 0:
        soil(scene, setup, faults.dirt)
    return scene


def _truth_of(actor: _Actor, number: int, owner: NDArray[np.int16], whole_px: int, view: View) -> AnimalTruth:
    pose = actor.pose
    scale = pose.scale_mm
    parts = {
        "snout": pose.point(0.5, 0.0),
        "left_ear": pose.point(EAR_AT * pose.length_mm, EAR_OUT * scale),
        "right_ear": pose.point(EAR_AT * pose.length_mm, -EAR_OUT * scale),
        "tail_base": pose.point(pose.length_mm, 0.0),
        "tail_tip": (float(pose.tail[-1, 0]), float(pose.tail[-1, 1])),
    }
    rows, columns = np.nonzero(owner == number)
    box: Box | None = None
    if len(rows):
        box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    places = view.to_px(pose.spine)
    inside = ((places >= 0) & (places < (view.width_px, view.height_px))).all(axis=1)
    share = float((inside * pose.half_width_mm).sum() / pose.half_width_mm.sum())
    return AnimalTruth(
        subject_id=actor.animal.subject_id,
        age_days=actor.age_days,
        appearance=actor.appearance,
        posture=actor.placement.posture,
        in_nest=actor.placement.in_nest,
        visible_fraction=share * len(rows) / whole_px if whole_px else 0.0,
        box=box,
        keypoints={part: _keypoint(place, number, owner, view) for part, place in parts.items()},
    )


def _keypoint(place_mm: tuple[float, float], number: int, owner: NDArray[np.int16], view: View) -> Keypoint:
    """A part's pixel position; visible where the animal itself is on top within a millimetre of it."""
    x, y = (float(value) for value in view.to_px(np.array(place_mm, np.float32)))
    if not (0 <= x < view.width_px and 0 <= y < view.height_px):
        return (x, y, False)
    reach = max(1, math.ceil(view.px_per_mm))
    around = owner[max(0, int(y) - reach) : int(y) + reach + 1, max(0, int(x) - reach) : int(x) + reach + 1]
    return (x, y, bool(((around == number) | (around == number + _TAIL)).any()))
