"""Every due slot has its record, whatever is raised at whatever statement on its way."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from msgspec.structs import replace

import edge
from edge.bundle.trial import FILE
from edge.camera.protocol import Shot
from edge.capture.pending_events import PendingEvents
from edge.capture.process import CaptureProcess
from edge.capture.run import Capture
from edge.config.load import load_config
from edge.contract.base import Scalar
from edge.contract.bundle.bundle import Bundle
from edge.contract.reading import CameraState
from edge.errors import CameraTimeout, MessageError
from edge.outbox import Outbox
from edge.timing.clock import Clock, SteppedClock
from edge.vision.frame import Frame
from tests.edge.bundle.device import Device
from tests.edge.capture.running import outcomes, records, write_settings

ROOT = Path(edge.__file__).parent
DATA = Path(__file__).parents[2] / "data"
WALKED = [
    *(
        "capture/process.py",
        "capture/frame_observer.py",
        "capture/problem.py",
        "capture/reading.py",
        "capture/slot.py",
        "capture/model.py",
        "bundle/trial.py",
    ),
    *(
        "capture/change_events.py",
        "capture/clock_events.py",
        "capture/archive.py",
        "capture/reference.py",
        "capture/freshness.py",
        "capture/take_frames.py",
    ),
    *(
        "vision/observe.py",
        "vision/acceptance.py",
        "vision/locate.py",
        "vision/preprocess.py",
        "vision/estimate.py",
        "vision/age_head.py",
    ),
    *("vision/quality.py", "vision/image.py", "vision/model/runtime.py", "vision/model/golden.py"),
    *("vision/rehearsal.py", "contract/jsontext.py", "capture/status.py"),
]
CLASSES = (ValueError, MemoryError, RecursionError, OSError, KeyError, StopIteration, MessageError, AssertionError)
BEGIN = datetime(2024, 1, 1, 9, tzinfo=UTC)
Place = tuple[str, int]


def files_named(*names: str) -> set[str]:
    """Return the paths of the device's files; one that was moved away is an error, not a file without faults."""
    assert [name for name in names if not (ROOT / name).is_file()] == []
    return {str(ROOT / name) for name in names}


class BlobCamera:
    """A dark animal on a bright floor, a fresh picture each time; a script makes other slots of it."""

    def __init__(self, clock: Clock, script: Sequence[str] = ()) -> None:
        self._clock, self._script = clock, iter(script)
        y, x = np.mgrid[:240, :320]
        self._floor = np.full((240, 320), 180.0)
        self._animal = np.where(((x - 150) / 45) ** 2 + ((y - 100) / 15) ** 2 < 1, 25.0, 180.0)
        self._noise = np.random.default_rng(0)

    def open(self) -> None:
        """It is there at once."""

    def capture(self, shot: Shot) -> Frame:
        word = next(self._script, "animal")
        if word == "lost":
            raise CameraTimeout("scripted: no frame")
        view = {"animal": self._animal, "empty": self._floor}.get(word, np.zeros((240, 320)))
        grey = (view + self._noise.normal(0, 6, view.shape)).clip(0, 255).astype(np.uint8)
        main = np.repeat(grey[..., None], 3, axis=2)
        state = CameraState(backend="drawn", model="blob", width=320, height=240)
        return Frame(main, shot.triggered_at_s, self._clock.monotonic_s(), state, 1.0, small_width=160)

    def flush(self) -> None:
        """Nothing is queued."""

    def close(self) -> None:
        """Nothing is held."""

    def describe(self) -> dict[str, Scalar]:
        return {"backend": "drawn", "model": "blob", "width": 320, "height": 240}


class Faults:
    """Watches the statements of each slot; in every second slot one of them raises, once.

    The slots between stay whole, so that no ladder is climbed and every place is reached again.
    """

    def __init__(self, places: list[tuple[Place, type[Exception]]]) -> None:
        self.files = files_named(*WALKED) | {path for (path, _), _ in places}
        self.seen: dict[Place, None] = {}
        self.raised: list[Place] = []
        self._places, self._slot, self._armed = places, -1, None
        self._entry = CaptureProcess.take_slot.__code__

    def __enter__(self) -> "Faults":
        self.watch()
        return self

    def watch(self) -> None:
        """Begin to watch, or go on: whatever a trace function raises ends the tracing as well."""
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, _argument: object) -> Callable | None:
        if frame.f_code is self._entry:
            self._slot += 1
            number = self._slot // 2
            faulty = self._slot % 2 == 0 and number < len(self._places)
            self._armed = self._places[number] if faulty else None
        if frame.f_code is CaptureProcess.exit_code.__code__:
            self._armed = None  # the slot is over
            return None
        return self._line if self._slot >= 0 and frame.f_code.co_filename in self.files else None

    def _line(self, frame: FrameType, event: str, _argument: object) -> Callable:
        if event == "line":
            place = (frame.f_code.co_filename, frame.f_lineno)
            self.seen[place] = None
            if self._armed is not None and place == self._armed[0]:
                kind, self._armed = self._armed[1], None
                self.raised.append(place)
                raise kind("injected")
        return self._line


class WatchedClock(SteppedClock):
    """A stepped clock; between two slots the watch goes on."""

    watch: Callable[[], None] = staticmethod(lambda: None)

    def sleep_until(self, until_s: float, poll: Callable[[], bool]) -> bool:
        self.watch()
        return super().sleep_until(until_s, poll)


def take(
    settings: Path, slots: int, places: Sequence[tuple[Place, type[Exception]]] = (), script: Sequence[str] = ()
) -> tuple[int, Faults]:
    """Capture so many slots on a stepped clock with faults; return the exit code and what was walked."""
    config = load_config(settings)
    # The process is the tests' own, with all that others have loaded.
    config = replace(config, memory=replace(config.memory, capture_mb=100_000))
    Path(config.state_dir).mkdir(parents=True, exist_ok=True)
    clock = WatchedClock(BEGIN)
    outbox = Outbox.open(Path(config.state_dir), config.outbox, device_id="cage07", serial="", clock=clock)
    try:
        capture = Capture(config, clock, outbox, Path(config.state_dir), BEGIN, BlobCamera(clock, script))
        with Faults(list(places)) as faults:
            clock.watch = faults.watch
            code = capture.run(slots)
    finally:
        outbox.close()
    return code, faults


def accounted(settings: Path) -> int:
    """Return how many due slots have a record: a reading of their own, or their share of a gap."""
    readings = [one for one in records(settings, "reading") if one["trigger"] == "schedule"]
    missed = [one["detail"]["missed_slots"] for one in records(settings, "record") if one.get("code") == "gap"]
    return len(readings) + sum(missed)


def tiny_settings(folder: Path) -> Path:
    """Settings under which an animal is found, judged, averaged over a burst and archived."""
    folder.mkdir(parents=True, exist_ok=True)
    more = "schedule: {burst_frames: 2}\narchive: {enabled: true, max_mb: 50}\n"
    return write_settings(folder, more=more, bundle=DATA / "tiny.bundle")


def with_classes(places: Sequence[Place], first: int = 0) -> list[tuple[Place, type[Exception]]]:
    return list(zip(places, islice(cycle(CLASSES), first, None), strict=False))


STEPS = [5, pytest.param(1, marks=pytest.mark.slow)]
"""Every fifth statement; all of them in the full run."""


@pytest.mark.parametrize("step", STEPS)
def test_whatever_a_statement_raises_each_due_slot_has_a_record(step: int, tmp_path: Path) -> None:
    script = ["animal"] * 2 + ["empty"] * 2 + ["dark"] * 2 + ["lost"] * 3 + ["animal"] * 4
    _, walk = take(tiny_settings(tmp_path / "walk"), 6, script=script)
    settings = tiny_settings(tmp_path / "faults")
    places = with_classes(list(walk.seen)[::step])
    slots = 2 * len(places)
    code, faults = take(settings, slots, places)
    assert code == 0
    assert len(faults.raised) > 500 // step, "the walk reaches what a slot runs"
    assert accounted(settings) == slots
    found = Counter(outcomes(settings))
    assert {"ok", "model_fault", "camera_fault"} <= set(found)
    assert found["ok"] >= slots // 2


def test_an_error_before_a_slot_begins_costs_that_slot_and_not_the_one_before(tmp_path: Path) -> None:
    """What is to be stored in front of a reading may fail: the reading that is found then is the last slot's."""
    code_of = PendingEvents.append_all.__code__
    first = min(line for _, _, line in code_of.co_lines() if line is not None and line > code_of.co_firstlineno)
    nowhere, before = (code_of.co_filename, 10**6), (code_of.co_filename, first)
    settings = tiny_settings(tmp_path)
    code, faults = take(settings, 4, [(nowhere, KeyError), (before, KeyError)])
    assert (code, len(faults.raised)) == (0, 1)
    assert outcomes(settings) == ["ok"] * 3
    assert accounted(settings) == 4


@pytest.mark.parametrize("step", STEPS)
def test_whatever_a_model_on_trial_meets_each_due_slot_has_a_record(
    step: int, tmp_path: Path, tiny_bundle: Bundle
) -> None:
    """An empty cage: the golden inputs are tried in each capture as well. Each fault meets a fresh trial."""
    device = Device(tmp_path, tiny_bundle, ", trial_captures: 3, trial_minutes: 0")
    assert device.install(device.make(1)) == 0
    files = files_named("capture/model.py", "bundle/trial.py", "vision/model/golden.py", "vision/rehearsal.py")
    _, walk = take(device.settings, 1, script=["empty"])
    places = [place for place in walk.seen if place[0] in files]
    raised = 0
    for place, kind in with_classes(places[::step], 3):
        (device.state / FILE).unlink(missing_ok=True)
        before = accounted(device.settings)
        code, faults = take(device.settings, 2, [(place, kind)], script=["empty"] * 2)
        raised += len(faults.raised)
        assert (code in (0, 3), accounted(device.settings) - before) == (True, 2), (place, kind)
    assert raised > 60 // step
