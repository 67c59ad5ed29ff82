"""The capture process with a model: measured animals, archived crops, memory, time to the first reading."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.vision.image import write_image
from edge.vision.model.runtime import runtime_name
from tests.edge.capture.running import ROOT, events, outcomes, records, run, start, write_settings
from tests.harness.waiting import wait_until

TINY = ROOT / "tests" / "data" / "tiny.bundle"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Six pictures of one dark animal at 640x480, as the tiny bundle's locator finds it, shown over and over."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:480, :640]
    texture = rng.integers(150, 220, (24, 32)).repeat(20, 0).repeat(20, 1)
    for number in range(6):
        animal = ((x - 300 - 8 * number) / 110) ** 2 + ((y - 240) / 36) ** 2 < 1
        grey = np.where(animal, 30, texture) + rng.integers(-8, 9, (480, 640))
        write_image(folder / f"{number}.png", np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))
    path = write_settings(tmp_path, bundle=TINY, more="archive: {enabled: true}\n")
    text = path.read_text().replace("backend: simulated", f"backend: replay, replay: {{path: {folder}, loop: true}}")
    path.write_text(text.replace("width: 320, height: 240", "width: 640, height: 480").replace("1.333", "2.667"))
    return path


def test_an_animal_is_measured_and_its_exact_crop_is_kept(settings: Path) -> None:
    code, _ = run(settings, "--stepped", "--captures", "4")
    assert code == 0
    readings = records(settings, "reading")
    assert [reading["outcome"] for reading in readings] == ["ok"] * 4
    for reading in readings:
        assert reading["model"]["notice"] == "test model; no meaning"
        (animal,) = reading["animals"]
        assert animal["subject"] == "M1"
        assert animal["estimate"]["distribution"]
        (digest,) = animal["crop_sha256"]
        assert (settings.parent / "state" / "archive" / f"{digest}.png").is_file()


def test_a_burst_is_one_reading(settings: Path) -> None:
    settings.write_text(settings.read_text() + "schedule: {burst_frames: 3}\n")
    run(settings, "--stepped", "--captures", "2")
    readings = records(settings, "reading")
    assert [reading["frames"] for reading in readings] == [3, 3]
    for reading in readings:  # every crop that went into the estimate, so that it can be made again
        (animal,) = reading["animals"]
        assert len(animal["crop_sha256"]) == (3 if animal["accepted"] else 1)


def test_a_window_asks_again_until_a_reading_is_usable(settings: Path) -> None:
    """No reading here is usable, so the window keeps its short interval, and the rest of the day its long one."""
    window = "windows: [{from_h: 1, until_h: 2, usable_readings: 1, interval_s: 600}]"
    settings.write_text(
        settings.read_text().replace("2.667", "1.5")  # below what the bundle's validity allows a usable reading
        + f"schedule: {{interval_light_s: 3600, interval_dark_s: 3600, phase_offset_s: 0, {window}}}\n"
        + "quality: {min_contrast: 200}\n"
    )
    run(settings, "--stepped", "--stepped-from", "2024-01-01T07:00:00+00:00", "--captures", "9")
    times = [reading["zeitgeber_h"] for reading in records(settings, "reading")]
    assert times == pytest.approx([0, 1, 7 / 6, 8 / 6, 9 / 6, 10 / 6, 11 / 6, 2, 3], abs=1e-3)


def test_a_filled_window_stays_filled_over_a_restart(settings: Path) -> None:
    """Two usable readings fill it; the next process of that day keeps the long interval, the next day begins anew."""
    window = "windows: [{from_h: 1, until_h: 2, usable_readings: 2, interval_s: 600}]"
    settings.write_text(
        settings.read_text()
        + f"schedule: {{interval_light_s: 3600, interval_dark_s: 3600, phase_offset_s: 0, {window}}}\n"
    )
    run(settings, "--stepped", "--stepped-from", "2024-01-01T08:00:00+00:00", "--captures", "3")
    run(settings, "--stepped", "--stepped-from", "2024-01-01T08:20:00+00:00", "--captures", "2")
    run(settings, "--stepped", "--stepped-from", "2024-01-02T08:00:00+00:00", "--captures", "2")
    readings = records(settings, "reading")
    assert [reading["accepted"] for reading in readings] == [True] * 7
    hours = [reading["zeitgeber_h"] for reading in readings]
    assert hours == pytest.approx([1, 7 / 6, 2, 4 / 3, 7 / 3, 1, 7 / 6], abs=1e-3)


def test_a_model_put_in_place_of_a_missing_one_is_taken_up(settings: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.bundle"
    shutil.copy(TINY.with_suffix(".pub"), late.with_suffix(".pub"))
    text = re.sub(r"bundle: \{path: [^,]+", f"bundle: {{path: {late}", settings.read_text())
    settings.write_text(text + "schedule: {interval_light_s: 1, interval_dark_s: 1}\n")
    process = start(settings)
    try:
        _wait(settings, "model_fault")
        shutil.copy(TINY, late)
        _wait(settings, "ok")
    finally:
        process.stop()
    assert "model_refused" in events(settings)


def test_memory_stays_below_the_devices_share(settings: Path) -> None:
    """The limit is the whole process on x86-64, with the model loaded and pictures of 640x480."""
    settings.write_text(settings.read_text() + "schedule: {interval_light_s: 1, interval_dark_s: 1}\n")
    process = start(settings)
    try:
        _wait(settings, "ok", count=4)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.stop()
    peak_mb = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1000  # type: ignore[index]
    print(f"peak resident memory of capture: {peak_mb:.0f} MB")
    assert peak_mb < 110


def test_the_first_reading_with_a_model_is_durable_after_little_work(settings: Path) -> None:
    run(settings, "--once")  # the interpreter's own files are in the cache, as on a device
    least_s = 99.0
    for _ in range(3):
        shutil.rmtree(settings.parent / "state")  # otherwise the slot of this boot has been taken
        process = start(settings)
        _wait(settings, "ok")
        least_s = min(least_s, process.cpu_s())
        process.stop()
    print(f"first durable reading after {least_s:.2f} s of CPU")
    assert least_s < 1.5


def _wait(settings: Path, outcome: str, count: int = 1) -> None:
    wait_until(lambda: outcomes(settings).count(outcome) >= count)


def test_the_log_says_which_model_runs_on_which_runtime(settings: Path) -> None:
    process = start(settings, "--stepped", "--captures", "2")
    process.ended()
    lines = [line for line in process.log().splitlines() if line.startswith("cageclock: model ")]
    assert lines == [f"cageclock: model tiny 1, release 1, on {runtime_name()}"]
