"""The candidate's process: loads one bundle, and answers each burst of frames with what it sees in them.

It runs as the canary does (isolated, without network, devices and writing), because a model is a program; it may crash,
hang or eat memory, and capture goes on without it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from pathlib import Path

from edge.bundle.sandbox import isolate
from edge.contract import jsontext
from edge.contract.base import Struct
from edge.contract.reading import Outcome, ShadowAnimal

_ADDRESS_SPACE = 4 << 30
_END_KEY = "-----END PUBLIC KEY-----"
MAIN = """
from edge.capture.shadow_child import main
sys.exit(main())
"""


class Answer(Struct, frozen=True, kw_only=True):
    """Ready, with `outcome` None; or what a burst showed. fault: why there is no answer."""

    outcome: Outcome | None = None
    fault: str = ""
    animals: tuple[ShadowAnimal, ...] = ()
    took_ms: float = 0.0


def main() -> int:
    """Run as the child: keys (PEM) in a message of bytes, the settings, and then a burst after the other."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory is short, this process goes first
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(OSError):
        os.nice(5)
    isolate()
    from edge.capture.shadow_wire import Late

    try:
        _serve(Path(sys.argv[1]))
    except (Late, BrokenPipeError):
        return 0
    return 0


def _serve(path: Path) -> None:
    from edge.capture.shadow_wire import Ask, Begin, encode, frames_of, read_message
    from edge.contract.bundle.bundle import read_bundle
    from edge.errors import describe_error
    from edge.vision.model.loaded import load_model
    from edge.vision.observe import ObserveSettings, check_recordable, observe

    source, target = sys.stdin.fileno(), sys.stdout.fileno()

    def say(answer: Answer) -> None:
        content = encode(answer)
        while content:
            content = content[os.write(target, content) :]

    begin = jsontext.decode(read_message(source, None), Begin)
    text = read_message(source, None).decode("ascii")
    keys = [f"{part.strip()}\n{_END_KEY}\n".encode() for part in text.split(_END_KEY) if part.strip()]
    try:
        model = load_model(read_bundle(path, keys), begin.threads)
    except Exception as error:  # noqa: BLE001 - whatever a bundle makes our code or the runtime raise is its fault
        say(Answer(fault=describe_error(error)))
        return
    settings = ObserveSettings(begin.limits, begin.expected_animals, begin.subject, begin.strain, begin.nest_box)
    say(Answer())
    while True:
        ask = jsontext.decode(read_message(source, None), Ask)
        frames = frames_of(ask, source)
        begin_s = time.perf_counter()
        try:
            seen = observe(frames, model, settings, None, ask.light)
            check_recordable(seen)
            took_ms = (time.perf_counter() - begin_s) * 1000
            say(Answer(outcome=seen.outcome, animals=tuple(map(_of, seen.animals)), took_ms=round(took_ms, 3)))
        except Exception as error:  # noqa: BLE001 - as above
            say(Answer(fault=describe_error(error)))


def _of(animal: object) -> ShadowAnimal:
    from edge.contract.reading import Animal

    assert isinstance(animal, Animal)
    estimate = animal.estimate
    return ShadowAnimal(
        box=animal.box,
        subject=animal.subject,
        accepted=animal.accepted,
        reject_reasons=animal.reject_reasons,
        age_days=animal.age_days,
        estimate_days=None if estimate is None else estimate.age_days,
        sd_days=None if estimate is None else estimate.sd_days,
        interval_low_days=None if estimate is None else estimate.interval_low_days,
        interval_high_days=None if estimate is None else estimate.interval_high_days,
        domain_score=None if estimate is None else estimate.domain_score,
    )
