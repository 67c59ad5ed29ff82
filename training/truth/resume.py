"""A report made of commands: each is run once, and again only when it or what it reads has changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import OperatorError

_TOLD = re.compile(r"\s*([^:]+): (-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)[ ,]")


@dataclass(frozen=True, slots=True)
class Step:
    """One command of `cageclock-train`. `reads`: files of earlier steps; another content makes it run again."""

    name: str
    arguments: tuple[str, ...]
    reads: tuple[Path, ...] = ()


def run_steps(folder: Path, steps: Sequence[Step]) -> list[dict[str, object]]:
    """Return each step's record: name, arguments, digest, CPU and wall seconds, figures.

    Records are kept in `folder`/steps, written whole; a run that was interrupted goes on where it stopped.

    Raises:
        OperatorError: a step failed; its own message stands above.
    """
    (folder / "steps").mkdir(parents=True, exist_ok=True)
    records = []
    for number, step in enumerate(steps, 1):
        path = folder / "steps" / f"{step.name}.json"
        digest = _digest(step)
        record = _kept(path, digest)
        if record is None:
            print(f"[{number}/{len(steps)}] cageclock-train {' '.join(step.arguments)}", file=sys.stderr, flush=True)
            record = _run(step, digest)
            half = path.with_name(f"{path.name}.part")
            half.write_text(json.dumps(record, indent=1) + "\n")
            half.replace(path)
        records.append(record)
    return records


def table_of(records: Sequence[dict[str, object]]) -> str:
    """Return all figures as one Markdown table."""
    lines = ["| step | figure | value |", "| --- | --- | ---: |"]
    for record in records:
        figures = record["figures"]
        assert isinstance(figures, dict)
        lines += [f"| {record['name']} | {figure} | {value:.4g} |" for figure, value in figures.items()]
        lines.append(f"| {record['name']} | CPU minutes | {float(str(record['cpu_s'])) / 60:.1f} |")
    return "\n".join(lines) + "\n"


def figures_in(text: str) -> dict[str, float]:
    """Return the figures that a command printed, one a line: a name, then a number, or after a colon a number first."""
    found = {}
    for line in text.splitlines():
        told = _TOLD.match(line)
        name, _, value = line.rpartition(" ")
        try:
            number = float(value)
        except ValueError:
            if told is None:
                continue
            name, number = told[1], float(told[2])
        if name.strip():
            found[name.strip().removesuffix(":")] = number
    return found


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


def _run(step: Step, digest: str) -> dict[str, object]:
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    root = Path(__file__).parents[2]
    paths = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    line = [sys.executable, "-m", "training.cli", *step.arguments]
    done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise OperatorError(f"train-report: step {step.name} failed with exit code {done.returncode}; see above")
    return {
        "name": step.name,
        "arguments": list(step.arguments),
        "digest": digest,
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "wall_s": round(time.monotonic() - begin, 1),
        "figures": figures_in(done.stdout),
    }
