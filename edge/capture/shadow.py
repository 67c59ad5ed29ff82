"""The shadow run: a candidate beside the active model, on the same frames, for so many hours of work.

What it says travels in a field of its own in the reading, and counts for nothing there. Its faults and its slowness
cost the active model nothing but a bounded wait; after MOST_FAILURES of them in a row it is run no more.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edge.bundle.selected import read
from edge.bundle.shadow import NAME, ShadowOrder, ShadowState, read_order, read_shadow_state, state_path
from edge.bundle.slots import FOLDER, SHADOW, write_durably
from edge.bundle.trust_store import trusted_to_run
from edge.capture.candidate import ANSWER_S, Candidate
from edge.capture.shadow_wire import Begin, Late
from edge.config.tree import Config
from edge.contract import jsontext
from edge.contract.bundle.envelope import open_envelope
from edge.contract.bundle.roles import Authority
from edge.contract.reading import Light, Shadow
from edge.errors import CageclockError, describe_error, plain
from edge.vision.frame import Frame

MOST_FAILURES = 3
_ROOM_MB = 150.0
"""Interpreter, numpy and runtime, beside what the manifest's budget says of the model."""
_MOST_BYTES = 60_000


class ShadowRun:
    """Starts, asks and ends the candidate that the bundle unit left."""

    def __init__(
        self,
        config: Config,
        monotonic_s: Callable[[], float],
        *,
        command: Sequence[str] = (),
        answer_s: float = ANSWER_S,
    ) -> None:
        """Count what the last process left. command: see `Candidate`. answer_s: how long a reading waits for it."""
        self._answer_s = answer_s
        self._config, self._monotonic_s, self._command = config, monotonic_s, command
        self._state_dir = Path(config.state_dir)
        self._candidate: Candidate | None = None
        self._order: ShadowOrder | None = None
        self._seen: tuple[int, int] | None = None
        self._since_s: float | None = None
        self._state = read_shadow_state(self._state_dir)
        if self._state.begun:
            self._fail("capture ended while the candidate was loaded (memory that was short, or a power cut)")

    def look(self, frames: Sequence[Frame], light: Light) -> Shadow | None:
        """Return what the candidate says of these frames; None where none runs, or it is being loaded. Never raises."""
        try:
            return self._look(frames, light)
        except Exception as error:  # noqa: BLE001 - whatever happens here costs the shadow run, never the reading
            self.close()
            self._fail(describe_error(error))
            return None

    def close(self) -> None:
        """End the child, where there is one."""
        if self._candidate is not None:
            self._candidate.end()
            self._candidate, self._since_s = None, None

    def _look(self, frames: Sequence[Frame], light: Light) -> Shadow | None:
        order = self._current()
        if order is None or self._state.fault or self._state.minutes >= order.hours * 60:
            self.close()
            return None
        try:
            if self._candidate is None:
                self._start()
            assert self._candidate is not None
            if not self._candidate.has_loaded():
                return None
            answer = self._candidate.ask(frames, light, self._answer_s)
        except (Late, CageclockError) as error:
            self.close()
            self._fail(describe_error(error) if isinstance(error, CageclockError) else str(error))
            return self._said(order, fault=str(error))
        if answer.outcome is None:
            self._fail(answer.fault)
            return self._said(order, fault=answer.fault)
        said = msgspec.structs.replace(
            self._said(order), outcome=answer.outcome, animals=answer.animals, took_ms=answer.took_ms
        )
        if len(jsontext.encode(said)) > _MOST_BYTES:
            return self._said(order, fault=f"its answer has more than {_MOST_BYTES} bytes")
        self._count()
        return said

    def _current(self) -> ShadowOrder | None:
        """Return which candidate is to run now; it is looked up where the file has changed."""
        if not (self._state_dir / FOLDER / SHADOW).is_file():
            self._order, self._seen = None, None
            return None
        try:
            found = (self._state_dir / FOLDER / NAME).stat()
        except OSError:
            return None
        seen = (found.st_ino, found.st_mtime_ns)
        if seen != self._seen:
            self._seen, self._order = seen, read_order(self._state_dir)
            if self._order is not None and self._order.sha256 != self._state.sha256:
                self.close()
                self._save(ShadowState(sha256=self._order.sha256))
        return self._order

    def _start(self) -> None:
        """Verify the candidate and start its process; a mark shows the next start that this one did not survive it."""
        slot = self._state_dir / FOLDER / SHADOW
        bundle, trusted = read(self._config, slot), trusted_to_run(self._config)
        keys = trusted.pems(open_envelope(bundle.envelope)) if isinstance(trusted, Authority) else trusted
        cage, budget = self._config.cage, bundle.manifest.budget
        begin = Begin(
            limits=self._config.quality,
            expected_animals=cage.animals,
            subject=cage.subject,
            strain=cage.strain,
            nest_box=cage.nest_box,
            threads=self._config.bundle.threads,
        )
        self._save(msgspec.structs.replace(self._state, begun=True))
        self._candidate = Candidate(slot, keys, begin, budget.memory_mb + _ROOM_MB, command=self._command)

    def _count(self) -> None:
        now_s = self._monotonic_s()
        minutes = 0.0 if self._since_s is None else max(0.0, now_s - self._since_s) / 60
        self._since_s = now_s
        before = self._state
        self._save(
            msgspec.structs.replace(
                before,
                minutes=round(before.minutes + minutes, 4),
                captures=before.captures + 1,
                failures=0,
                begun=False,
            )
        )

    def _fail(self, why: str) -> None:
        failures = self._state.failures + 1
        fault = f"{failures} times in a row, lastly: {plain(why, 400)}" if failures >= MOST_FAILURES else ""
        self._save(msgspec.structs.replace(self._state, failures=failures, fault=fault, begun=False))

    def _said(self, order: ShadowOrder, fault: str = "") -> Shadow:
        return Shadow(
            name=order.name[:256],
            model_version=order.model_version[:256],
            release=order.release,
            sha256=order.sha256,
            outcome=None,
            fault=plain(fault, 400),
        )

    def _save(self, state: ShadowState) -> None:
        """Keep it in memory whatever happens; a full disk is no reason to stop."""
        if state == self._state:
            return
        self._state = state
        path = state_path(self._state_dir)
        try:
            write_durably(path, jsontext.encode(state))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path.with_name(f".{path.name}"))
