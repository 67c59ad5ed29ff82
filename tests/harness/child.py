"""A child process of a test: started, waited for, stopped or killed, and its log is shown when the test fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from tests.harness.waiting import LIMIT_S, wait_until

REPOSITORY = Path(__file__).parents[2]
SHOWN_CHARACTERS = 6000


def python(*words: object) -> list[str]:
    """Return the command line of this interpreter with the words behind it."""
    return [sys.executable, *map(str, words)]


class Child:
    """One command that can be started again and again; leaving the `with` block kills it, whatever its state.

    command: program and arguments; it runs in the repository's folder and imports this working tree.
    log: where its standard output and error go, appended over restarts.
    errors: a file of its own for standard error, for a program whose output is read by machines.
    environment: variables beside the test's own.
    """

    started: ClassVar[list[Child]] = []
    """Those that were started in the present test, for the report of a failure."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        errors: Path | None = None,
        new_session: bool = False,
        **environment: str,
    ) -> None:
        """Keep the command; nothing runs yet."""
        self.command, self.log_file, self.errors_file = list(command), log, errors or log
        self._environment, self._new_session = environment, new_session
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it where it still runs."""
        self.kill()

    def start(self) -> None:
        """Start it; one that still runs is an error of the test."""
        assert self._process is None or self._process.poll() is not None, f"{self} still runs"
        variables = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"} | self._environment
        with self.log_file.open("ab") as log, self.errors_file.open("ab") as errors:
            self._process = subprocess.Popen(
                self.command,
                cwd=REPOSITORY,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                start_new_session=self._new_session,
            )
        if self not in Child.started:
            Child.started.append(self)

    @property
    def name(self) -> str:
        """What its log is called."""
        return self.log_file.stem

    @property
    def pid(self) -> int:
        """The number of the process that was started last."""
        assert self._process is not None, f"{self} was not started"
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return how it ended, None while it runs or before it was started."""
        return None if self._process is None else self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None, f"{self} was not started"
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would; nothing happens to one that has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, limit_s: float = LIMIT_S) -> int:
        """End it as systemd does and return its exit code."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)  # one that a test has frozen hears it too
        return self.ended(limit_s)

    def ended(self, limit_s: float = LIMIT_S) -> int:
        """Return the exit code of one that ends by itself."""
        assert self._process is not None, f"{self} was not started"
        return self._process.wait(limit_s)

    def log(self) -> str:
        """Return what it has written so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def errors(self) -> str:
        """Return what it has written to standard error so far."""
        return self.errors_file.read_text(errors="replace") if self.errors_file.exists() else ""

    def wait_for(self, text: str, limit_s: float = LIMIT_S, *, times: int = 1) -> None:
        """Return once it has written the text so often; fail at once where it ends without."""

        def written_or_ended() -> bool:
            over = self.exit_code() is not None  # before the look: what it wrote last is seen
            return self.log().count(text) >= times or over

        wait_until(written_or_ended, limit_s)
        assert self.log().count(text) >= times, f"{self} ended with {self.exit_code()} before it wrote {text!r}"

    def cpu_s(self) -> float:
        """Return the seconds of CPU that it has used; a busy machine changes them less than the clock's."""
        ticks = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def __str__(self) -> str:
        """Return the command in short."""
        return " ".join(Path(word).name if word.startswith("/") else word for word in self.command[:6])

    def report(self) -> str:
        """Return command, state and the end of the log, for a failed test."""
        state = "runs" if self._process is not None and self.exit_code() is None else f"ended with {self.exit_code()}"
        texts = [self.log()] + ([self.errors()] if self.errors_file != self.log_file else [])
        return f"{self} ({state})\n" + "\n".join(text[-SHOWN_CHARACTERS:] for text in texts)
