"""A report made of commands: each is run once, and again only when it or what it reads has changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from edge.errors import OperatorError
from training.figures import read_figures
from training.whole_file import write_text


@dataclass(frozen=True, slots=True)
class Step:
    """One command of `cageclock-train`.

    reads: files of earlier steps; another content makes it run again. after: steps before it in the list that have to
    be through first.
    """

    name: str
    arguments: tuple[str, ...]
    reads: tuple[Path, ...] = ()
    after: tuple[str, ...] = ()


def run_steps(folder: Path, steps: Sequence[Step], workers: int = 1) -> list[dict[str, object]]:
    """Return each step's record: name, arguments, digest, CPU and wall seconds, figures.

    So many steps run at a time. Records are kept in `folder`/steps, written whole; a run that was interrupted goes on
    where it stopped.

    Raises:
        OperatorError: a step failed, and none was begun after that; its own message stands above. What ran beside it
            was finished and kept.
    """
    (folder / "steps").mkdir(parents=True, exist_ok=True)
    records: dict[str, dict[str, object]] = {}
    waiting = list(enumerate(steps, 1))
    with ThreadPoolExecutor(workers) as pool:
        running: dict[Future[dict[str, object]], tuple[str, Begun]] = {}
        try:
            while waiting or running:
                ready = [one for one in waiting if all(name in records for name in one[1].after)]
                for number, step in ready[: workers - len(running)]:
                    waiting.remove((number, step))
                    begun = Begun()
                    running[pool.submit(_record, folder, step, begun, f"{number}/{len(steps)}")] = step.name, begun
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    name, _ = running.pop(done)
                    records[name] = done.result()
        except KeyboardInterrupt:
            for _, begun in running.values():
                begun.stop()
            raise
    return [records[step.name] for step in steps]


class Begun:
    """A step's process, to be ended early."""

    process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End it, if there is one; what it finished is kept."""
        if self.process is not None:
            self.process.terminate()


def table_of(records: Sequence[dict[str, object]]) -> str:
    """Return all figures as one Markdown table."""
    lines = ["| step | figure | value |", "| --- | --- | ---: |"]
    for record in records:
        figures = record["figures"]
        assert isinstance(figures, dict)
        lines += [f"| {record['name']} | {figure} | {value:.4g} |" for figure, value in figures.items()]
        lines.append(f"| {record['name']} | CPU minutes | {float(str(record['cpu_s'])) / 60:.1f} |")
    total = sum(float(str(record["cpu_s"])) for record in records)
    lines.append(f"| all | CPU minutes | {total / 60:.1f} |")
    return "\n".join(lines) + "\n"


def _record(folder: Path, step: Step, begun: Begun, place: str) -> dict[str, object]:
    """Return a step's kept record, or run it."""
    path, digest = folder / "steps" / f"{step.name}.json", _digest(step)
    record = _kept(path, digest)
    if record is None:
        print(f"[{place}] cageclock-train {' '.join(step.arguments)}", file=sys.stderr, flush=True)
        record = _run(step, digest, begun)
        write_text(path, json.dumps(record, indent=1) + "\n")
    return record


def _digest(step: Step) -> str:
    found = hashlib.sha256(json.dumps([step.name, step.arguments]).encode())
    for path in step.reads:
        found.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"none")
    return found.hexdigest()


def _kept(path: Path, digest: str) -> dict[str, object] | None:
    if not path.exists():
        return None
    try:
        record: dict[str, object] = json.loads(path.read_text())
        return record if record["digest"] == digest else None
    except (ValueError, KeyError, TypeError) as error:
        raise OperatorError(f"{path}: expected a step's record, got something else; remove it") from error


def _run(step: Step, digest: str, begun: Begun) -> dict[str, object]:
    begin = time.monotonic()
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{step.name}.json"
        line = [sys.executable, "-m", "training.cli", "--figures", str(path), *step.arguments]
        process = begun.process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)  # its own time and that of what it waited for, not its neighbours'
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise OperatorError(f"train-report: step {step.name} failed with exit code {process.returncode}; see above")
        figures = read_figures(path)
    return {
        "name": step.name,
        "arguments": list(step.arguments),
        "digest": digest,
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "wall_s": round(time.monotonic() - begin, 1),
        "figures": figures,
    }
