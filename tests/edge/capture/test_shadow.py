"""A candidate in the shadow: it answers beside the active model, and whatever it does costs that one nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from edge.bundle.canary import Verdict
from edge.bundle.inbox import Inbox
from edge.bundle.install import Installer
from edge.bundle.shadow import read_shadow_state
from edge.bundle.slots import SHADOW
from edge.capture.archive import Archive
from edge.capture.candidate import ANSWER_S
from edge.capture.frame_observer import FrameObserver
from edge.capture.model import ModelSource
from edge.capture.problem import Problem
from edge.capture.reading import Composer, Result
from edge.capture.reference import Reference
from edge.capture.shadow import MOST_FAILURES, ShadowRun
from edge.capture.slot import Slot, begin_slot
from edge.config.load import load_config
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle
from edge.contract.reading import Outcome, Reading, Shadow
from edge.timing.clock import SteppedClock
from edge.vision.frame import Frame
from tests.edge.bundle.device import Device
from tests.harness.leaks import Held
from tests.harness.waiting import wait_until

MakeFrame = Callable[..., Frame]
SAY = """
import os, sys, time, json
def put(b):
    os.write(1, len(b).to_bytes(8, 'big') + b)
def say(o):
    put(json.dumps(o).encode())
"""
READY = SAY + "say({})\n"
LOADING = "import os\nwhile os.read(0, 1 << 20): pass\n"


class Cage:
    """A device with an active bundle and a candidate; every look is a capture, a minute after the one before."""

    def __init__(self, folder: Path, bundle: Bundle, hours: str = "1") -> None:
        self.device = Device(folder, bundle)
        self.config = load_config(self.device.settings)
        self.state = self.device.state
        self.now_s = 0.0
        self.give(self.device.make(1, "first"), "first.bundle")
        self.give(self.device.make(2, "second", model_version="2"), f"second.shadow-{hours}h.bundle")
        assert self.device.slots.target(SHADOW) is not None
        self.shadow: ShadowRun | None = None
        self.source = ModelSource(self.config, lambda: self.now_s)

    def give(self, path: Path, name: str) -> None:
        (self.state / "inbox" / name).write_bytes(path.read_bytes())
        Inbox(
            lambda: self.config, lambda config: Installer(config, lambda _path, _keys: Verdict(problems=())), limit_s=20
        ).run()

    def begin(self, program: str | None = None, answer_s: float = 30.0) -> ShadowRun:
        command = () if program is None else (sys.executable, "-I", "-c", program)
        self.shadow = ShadowRun(self.config, lambda: self.now_s, command=command, answer_s=answer_s)
        return self.shadow

    def capture(self, frame: Frame) -> Result:
        assert self.shadow is not None
        folder = self.state
        archive = Archive(folder, self.config.archive)
        observer = FrameObserver(self.config, self.source, Reference(folder), archive, Problem(), self.shadow)
        self.now_s += 60.0
        return observer.observe(self.slot(), (frame,), 1.0)

    def slot(self) -> Slot:
        return begin_slot(SteppedClock(datetime(2026, 1, 1, 9, tzinfo=UTC)), self.config.light_cycle)

    def answered(self, frame: Frame) -> Shadow:
        """Capture until the candidate has been loaded and answers."""
        found: list[Shadow] = []

        def look() -> bool:
            said = self.capture(frame).shadow
            if said is not None:
                found.append(said)
            return bool(found)

        wait_until(look)
        return found[0]


@pytest.fixture
def cage(tmp_path: Path, tiny_bundle: Bundle) -> Iterator[Cage]:
    made = Cage(tmp_path, tiny_bundle)
    yield made
    if made.shadow is not None:
        made.shadow.close()


def test_the_candidate_sees_the_same_frames_as_the_active_model(cage: Cage, blob_frame: MakeFrame) -> None:
    frame = blob_frame((300, 200))
    cage.begin()
    said = cage.answered(frame)
    result = cage.capture(frame)
    assert said.outcome is Outcome.OK
    assert (said.model_version, said.release, said.fault) == ("2", 2, "")
    assert result.observation is not None
    assert result.model is not None
    assert result.model.release == 1
    (mine,) = result.observation.animals
    (its,) = said.animals
    assert mine.estimate is not None
    assert (its.box, its.accepted, its.estimate_days) == (mine.box, mine.accepted, mine.estimate.age_days)
    assert its.domain_score == mine.estimate.domain_score


def test_what_it_says_travels_in_a_field_of_its_own(cage: Cage, blob_frame: MakeFrame) -> None:
    cage.begin()
    said = cage.answered(blob_frame((300, 200)))
    result = cage.capture(blob_frame((300, 200)))
    composer = Composer(cage.config, "0" * 64)
    reading, _ = composer.compose(cage.slot(), result, "a" * 32, 1)
    assert isinstance(reading.shadow, Shadow)
    assert reading.shadow.sha256 == said.sha256
    alone, _ = composer.compose(cage.slot(), replace(result, shadow=None), "a" * 32, 1)
    body = jsontext.encode(alone)
    assert b"shadow" not in body  # a station of an earlier version reads on
    assert jsontext.decode(body, Reading).age_days == reading.age_days


def test_it_runs_for_its_hours_of_work_and_no_longer(cage: Cage, blob_frame: MakeFrame) -> None:
    frame = blob_frame((300, 200))
    cage.begin()
    cage.answered(frame)
    for _ in range(70):
        cage.capture(frame)
    state = read_shadow_state(cage.state)
    assert 60 <= state.minutes < 62
    assert state.fault == ""
    assert cage.capture(frame).shadow is None
    # A new process does not begin anew; a new order does.
    cage.begin()
    assert cage.capture(frame).shadow is None
    cage.give(cage.device.make(3, "third", model_version="3"), "third.shadow-1h.bundle")
    assert cage.answered(frame).release == 3
    assert read_shadow_state(cage.state).captures == 1


def test_a_run_goes_on_over_a_restart(cage: Cage, blob_frame: MakeFrame) -> None:
    cage.begin()
    cage.answered(blob_frame((300, 200)))
    cage.capture(blob_frame((300, 200)))
    assert cage.shadow is not None
    cage.shadow.close()
    before = read_shadow_state(cage.state)
    cage.begin()
    cage.answered(blob_frame((300, 200)))
    assert read_shadow_state(cage.state).captures == before.captures + 1


PROGRAMS = {
    "ends at once": "pass",
    "crashes when asked": READY + "os.read(0, 1); os.kill(os.getpid(), 11)",
    "says it cannot be loaded": SAY + "say({'fault': 'no such operator'})",
    "answers NaN": READY + "os.read(0, 100); say({'outcome': 'ok', 'took_ms': float('nan')}); time.sleep(60)",
    "answers something else": READY + "os.read(0, 100); say({'outcome': 'rich'}); time.sleep(60)",
    "answers without end": READY + "os.read(0, 100); os.write(1, b'\\x7f' * 8); time.sleep(60)",
    "writes noise": "import os\nwhile True: os.write(1, b'x' * 1000)",
    "eats memory": READY
    + "x = b'x' * (900 << 20)\nwhile os.read(0, 1 << 20):\n    say({'outcome': 'ok'})\n    time.sleep(60)",
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_a_candidate_that_misbehaves_costs_the_reading_nothing_and_is_given_up(
    what: str, cage: Cage, blob_frame: MakeFrame
) -> None:
    frame = blob_frame((300, 200))
    cage.begin(PROGRAMS[what], answer_s=1.0)

    def given_up() -> bool:
        result = cage.capture(frame)
        assert result.outcome is Outcome.OK
        assert result.observation is not None
        return read_shadow_state(cage.state).fault != ""

    wait_until(given_up)
    state = read_shadow_state(cage.state)
    assert state.failures == MOST_FAILURES
    assert cage.capture(frame).shadow is None


def test_a_candidate_that_hangs_delays_a_reading_by_a_bounded_time(cage: Cage, blob_frame: MakeFrame) -> None:
    frame = blob_frame((300, 200))
    cage.begin(READY + "time.sleep(600)", answer_s=1.0)
    longest_s = 0.0
    while not read_shadow_state(cage.state).fault:
        begin_s = time.monotonic()
        assert cage.capture(frame).outcome is Outcome.OK
        longest_s = max(longest_s, time.monotonic() - begin_s)
    assert 0.9 < longest_s < 30
    assert ANSWER_S <= 5.0


def test_a_candidate_that_is_not_signed_is_not_run(cage: Cage, blob_frame: MakeFrame) -> None:
    slot = cage.device.slots.target(SHADOW)
    assert slot is not None
    content = bytearray(slot.read_bytes())
    content[len(content) // 2] ^= 1
    slot.chmod(0o640)
    slot.write_bytes(content)
    cage.begin()
    for _ in range(MOST_FAILURES + 1):
        assert cage.capture(blob_frame((300, 200))).outcome is Outcome.OK
    assert "sha256" in read_shadow_state(cage.state).fault


def test_starts_that_end_the_process_end_the_shadow_run(cage: Cage, blob_frame: MakeFrame) -> None:
    """Memory that is short for two models ends capture; the shadow run must not do that for ever."""
    before = Held.now()
    for program in (LOADING, LOADING, None):
        child = os.fork()
        if child == 0:
            try:
                cage.begin(program)
                cage.capture(blob_frame((300, 200)))
            finally:
                os._exit(0)  # whatever happens: a fork that raises would run the rest of the tests once more
        os.waitpid(child, 0)
    cage.begin()
    assert "capture ended while the candidate was loaded" in read_shadow_state(cage.state).fault
    # The real candidate ends by itself without its capture, but only once it has loaded: on a busy machine that takes
    # longer than a test's leftovers are waited for.
    wait_until(lambda: before.left_by(Held.now()) == [])


def test_both_models_are_resident_in_a_shadow_run_only(cage: Cage, blob_frame: MakeFrame) -> None:
    run = cage.begin()
    cage.answered(blob_frame((300, 200)))
    assert run._candidate is not None
    child = run._candidate._child
    (cage.state / "bundles" / SHADOW).unlink()
    assert cage.capture(blob_frame((300, 200))).shadow is None
    assert run._candidate is None
    assert child.poll() is not None


def test_a_candidates_answer_that_no_reading_can_hold_is_left_out(cage: Cage, blob_frame: MakeFrame) -> None:
    cage.begin()
    said = cage.answered(blob_frame((300, 200)))
    result = cage.capture(blob_frame((300, 200)))
    wrong = replace(result, shadow=msgspec.structs.replace(said, took_ms=float("nan")))
    reading, jpeg = Composer(cage.config, "0" * 64).compose(cage.slot(), wrong, "a" * 32, 1)
    assert reading.outcome is Outcome.OK
    assert reading.animals
    assert jpeg is not None
    assert reading.shadow is msgspec.UNSET
    assert "no shadow" in reading.detail
