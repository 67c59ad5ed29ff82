"""From a slot's frames to its result: what the model finds in them, or the fault that it ended in."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from edge.capture.archive import Archive
from edge.capture.model import ModelSource
from edge.capture.problem import Problem, warn
from edge.capture.reading import Result, recordable, with_crops
from edge.capture.reference import Reference
from edge.capture.shadow import ShadowRun
from edge.capture.slot import Slot
from edge.config.tree import Config
from edge.contract.reading import Light, Outcome, Quality, Timings
from edge.errors import BundleError, describe_error
from edge.vision.frame import Frame
from edge.vision.observe import ObserveSettings, check_recordable, observe
from edge.vision.quality import measure_quality

Spectrum = NDArray[np.complex64]


class FrameObserver:
    """Observes frames with the model that the device runs."""

    def __init__(
        self,
        config: Config,
        models: ModelSource,
        reference: Reference,
        archive: Archive,
        problem: Problem,
        shadow: ShadowRun,
    ) -> None:
        """Nothing is loaded yet."""
        self._shadow = shadow
        self._limits, self._settings = config.quality, ObserveSettings.of(config.cage, config.quality)
        self._models, self._reference, self._archive, self._problem = models, reference, archive, problem

    def observe(self, slot: Slot, frames: tuple[Frame, ...], capture_ms: float) -> Result:
        """Return what a slot's frames show; whatever a model or a library raises is a `model_fault`."""
        begin = time.perf_counter()
        reference = self._reference_of(slot.light)
        try:
            model = self._models.get()
            if model is None:
                raise self._models.problem or BundleError("there is no model")
            with self._models.at_work():
                seen = observe(frames, model, self._settings, reference, slot.light)
                check_recordable(seen)
        except Exception as error:  # noqa: BLE001 - whatever the runtime raises, the slot yields its reading
            text = describe_error(error)
            self._problem.note(Outcome.MODEL_FAULT, text)
            quality = self._quality_of(frames[0], reference)
            return Result(Outcome.MODEL_FAULT, text, frames, quality, timings=Timings(capture_ms=capture_ms))
        observe_ms = (time.perf_counter() - begin) * 1000
        timings = Timings(capture_ms=capture_ms, observe_ms=observe_ms, model_ms=seen.model_ms)
        self._problem.note(seen.outcome, seen.detail if seen.outcome is Outcome.CAMERA_FAULT else "")
        beside = self._shadow.look(frames, slot.light)
        result = Result(seen.outcome, seen.detail, frames, seen.quality, seen, model.describe(), timings, beside)
        try:
            return with_crops(result, [self._archive.keep(crops) for crops in seen.crops])
        except Exception as error:  # noqa: BLE001 - an archive that fails costs the crops, never the reading
            warn(f"the crops were not archived: {describe_error(error)}")
            return result

    def _reference_of(self, light: Light) -> Spectrum | None:
        try:
            return self._reference.of(light)
        except Exception as error:  # noqa: BLE001 - without a reference a moved camera goes unnoticed, no more
            warn(f"the reference view cannot be used: {describe_error(error)}")
            return None

    def _quality_of(self, frame: Frame, reference: Spectrum | None) -> Quality | None:
        try:
            return recordable(measure_quality(frame.small(), self._limits, reference))
        except Exception:  # noqa: BLE001 - the fault that is being recorded is reported already
            return None
