"""The canary: a child process that runs a bundle before the device does, and may crash or hang in its place.

A TFLite file is a program, and its verifier is no protection (17 crashes and 2 hangs in 20,000 structural mutants of a
small network). So the first load of a bundle happens here, with limits on time and memory; under systemd the unit adds
no network, no devices and a system-call filter. Run as: `python -m edge.bundle.canary BUNDLE`, trusted keys (PEM, one
after the other) on standard input; one JSON verdict on standard output.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge.contract import jsontext
from edge.contract.base import Struct
from edge.errors import CageclockError, MessageError

if TYPE_CHECKING:
    from edge.model.bundle import Bundle
    from edge.model.loaded import LoadedModel

LIMIT_S = 120.0
_ADDRESS_SPACE = 4 << 30
"""Room for what interpreter, numpy and TFLite runtime map (1.5 GB measured, most of it never touched)."""
_END_KEY = "-----END PUBLIC KEY-----"


class Verdict(Struct, frozen=True, kw_only=True):
    """What the canary found. problems: one sentence each; empty means that the bundle may be used."""

    problems: tuple[str, ...]
    invoke_ms: float = 0.0
    memory_mb: float = 0.0


def ask_canary(
    bundle: Path, trusted_keys: Sequence[bytes], *, limit_s: float = LIMIT_S, command: Sequence[str] = ()
) -> Verdict:
    """Return the verdict of a child process on a bundle file; one that crashes, hangs or rambles is a problem too.

    command: what to run in the place of the canary, before the file's name.
    """
    chosen = list(command) or [sys.executable, "-m", "edge.bundle.canary"]
    child = subprocess.Popen(
        [*chosen, os.fspath(bundle)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        said, _ = child.communicate(b"\n".join(trusted_keys), limit_s)
    except subprocess.TimeoutExpired:
        return Verdict(problems=(f"canary: no verdict within {limit_s:g} s",))
    finally:
        _end(child)
    if child.returncode < 0:
        return Verdict(problems=(f"canary: killed by {signal.Signals(-child.returncode).name}",))
    try:
        return jsontext.decode(said, Verdict)
    except MessageError:
        return Verdict(problems=(f"canary: ended with code {child.returncode} and no verdict",))


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and whatever it started; its session is its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()


def examine(path: Path, trusted_keys: Sequence[bytes]) -> Verdict:
    """Return what running the bundle here shows: golden outputs, head, time of one invocation, memory.

    Whatever else the bundle makes the program raise is a problem of the bundle, in one sentence.

    Raises:
        CageclockError: it cannot be read or loaded, or a trusted key is none.
        MemoryError: it takes more than the canary has.
    """
    try:
        return _examine(path, trusted_keys)
    except (CageclockError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001
        return Verdict(problems=(f"canary: the bundle ends in {type(error).__name__}: {str(error)[:200]}",))


def _examine(path: Path, trusted_keys: Sequence[bytes]) -> Verdict:
    from edge.bundle.rules import check_runtime
    from edge.model.bundle import read_bundle
    from edge.model.loaded import load_model
    from edge.model.runtime import runtime_name
    from edge.rehearsal import rehearse

    bundle = read_bundle(path, trusted_keys)
    check_runtime(bundle.manifest.runtime_min, runtime_name())
    model = load_model(bundle)
    problems = rehearse(model, bundle)
    budget = bundle.manifest.budget
    fastest_ms = _invocation_ms(model, bundle)
    memory_mb = _peak_mb()
    if fastest_ms > budget.invoke_ms:
        problems.append(f"budget: one invocation took {fastest_ms:.3g} ms, at most {budget.invoke_ms:g} allowed")
    if memory_mb > budget.memory_mb:
        problems.append(f"budget: {memory_mb:.0f} MB of memory, at most {budget.memory_mb:.0f} allowed")
    return Verdict(problems=tuple(problems), invoke_ms=round(fastest_ms, 3), memory_mb=round(memory_mb, 1))


def _invocation_ms(model: LoadedModel, bundle: Bundle) -> float:
    """Return how long the three networks take together; the fastest of three, for other work runs beside them."""
    from edge.model.golden import NAMES, network_of, read_golden

    inputs, took_ms = read_golden(bundle).inputs, []
    for _ in range(3):
        before_ms = model.invoked_ms
        for name in NAMES:
            network_of(model, name).run_raw(inputs[name][0])
        took_ms.append(model.invoked_ms - before_ms)
    return min(took_ms)


def _peak_mb() -> float:
    """Return the most memory that was resident, MB of 2^20 bytes.

    By the kernel's count for this program: `ru_maxrss` goes on over fork and exec, and would be that of whoever asks.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
    except (OSError, StopIteration, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Run as the child."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (int(LIMIT_S), int(LIMIT_S)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    text = sys.stdin.read()
    keys = [f"{part.strip()}\n{_END_KEY}\n".encode() for part in text.split(_END_KEY) if part.strip()]
    begin = time.monotonic()
    try:
        verdict = examine(Path(sys.argv[1]), keys)
    except CageclockError as error:
        verdict = Verdict(problems=(str(error),))
    except MemoryError:
        verdict = Verdict(problems=(f"canary: out of memory after {time.monotonic() - begin:.1f} s",))
    sys.stdout.write(jsontext.encode(verdict).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
