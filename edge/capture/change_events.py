"""What changes from one slot to the next and cuts or flags an ageing curve: one event each time."""

from __future__ import annotations

from edge.capture.event_writer import EventWriter
from edge.capture.model import ModelSource
from edge.capture.reading import Result
from edge.capture.start_events import append_model_change
from edge.contract.reading import Model, Quality
from edge.errors import BundleError, OperatorError
from edge.vision.quality import MOVED


class ChangeEvents:
    """Compares each slot with those before it."""

    def __init__(self, events: EventWriter, models: ModelSource, *, was_failing: bool) -> None:
        """Nothing has been seen yet. was_failing: the last process ended without a fresh frame."""
        self._events, self._models = events, models
        self._was_failing = was_failing
        self._moved = 0
        self._refused = ""
        self._model: Model | None = None

    def note_camera(self, result: Result, counters: dict[str, int]) -> None:
        """Append the event of a camera that works again. counters: of the recovery ladder.

        Raises:
            StorageError: the outbox cannot keep it; so below.
        """
        if result.frames and self._was_failing:
            self._events.append("camera_recovered", "a fresh frame came again", **counters)
        self._was_failing = not result.frames

    def note_result(self, result: Result) -> None:
        """Append the events of a moved camera, of another model, and of a wanted one that does not run."""
        self._notice_movement(result.quality)
        self._notice_refusal(self._models.problem)
        if result.model is not None:
            if self._model is not None:
                append_model_change(self._events, self._model, result.model)
            self._model = result.model

    def _notice_movement(self, quality: Quality | None) -> None:
        """Append one event when two readings in a row are flagged as moved; every one of them keeps its flag."""
        if quality is None:
            return
        self._moved = self._moved + 1 if MOVED in quality.flags else 0
        if self._moved == 2:
            shift = quality.reference_shift_px
            text = "the camera was moved against its reference view; put it back, or remove reference-*.npy to accept"
            self._events.append("camera_moved", text, shift_px=shift)

    def _notice_refusal(self, refusal: OperatorError | BundleError | None) -> None:
        """Append one event for each new reason why the wanted model does not run; another one may go on meanwhile."""
        problem = str(refusal or "")
        if problem and problem != self._refused:
            self._events.append("model_refused", problem)
        self._refused = problem
