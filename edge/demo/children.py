"""The demo's child processes: started in sessions of their own, ended in order, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from edge.errors import DeviceError

_ENDS = (signal.SIGINT, signal.SIGTERM)


class Children:
    """A group of processes; leaving the `with` block ends every one of them, the last started first."""

    def __init__(self, logs: Path) -> None:
        """Each child's output goes to `<logs>/<name>.log`."""
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._optional: set[str] = set()

    def __enter__(self) -> Children:
        """Make the folder of logs."""
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End whatever still runs, and all of it: a second Ctrl-C waits until that is done."""
        with _uninterrupted():
            for name in reversed(tuple(self._running)):
                self.stop(name)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        optional: bool = False,
    ) -> None:
        """Start one child. Ctrl-C in the terminal reaches only the demo itself, which then ends its children.

        optional: the demo goes on without it where it ends.
        """
        if optional:
            self._optional.add(name)
        # Interrupted between its start and its entry in the list, a child would run on and nobody would end it.
        with _uninterrupted(), (self._logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    def finished(self, name: str) -> bool:
        """Return whether the child has ended well.

        Raises:
            DeviceError: it ended with another exit code than 0.
        """
        code = self._running[name].poll()
        if code:
            raise DeviceError(f"demo: {name} ended with exit code {code}: {self._last_line(name)}")
        return code == 0

    def check(self, *names: str) -> None:
        """Raise if one of the children (all by default) has ended badly."""
        for name in names or tuple(self._running):
            if name not in self._optional:
                self.finished(name)

    def runs(self, name: str) -> bool:
        """Return whether a child runs."""
        return name in self._running and self._running[name].poll() is None

    def log(self, name: str) -> str:
        """Return what a child has written so far."""
        return (self._logs / f"{name}.log").read_text(errors="replace")

    def stop(self, name: str, patience_s: float = 10.0) -> None:
        """End one child: SIGTERM, then SIGKILL once patience is over."""
        process = self._running[name]
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + patience_s
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            if process.poll() is None:
                process.kill()
        process.wait()
        del self._running[name]

    def _last_line(self, name: str) -> str:
        lines = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"see {self._logs / name}.log"


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block has ended; they then act as they would have.

    Their handlers are replaced, not their signals blocked: a blocked signal stays blocked in a child that is started.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda what, _: came.append(what)) for number in _ENDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came[:1]:
            signal.raise_signal(late)
