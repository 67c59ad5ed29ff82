"""One cage under one camera: its geometry and its look, fixed for months."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge.errors import OperatorError
from edge.simulate.view import View

Bedding = Literal["aspen", "corncob", "pulp"]
Shelter = Literal["none", "red_house", "cardboard_tube", "grey_house"]


@dataclass(frozen=True)
class CageSetup:
    """Where things stand in one cage and how its camera sees it; change a field with `dataclasses.replace`."""

    seed: int
    width_px: int
    height_px: int
    px_per_mm: float
    bedding: Bedding
    bedding_tint: tuple[float, float, float]
    nest_mm: tuple[float, float]
    nest_radius_mm: float
    shelter: Shelter
    shelter_mm: tuple[float, float]
    shelter_size_mm: tuple[float, float]
    shelter_angle_rad: float
    wall_mm: float  # how far the walls reach into the picture
    lamp_direction: tuple[float, float, float]  # unit vector towards the lamp; z points up
    lamp_gain: float
    infrared_gain: float
    white_balance: tuple[float, float, float]
    vignetting: float  # loss of light in the corners, 0..1
    camera_offset_mm: tuple[float, float]
    camera_rotation_deg: float
    sensor_noise: float

    @classmethod
    def from_seed(cls, seed: int, *, width_px: int = 960, height_px: int = 720, px_per_mm: float = 4.0) -> CageSetup:
        """The setup of a seed. The scene is drawn in millimetres: the same seed at another scale is the same cage.

        Raises:
            OperatorError: a picture that is empty or covers less than 120 x 90 mm of floor.
        """
        if not (px_per_mm > 0 and width_px >= 120 * px_per_mm - 1 and height_px >= 90 * px_per_mm - 1):
            raise OperatorError(
                f"setup: expected a picture of at least 120 x 90 mm, got {width_px} x {height_px} px at "
                f"{px_per_mm} px/mm; "
                "raise the size or lower the scale"
            )
        rng = np.random.default_rng([seed, 0xCA6E])
        width, height = width_px / px_per_mm, height_px / px_per_mm
        corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
        nest_corner, shelter_corner = (corners[i] for i in rng.permutation(4)[:2])
        nest_radius = float(rng.uniform(40, 48))
        shelter_size = (float(rng.uniform(58, 72)), float(rng.uniform(44, 54)))
        tilt, azimuth = rng.uniform(0.25, 0.65), rng.uniform(-math.pi, math.pi)
        tint = (1.0 + rng.normal(0, 0.05)) * (1.0 + rng.normal(0, 0.012, 3))
        shelters: tuple[Shelter, ...] = ("none", "red_house", "cardboard_tube", "grey_house")
        beddings: tuple[Bedding, ...] = ("aspen", "corncob", "pulp")
        inset = (nest_radius * 0.85 + 6, shelter_size[0] * 0.55 + 8, shelter_size[1] * 0.55 + 8)
        return cls(
            seed=seed,
            width_px=width_px,
            height_px=height_px,
            px_per_mm=px_per_mm,
            bedding=beddings[int(rng.choice(3, p=(0.6, 0.25, 0.15)))],
            bedding_tint=(float(tint[0]), float(tint[1]), float(tint[2])),
            nest_mm=(abs(nest_corner[0] * width - inset[0]), abs(nest_corner[1] * height - inset[0])),
            nest_radius_mm=nest_radius,
            shelter=shelters[int(rng.choice(4, p=(0.2, 0.4, 0.2, 0.2)))],
            shelter_mm=(abs(shelter_corner[0] * width - inset[1]), abs(shelter_corner[1] * height - inset[2])),
            shelter_size_mm=shelter_size,
            shelter_angle_rad=float(rng.normal(0, 0.2)),
            wall_mm=float(rng.uniform(3, 7)),
            lamp_direction=(
                float(math.sin(tilt) * math.cos(azimuth)),
                float(math.sin(tilt) * math.sin(azimuth)),
                float(math.cos(tilt)),
            ),
            lamp_gain=float(np.exp(rng.normal(0, 0.09))),
            infrared_gain=float(np.exp(rng.normal(0, 0.08))),
            white_balance=(float(np.exp(rng.normal(0, 0.03))), 1.0, float(np.exp(rng.normal(0, 0.04)))),
            vignetting=float(rng.uniform(0.10, 0.35)),
            camera_offset_mm=(float(rng.normal(0, 1.5)), float(rng.normal(0, 1.5))),
            camera_rotation_deg=float(rng.normal(0, 0.8)),
            sensor_noise=float(rng.uniform(0.8, 1.3)),
        )

    @property
    def field_mm(self) -> tuple[float, float]:
        """Width and height of the floor in the picture, in millimetres."""
        return (self.width_px / self.px_per_mm, self.height_px / self.px_per_mm)

    def view(self, shift_mm: tuple[float, float] = (0.0, 0.0), rotation_deg: float = 0.0) -> View:
        """The camera's view, moved further by what a fault asks."""
        shift = (self.camera_offset_mm[0] + shift_mm[0], self.camera_offset_mm[1] + shift_mm[1])
        return View(self.width_px, self.height_px, self.px_per_mm, shift, self.camera_rotation_deg + rotation_deg)

    def shelter_covers(self, place_mm: tuple[float, float]) -> bool:
        """True where this place on the floor lies under the shelter."""
        if self.shelter == "none":
            return False
        dx, dy = place_mm[0] - self.shelter_mm[0], place_mm[1] - self.shelter_mm[1]
        cos, sin = math.cos(self.shelter_angle_rad), math.sin(self.shelter_angle_rad)
        u, v = dx * cos + dy * sin, dy * cos - dx * sin
        return abs(u) < self.shelter_size_mm[0] / 2 and abs(v) < self.shelter_size_mm[1] / 2
