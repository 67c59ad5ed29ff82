"""The candidate as a child process: started, asked with a time limit, ended; it never holds capture up for longer."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.bundle.canary import for_anybody, isolated
from edge.capture.shadow_child import MAIN, Answer
from edge.capture.shadow_wire import Begin, Late, ask_of, encode, read_message, write_all
from edge.contract import jsontext
from edge.contract.reading import Light
from edge.errors import MessageError
from edge.vision.frame import Frame

ANSWER_S = 5.0
"""A reading waits so long for its candidate, and no longer."""
LOAD_S = 120.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Candidate:
    """One child with one bundle. It loads while capture goes on."""

    def __init__(
        self, bundle: Path, keys: Sequence[bytes], begin: Begin, memory_mb: float, *, command: Sequence[str] = ()
    ) -> None:
        """Start it. memory_mb: how much it may hold. command: what to run in its place, before the file's name."""
        self._memory_bytes = memory_mb * (1 << 20)
        self._begun_s = time.monotonic()
        self.ready = False
        with for_anybody(bundle) as (name, handles):
            self._child = subprocess.Popen(
                [*(command or isolated(MAIN)), name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                pass_fds=handles,
                start_new_session=True,
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._in, self._out = self._child.stdin.fileno(), self._child.stdout.fileno()
        os.set_blocking(self._in, False)
        text = b"\n".join(keys)
        with contextlib.suppress(Late):  # the pipe takes both at once; a child that is gone is noticed when asked
            write_all(self._in, encode(begin), time.monotonic() + 1.0)
            write_all(self._in, len(text).to_bytes(8, "big") + text, time.monotonic() + 1.0)

    def has_loaded(self) -> bool:
        """Return whether it can be asked by now.

        Raises:
            Late: it has ended, or takes too long.
            MessageError: it says something else, or why it cannot be loaded.
        """
        if self.ready:
            return True
        if not select.select([self._out], [], [], 0.0)[0]:
            if time.monotonic() - self._begun_s > LOAD_S:
                raise Late(f"it was not loaded within {LOAD_S:g} s")
            return False
        try:
            # It has begun to say something: a wait that ended within a message would take the next one for its rest.
            answer = jsontext.decode(read_message(self._out, time.monotonic() + ANSWER_S), Answer)
        except Late as error:
            raise Late(f"while it was loaded: {error}") from error
        if answer.fault:
            raise MessageError(f"it cannot be loaded: {answer.fault}")
        self.ready = True
        return True

    def ask(self, frames: Sequence[Frame], light: Light, limit_s: float = ANSWER_S) -> Answer:
        """Return what it sees in a burst of frames.

        Raises:
            Late: it did not answer in time, it has ended, or it holds too much memory. It must be ended now.
            MessageError: its answer is none: a number that is not finite, for one.
        """
        until_s = time.monotonic() + limit_s
        head, planes = ask_of(frames, light)
        write_all(self._in, encode(head), until_s)
        for plane in planes:
            write_all(self._in, _bytes(plane), until_s)
        answer = jsontext.decode(read_message(self._out, until_s), Answer)
        held = self._resident_bytes()
        if held > self._memory_bytes:
            raise Late(f"it holds {held >> 20} MB, of at most {int(self._memory_bytes) >> 20}")
        return answer

    def end(self) -> None:
        """Kill it and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _resident_bytes(self) -> int:
        try:
            return int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1]) * _PAGE
        except (OSError, ValueError, IndexError):
            return 0


def _bytes(plane: NDArray[np.uint8]) -> memoryview:
    return plane.reshape(-1).data
