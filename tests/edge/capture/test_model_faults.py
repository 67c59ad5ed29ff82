"""A model that answers what no reading can hold is a fault in the record and a bad end of its trial, never GOOD."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from edge.bundle.trial import BAD_ENDS
from edge.capture.archive import Archive
from edge.capture.frame_observer import FrameObserver
from edge.capture.model import ModelSource
from edge.capture.problem import Problem
from edge.capture.reading import recordable
from edge.capture.reference import Reference
from edge.capture.shadow import ShadowRun
from edge.capture.slot import begin_slot
from edge.config.load import load_config
from edge.config.tree import Quality as Limits
from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import GOLDEN_OUTPUTS
from edge.contract.reading import CameraState, Outcome, Quality
from edge.errors import EXIT_PASSED_OVER, BundleError, MessageError
from edge.timing.clock import SteppedClock
from edge.vision.frame import Frame
from edge.vision.model.loaded import LoadedModel
from edge.vision.observe import ObserveSettings, check_recordable, observe
from edge.vision.quality import measure_quality, reference_view, shift_against
from tests.edge.bundle.device import Device, golden_of_another
from tests.edge.capture.running import outcomes, records, run, write_settings

CAGE = ObserveSettings(Limits(), 1, "m1", "C57BL/6J")
EMPTY = replace(CAGE, limits=Limits(min_contrast=1.0))
TRIAL = ", trial_captures: 2, trial_minutes: 0"


def overflowing(model: LoadedModel) -> LoadedModel:
    """Return the model with a head whose sums overflow: what no canary lets pass any more."""
    return replace(model, head_weights=np.full_like(model.head_weights, 3e38))


class Drifted:
    """A network that answers rightly for a while, and then the opposite: memory, or a kernel, gone bad."""

    def __init__(self, network, good: int) -> None:
        self._network, self._good = network, good

    @property
    def invoked_ms(self) -> float:
        return self._network.invoked_ms

    def run_raw(self, pixels):
        self._good -= 1
        right = self._network.run_raw(pixels)
        return right if self._good >= 0 else -1 - right

    def run(self, pixels):
        return self._network.run(pixels)


def test_an_answer_that_is_not_finite_cannot_be_recorded(tiny_model: LoadedModel, blob_frame) -> None:
    check_recordable(observe([blob_frame((300, 200))], tiny_model, CAGE))
    with np.errstate(all="ignore"):
        seen = observe([blob_frame((300, 200))], overflowing(tiny_model), CAGE)
    with pytest.raises(BundleError, match="the model's answer cannot be recorded: Animal: expected finite numbers"):
        check_recordable(seen)


@pytest.fixture
def source(tmp_path: Path, tiny_bundle: Bundle) -> ModelSource:
    """A device on which the bundle has just been installed, and taken up on trial."""
    device = Device(tmp_path, tiny_bundle, TRIAL)
    assert device.install(device.make(1)) == 0
    found = ModelSource(load_config(device.settings), lambda: 0.0)
    assert found.get() is not None
    return found


def test_an_empty_cage_alone_never_makes_a_model_good(source: ModelSource, blob_frame) -> None:
    """Its locator runs and finds nothing; the age model is tried on golden inputs and fails at the second."""
    model = source.get()
    source._model = replace(model, age=Drifted(model.age, good=1))
    frame = [blob_frame()]
    with source.at_work():
        assert observe(frame, source.get(), EMPTY).outcome is Outcome.NO_MOUSE
    assert source.trial.state.of(model.sha256).captures == 1
    with pytest.raises(BundleError, match="failed its trial on this device: age: golden input 0"), source.at_work():
        observe(frame, source.get(), EMPTY)
    assert model.sha256 not in source.trial.state.good
    assert source.trial.state.reason(model.sha256) is not None
    assert source.get() is None, "it does not run again"


def test_an_empty_cage_and_golden_outputs_met_each_time_make_a_model_good(source: ModelSource, blob_frame) -> None:
    for _ in range(2):
        with source.at_work():
            observe([blob_frame()], source.get(), EMPTY)
    assert source.get().sha256 in source.trial.state.good


def test_a_picture_that_the_gate_refuses_counts_for_nothing(source: ModelSource, blob_frame) -> None:
    frame = blob_frame()
    for _ in range(4):
        with source.at_work():
            observe([replace(frame, main=frame.main * 0)], source.get(), CAGE)
    assert source.trial.state.of(source.get().sha256).captures == 0


def test_answers_that_cannot_be_recorded_condemn_a_model(source: ModelSource, blob_frame) -> None:
    sha256 = source.get().sha256
    source._model = overflowing(source.get())
    for _ in range(BAD_ENDS):
        with np.errstate(all="ignore"), pytest.raises(BundleError), source.at_work():
            check_recordable(observe([blob_frame((300, 200))], source.get(), CAGE))
    assert "cannot be recorded" in source.trial.state.reason(sha256)


def test_an_answer_that_cannot_be_recorded_is_a_model_fault_of_its_slot(source: ModelSource, blob_frame) -> None:
    config = load_config(source._state_dir.parent / "device.yaml")
    folder = source._state_dir
    archive, shadow = Archive(folder, config.archive), ShadowRun(config, lambda: 0.0)
    observer = FrameObserver(config, source, Reference(folder), archive, Problem(), shadow)
    slot = begin_slot(SteppedClock(datetime(2024, 1, 1, 9, tzinfo=UTC)), config.light_cycle)
    sha256 = source.get().sha256
    source._model = overflowing(source.get())
    with np.errstate(all="ignore"):
        result = observer.observe(slot, (blob_frame((300, 200)),), 1.0)
    assert (result.outcome, result.observation) == (Outcome.MODEL_FAULT, None)
    assert "cannot be recorded: Animal: expected finite numbers" in result.detail
    assert (source.trial.state.of(sha256).captures, source.trial.state.of(sha256).bad_ends) == (0, 1)


def test_a_bundle_of_impossible_numbers_is_a_model_fault_in_each_slot(tmp_path: Path, tiny_bundle: Bundle) -> None:
    """Where the settings name it, no canary stands before it."""
    device = Device(tmp_path, tiny_bundle)
    age = tiny_bundle.manifest.age
    path = device.make(1, age=msgspec.structs.replace(age, head_weights=((1e300,) * 16,) * 8))
    path.with_suffix(".pub").write_bytes((tmp_path / "lab.pub").read_bytes())
    settings = write_settings(tmp_path, bundle=path)
    code, output = run(settings, "--stepped", "--captures", "3")
    assert code == 3
    assert outcomes(settings) == ["model_fault"] * 3
    detail = records(settings, "reading")[0]["detail"]
    assert "age.head_weights[0][0]: expected at least -1e+06 and at most 1e+06, got 1e+300" in detail
    assert output.count("model_fault") == 1


def test_wrong_golden_outputs_end_the_trial_at_once(tmp_path: Path, tiny_bundle: Bundle) -> None:
    device = Device(tmp_path, tiny_bundle, TRIAL)
    assert device.install(device.make(1)) == 0
    slot = next((device.state / "bundles/slots").iterdir())
    slot.chmod(0o644)
    slot.write_bytes(device.make(1, files={GOLDEN_OUTPUTS: golden_of_another(tiny_bundle)}).read_bytes())
    code, _ = run(device.settings, "--stepped", "--captures", "2")
    assert code == 3
    assert outcomes(device.settings) == ["model_fault"] * 2


SIZES = [(900, 5), (2, 900), (1, 1), (31, 400), (1, 70_000)]


def noise(width: int, height: int) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_pictures_of_impossible_sizes_are_faults_in_words_and_the_next_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, (width, height) in enumerate([*SIZES, (320, 240)]):
        (folder / f"{number}.png").write_bytes(noise(width, height))
    settings = write_settings(tmp_path)
    camera = f"camera: {{backend: replay, px_per_mm: 4, replay: {{path: {folder}}}}}\n"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("camera:")]
    settings.write_text("\n".join(lines) + "\n" + camera)
    code, output = run(settings, "--stepped", "--captures", str(len(SIZES) + 1))
    assert code == EXIT_PASSED_OVER
    found = records(settings, "reading")
    assert [one["outcome"] for one in found[:-1]] == ["camera_fault"] * len(SIZES)
    assert found[-1]["outcome"] in ("ok", "no_mouse")
    for number, (one, (width, height)) in enumerate(zip(found, SIZES, strict=False)):
        assert one["detail"] == f"{number}.png: expected at least 32 x 32 pixels, got {width} x {height}"
    assert "Warning" not in output


@pytest.mark.parametrize(("width", "height"), [*SIZES[:4], (3, 3), (64, 2), (40, 40)])
def test_the_quality_of_any_size_is_numbers(width: int, height: int) -> None:
    small = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    with np.errstate(all="raise"):
        found = recordable(measure_quality(small, Limits(), reference_view(small)))
    assert found.sharpness >= 0
    assert shift_against(np.zeros_like(small), reference_view(small)) is None


def test_what_a_record_cannot_hold_is_named() -> None:
    wrong = Quality(mean_grey=float("nan"), dark_fraction=0, saturated_fraction=0, sharpness=0, contrast=0)
    with pytest.raises(MessageError, match="expected finite numbers"):
        recordable(wrong)
    with pytest.raises(MessageError, match="Quality: dark_fraction: expected at least 0 and at most 1, got 2"):
        recordable(msgspec.structs.replace(wrong, mean_grey=1.0, dark_fraction=2))
    with pytest.raises(MessageError, match="expected at most 240000 bytes"):
        recordable(CameraState(backend="x" * 250_000, model="", width=1, height=1))


def test_a_small_picture_is_seen_as_such_by_observe(tiny_model: LoadedModel) -> None:
    main = np.zeros((20, 300, 3), np.uint8)
    state = CameraState(backend="drawn", model="drawn", width=300, height=20)
    seen = observe([Frame(main, 0.0, 0.0, state, 2.0, small_width=300)], tiny_model, CAGE)
    assert (seen.outcome, seen.quality) == (Outcome.CAMERA_FAULT, None)
