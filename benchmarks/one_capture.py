"""Prints, as JSON, the median CPU milliseconds of each stage of one capture, and of a whole one.

`python -m benchmarks.one_capture BUNDLE KEY MOBILENET`: a process of its own, so that its one thread is all. The
frame is one simulated mouse walking in a 640x480 picture. Stages are interleaved: a disturbance of the machine hits all
alike. The whole capture is `CaptureProcess.take_slot` with a camera that has its picture ready; it is taken at larger
sizes, too, with the bundle's networks as they are and once named as trained by the newest preprocessing.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.camera.protocol import Shot
from edge.capture.clockwatch import ClockWatch
from edge.capture.event_writer import EventWriter
from edge.capture.process import CaptureProcess
from edge.capture.reading import EXIF_BYTES, Composer, Result
from edge.capture.slot import begin_slot
from edge.capture.take_frames import RecoveryState
from edge.config import tree
from edge.contract import jsontext
from edge.contract.base import Scalar
from edge.contract.bundle.bundle import read_bundle, write_bundle
from edge.contract.bundle.keys import new_key_pair
from edge.contract.manifest import PREPROCESS_VERSION
from edge.contract.reading import CameraState, Reading
from edge.outbox import Outbox
from edge.outbox.stored_reading import StoredReading
from edge.simulate import Activity, CageSetup, Placement, SimulatedCage, create_population
from edge.timing.clock import SteppedClock
from edge.timing.schedule import Tally, make_plan
from edge.vision import image
from edge.vision.estimate import estimate_age
from edge.vision.frame import Frame
from edge.vision.locate import decode_centres, decode_parts, find_animals
from edge.vision.model.loaded import LoadedModel, load_model
from edge.vision.observe import ObserveSettings, observe
from edge.vision.preprocess import age_input, centres_input, parts_input, small_view
from edge.vision.quality import judge_quality, measure_quality, reference_view
from edge.vision.views import views_of

WIDTH, HEIGHT, PX_PER_MM = 640, 480, 2.667
LARGER = ((1456, 1088), (2028, 1520))
ROUNDS, WARM_UP = 100, 5
BEGINS_AT = datetime(2025, 9, 1, 18, 0, tzinfo=UTC)
NETWORKS = ("centres", "parts", "age")


@dataclass
class ReadyCamera:
    """Returns the same picture under a new name each time, its views made anew, as a replay does."""

    frame: Frame
    taken: int = 0

    def open(self) -> None:
        """Nothing to open."""

    def capture(self, shot: Shot) -> Frame:
        """Return the picture."""
        self.taken += 1
        state = msgspec.structs.replace(self.frame.state, backend="replay", source=str(self.taken))
        at_s = shot.triggered_at_s
        return replace(self.frame, triggered_at_s=at_s, exposed_at_s=at_s, state=state)

    def flush(self) -> None:
        """Nothing is queued."""

    def close(self) -> None:
        """Nothing to close."""

    def describe(self) -> dict[str, Scalar]:
        """Return the backend."""
        return {"backend": "replay"}


def main(bundle: str, key: str, mobilenet: str) -> None:
    """Print {"times": {name: ms}, "rest": ms, ...}; times has mobilenet and whole."""
    model = load_model(read_bundle(Path(bundle), [Path(key).read_bytes()]))
    frame = walking_mouse()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name, ExitStack() as stack:
        config = settings(Path(name) / "stages", bundle, key)
        outbox = opened(config, stack)
        process = capture_process(config, frame, outbox)
        jobs = stages(frame, model, config, outbox) | {
            "mobilenet": invocation(mobilenet),
            "whole": lambda: process.finish_slot(process.take_slot()),
        }
        jobs |= larger_captures(Path(name), Path(bundle), Path(key), stack)
        taken = process.take_slot()
        process.finish_slot(taken)
        times = measure(jobs)
    # The same round's invocations are taken off the same round's capture.
    found_animals = len(taken.reading.animals)
    looks = looks_at_parts(frame, model)
    bare = times["invoke centres"] + looks * times["invoke parts"] + found_animals * times["invoke age"]
    shapes = {name: getattr(model.manifest, name).input.shape for name in NETWORKS}
    print(
        json.dumps(
            {
                "times": {name: statistics.median(values) for name, values in times.items()},
                "rest": statistics.median(times["whole"] - bare),
                "invocations": statistics.median(bare),
                "outcome": taken.reading.outcome.value,
                "animals": found_animals,
                "bundle": model.manifest.name,
                "shapes": shapes,
            }
        )
    )


def looks_at_parts(frame: Frame, model: LoadedModel) -> int:
    """Return how often the second stage runs on the picture: once an animal, twice where one is doubtful.

    A capture of one mouse asks for one animal more, as here.
    """
    taken: list[int] = []

    class Counted:
        def run(self, pixels: Any) -> Any:
            taken.append(1)
            return model.parts.run(pixels)

    find_animals(frame, replace(model, parts=Counted()), 2)  # type: ignore[arg-type]
    return len(taken)


def opened(config: tree.Config, stack: ExitStack) -> Outbox:
    """Return the outbox of a new state directory; the stack closes it."""
    folder = Path(config.state_dir)
    folder.mkdir()
    outbox = Outbox.open(folder, config.outbox, device_id=config.device_id, serial="bench")
    stack.callback(outbox.close)
    return outbox


def larger_captures(folder: Path, bundle: Path, key: Path, stack: ExitStack) -> dict[str, Callable[[], Any]]:
    """Return a whole capture at each larger size, by each preprocessing, as calls."""
    private, public = new_key_pair()
    newest, new_key = folder / "newest.bundle", folder / "newest.pub"
    source = read_bundle(bundle, [key.read_bytes()])
    manifest = msgspec.structs.replace(source.manifest, preprocess_version=PREPROCESS_VERSION)
    write_bundle(newest, manifest, dict(source.files), private)
    new_key.write_bytes(public)
    jobs: dict[str, Callable[[], Any]] = {}
    for width, height in LARGER:
        frame = walking_mouse(width, height)
        for version, path, trusted in (
            (source.manifest.preprocess_version, bundle, key),
            (PREPROCESS_VERSION, newest, new_key),
        ):
            name = f"whole {width}x{height}, preprocessing {version}"
            config = settings(folder / f"{width}-{version}", str(path), str(trusted), frame)
            process = capture_process(config, frame, opened(config, stack))
            jobs[name] = partial(_take, process)
    return jobs


def _take(process: CaptureProcess) -> None:
    process.finish_slot(process.take_slot())


def walking_mouse(width: int = WIDTH, height: int = HEIGHT) -> Frame:
    """Return one simulated mouse in the open, walking, in white light; demo and tiny bundle find only it."""
    animals = create_population(7, 1, born_from=date(2025, 1, 1), born_until=date(2025, 2, 1))
    px_per_mm = PX_PER_MM * width / WIDTH
    setup = CageSetup.from_seed(11, width_px=width, height_px=height, px_per_mm=px_per_mm)
    placement = Placement("walking", position_mm=(120.0, 90.0), heading_rad=0.5)
    seen = SimulatedCage("bench", animals, setup).photograph(
        at=BEGINS_AT, light="white", zeitgeber_h=11.0, seed=1, activity=Activity((placement,))
    )
    state = CameraState(backend="simulated", model="simulated cage", width=width, height=height)
    return Frame(seen.image, 0.0, 0.0, state, px_per_mm)


def settings(folder: Path, bundle: str, key: str, frame: Frame | None = None) -> tree.Config:
    """Return a device's settings with the defaults of everything but the camera's size."""
    width, height = (WIDTH, HEIGHT) if frame is None else (frame.state.width, frame.state.height)
    return tree.Config(
        device_id="bench",
        state_dir=str(folder),
        cage=tree.Cage(id="bench", subject="BENCH1", strain="C57BL/6J"),
        camera=tree.Camera(backend="replay", width=width, height=height, px_per_mm=PX_PER_MM * width / WIDTH),
        bundle=tree.Bundle(path=bundle, trusted_keys=(key,)),
    )


def capture_process(config: tree.Config, frame: Frame, outbox: Outbox) -> CaptureProcess:
    """Return the real capture process with its picture ready."""
    clock = SteppedClock(BEGINS_AT)
    return CaptureProcess(
        config=config,
        config_sha256="0" * 64,
        clock=clock,
        camera=ReadyCamera(frame),
        outbox=outbox,
        plan=make_plan(config.schedule, config.light_cycle, config.device_id),
        recovery=RecoveryState(),
        clock_watch=ClockWatch(clock.boot_id, None),
        tally=Tally(),
        events=EventWriter(outbox, clock, config.device_id),
    )


def stages(frame: Frame, model: LoadedModel, config: tree.Config, outbox: Outbox) -> dict[str, Callable[[], Any]]:
    """Return each stage of one capture as a call, on what the stages before it really gave."""
    manifest, limits = model.manifest, config.quality
    views = frame.views(manifest.preprocess_version)
    small = small_view(views, config.camera.small_width)
    reference = reference_view(small)
    whole_view = centres_input(small, manifest.centres)
    centre_logits = model.centres.run(whole_view)
    centre = (WIDTH / 2, HEIGHT / 2)
    crop = parts_input(views, centre, PX_PER_MM, manifest.parts)
    part_logits = model.parts.run(crop.pixels)
    snout, tail_base = (centre[0] + 100.0, centre[1] + 50.0), (centre[0] - 100.0, centre[1] - 50.0)
    aligned = age_input(views, snout, tail_base, PX_PER_MM, manifest.age)
    embedding = model.age.run(aligned.pixels)
    thumbnail = config.thumbnail
    room = thumbnail.max_kb * 1024 - EXIF_BYTES

    def encode_thumbnail() -> bytes:
        return image.encode_jpeg(
            frame.views().colours(), width=thumbnail.width, quality=thumbnail.jpeg_quality, max_bytes=room
        )

    jpeg = encode_thumbnail()
    slot = begin_slot(SteppedClock(BEGINS_AT), config.light_cycle)
    seen = observe([frame], model, ObserveSettings.of(config.cage, limits))
    result = Result(seen.outcome, "", (frame,), seen.quality, seen, model.describe())
    composer = Composer(config, "0" * 64)
    ready = iter([composer.compose(slot, result, outbox.epoch, seq) for seq in range(1, ROUNDS + WARM_UP + 1)])
    bare = Composer(without_pictures(config), "0" * 64)

    def compose_and_encode() -> bytes:
        return jsontext.encode(bare.compose(slot, result, "0" * 16, 1)[0])

    def append() -> StoredReading:
        made: tuple[Reading, bytes | None] = next(ready)
        return outbox.append_reading(lambda _epoch, _seq: made)

    return {
        "grey and small view": lambda: small_view(views_of(frame.main), config.camera.small_width),
        "quality gate with reference": lambda: judge_quality(measure_quality(small, limits, reference), limits),
        "centres input": lambda: centres_input(small, manifest.centres),
        "invoke centres": lambda: model.centres.run_raw(whole_view),
        "decode centres": lambda: decode_centres(centre_logits, manifest.centres, 2),
        "parts input": lambda: parts_input(views, centre, PX_PER_MM, manifest.parts),
        "invoke parts": lambda: model.parts.run_raw(crop.pixels),
        "decode parts": lambda: decode_parts(part_logits, manifest.parts, crop),
        "age input": lambda: age_input(views, snout, tail_base, PX_PER_MM, manifest.age),
        "invoke age": lambda: model.age.run_raw(aligned.pixels),
        "estimate": lambda: estimate_age(embedding, model),
        "thumbnail JPEG": encode_thumbnail,
        "EXIF identity": lambda: image.with_identity(
            jpeg, device_id="bench", epoch=outbox.epoch, seq=1, captured_at=BEGINS_AT
        ),
        "compose and encode reading": compose_and_encode,
        "outbox append": append,
    }


def without_pictures(config: tree.Config) -> tree.Config:
    """Return the settings without pictures, so that composing is timed without them."""
    return msgspec.structs.replace(config, thumbnail=tree.Thumbnail(enabled=False))


def invocation(path: str) -> Callable[[], None]:
    """Return one bare invocation of an int8 network of random weights."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    pixels = np.random.default_rng(1).integers(-128, 128, details["shape"]).astype(np.int8)

    def invoke() -> None:
        interpreter.set_tensor(details["index"], pixels)
        interpreter.invoke()

    return invoke


def measure(jobs: dict[str, Callable[[], Any]]) -> dict[str, np.ndarray]:
    """Return the CPU milliseconds of each job in each round."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(WARM_UP + ROUNDS):
        for name, job in jobs.items():
            begin = time.process_time()
            job()
            if number >= WARM_UP:
                times[name].append((time.process_time() - begin) * 1000)
    return {name: np.array(values) for name, values in times.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
