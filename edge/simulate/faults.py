"""What can be scripted to go wrong with one simulated photograph."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from edge.errors import OperatorError


@dataclass(frozen=True)
class SceneFaults:
    """Faults of one frame; the default is a clean one.

    Raises:
        OperatorError: a strength outside 0..1, or a number that is not finite.
    """

    empty: bool = False  # no animal in the cage
    condensation: float = 0.0  # 0..1, haze and droplets on the lens or the lid
    dirt: float = 0.0  # 0..1, specks and smears on the lens, the same ones in every frame of a cage
    camera_shift_mm: tuple[float, float] = (0.0, 0.0)  # on the cage floor, on top of the setup's own
    camera_rotation_deg: float = 0.0
    exposure_factor: float = 1.0  # 1 is right, 0.25 two stops too dark
    motion_blur: float = 0.0  # 0..1, the camera shakes; 1 smears over 6 mm
    hand: bool = False  # a gloved hand reaches in
    lights_off: bool = False  # the lamp of this phase is dead

    def __post_init__(self) -> None:
        for name in ("condensation", "dirt", "motion_blur"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise OperatorError(f"faults.{name}: expected 0..1, got {value}")
        if not (math.isfinite(self.exposure_factor) and self.exposure_factor >= 0.0):
            raise OperatorError(
                f"faults.exposure_factor: expected a finite number of 0 or more, got {self.exposure_factor}"
            )
        if not all(math.isfinite(value) for value in (*self.camera_shift_mm, self.camera_rotation_deg)):
            raise OperatorError(
                f"faults: expected a finite camera shift and rotation, got {self.camera_shift_mm}, "
                f"{self.camera_rotation_deg}"
            )

    def active(self) -> tuple[str, ...]:
        """Names of the faults that are switched on."""
        clean = SceneFaults()
        return tuple(field.name for field in fields(self) if getattr(self, field.name) != getattr(clean, field.name))
