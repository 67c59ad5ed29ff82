"""Simulated mice in place of a camera: they age by the clock, so that on a stepped one months pass in minutes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from edge.camera.protocol import Shot
from edge.config.faultscript import FaultScript, parse_script
from edge.config.tree import Config
from edge.contract.base import Scalar
from edge.contract.reading import CameraState, Light
from edge.simulate import CageSetup, SceneFaults, SimulatedAnimal, SimulatedCage, create_population
from edge.timing.clock import Clock
from edge.timing.zeitgeber import light_at, zeitgeber_h
from edge.vision.frame import Frame

UNCALIBRATED_FIELD_MM = 240.0
SCENES = {
    "dark": SceneFaults(lights_off=True),
    "overexposed": SceneFaults(exposure_factor=10.0),
    "condensation": SceneFaults(condensation=1.0),
    "empty": SceneFaults(empty=True),
    "moved": SceneFaults(camera_shift_mm=(14.0, 9.0), camera_rotation_deg=2.0),
    "blur": SceneFaults(motion_blur=1.0),
}


def animals_of(config: Config, begins_at: datetime) -> tuple[SimulatedAnimal, ...]:
    """Return the simulated animals of a device whose simulation begins at a time.

    Raises:
        OperatorError: a strain that the simulation does not know.
    """
    simulated = config.camera.simulated
    born = (begins_at - timedelta(days=simulated.age_days_at_start)).date()
    animals = create_population(
        simulated.seed, config.cage.animals, born_from=born, born_until=born, strains=(simulated.strain,)
    )
    if config.cage.subject is not None:
        animals = tuple(replace(animal, subject_id=config.cage.subject) for animal in animals)
    return animals


class SimulatedCamera:
    """Photographs one simulated cage; white light in the light phase, infrared in the dark."""

    def __init__(self, config: Config, clock: Clock, begins_at: datetime) -> None:
        """Nothing is drawn until `open`."""
        self._config = config
        self._clock = clock
        self._begins_at = begins_at
        self._script: FaultScript = parse_script(config.camera.simulated.faults)
        self._cage: SimulatedCage | None = None
        self._captures = 0

    def open(self) -> None:
        """Put the animals into the cage."""
        camera = self._config.camera
        setup = CageSetup.from_seed(
            camera.simulated.seed,
            width_px=camera.width,
            height_px=camera.height,
            px_per_mm=camera.px_per_mm or camera.width / UNCALIBRATED_FIELD_MM,
        )
        self._cage = SimulatedCage(self._config.cage.id, animals_of(self._config, self._begins_at), setup)

    def capture(self, shot: Shot) -> Frame:
        """Return a picture of the cage as it is now, with the scripted scene fault of this capture."""
        if self._cage is None:
            self.open()
        assert self._cage is not None
        self._captures += 1
        now = self._clock.now()
        phase = light_at(now, self._config.light_cycle)  # the room's light is what it is, known to the shot or not
        seen = self._cage.photograph(
            at=now,
            light="white" if phase is Light.LIGHT else "infrared",
            zeitgeber_h=zeitgeber_h(now, self._config.light_cycle),
            seed=(int(now.timestamp()) * 1000 + self._captures) % 2**63,
            faults=SCENES.get(self._script.at(self._captures) or "", SceneFaults()),
        )
        height, width = seen.image.shape[:2]
        return Frame(
            main=seen.image,
            triggered_at_s=shot.triggered_at_s,
            exposed_at_s=self._clock.monotonic_s(),
            state=CameraState(backend="simulated", model="simulated cage", width=width, height=height),
            px_per_mm=self._config.camera.px_per_mm,
            small_width=self._config.camera.small_width,
        )

    def flush(self) -> None:
        """Nothing is queued."""

    def close(self) -> None:
        """Let the cage go."""
        self._cage = None

    def describe(self) -> dict[str, Scalar]:
        """Return backend, size and seed."""
        camera = self._config.camera
        size = {"width": camera.width, "height": camera.height}
        return {"backend": "simulated", "model": "simulated cage", **size, "seed": camera.simulated.seed}
