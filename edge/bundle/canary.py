"""The canary: a child process that runs a bundle before the device does, and may crash or hang in its place.

A TFLite file is a program, and its verifier is no protection (17 crashes and 2 hangs in 20,000 structural mutants of a
small network). So the first load of a bundle happens here, with limits on time and memory, and without network,
devices, writing or privileges as far as the kernel allows (`edge.bundle.sandbox`). The child runs isolated: an empty
environment, `/` as its folder, and no module from beside the bundle, from `PYTHONPATH` or from where the command was
typed; a `numpy.py` there ran once and wrote the verdict. Trusted keys (PEM, one after the other) come on standard
input; one JSON verdict goes to standard output.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import edge
from edge.bundle.sandbox import isolate
from edge.contract import jsontext
from edge.contract.base import Struct
from edge.errors import CageclockError, MessageError

if TYPE_CHECKING:
    from edge.contract.bundle.bundle import Bundle
    from edge.vision.model.loaded import LoadedModel

LIMIT_S = 120.0
_ADDRESS_SPACE = 4 << 30
"""Room for what interpreter, numpy and TFLite runtime map (1.5 GB measured, most of it never touched)."""
_END_KEY = "-----END PUBLIC KEY-----"
_MAX_VERDICT_BYTES = 100_000
_FIND_EDGE = """
import importlib.util, os, sys
folder = sys.argv.pop(1)
found = importlib.util.spec_from_file_location(
    "edge", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
)
sys.modules["edge"] = made = importlib.util.module_from_spec(found)
found.loader.exec_module(made)
"""
_MAIN = """
from edge.bundle.canary import main
sys.exit(main())
"""


class Verdict(Struct, frozen=True, kw_only=True):
    """What the canary found. problems: one sentence each; empty means that the bundle may be used."""

    problems: tuple[str, ...]
    invoke_ms: float = 0.0
    memory_mb: float = 0.0


def ask_canary(
    bundle: Path, trusted_keys: Sequence[bytes], *, limit_s: float = LIMIT_S, command: Sequence[str] = ()
) -> Verdict:
    """Return the verdict of a child process on a bundle file; a crash, a hang or too long an answer is a problem too.

    command: what to run in the place of the canary, before the file's name.
    """
    with for_anybody(bundle) as (name, handles):
        child = subprocess.Popen(
            [*(command or isolated(_MAIN)), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
            pass_fds=handles,
            start_new_session=True,
        )
        try:
            answer = _listen(child, b"\n".join(trusted_keys), limit_s)
        except subprocess.TimeoutExpired:
            return Verdict(problems=(f"canary: no verdict within {limit_s:g} s",))
        finally:
            _end(child)
    if len(answer) > _MAX_VERDICT_BYTES:
        return Verdict(problems=(f"canary: expected a verdict of at most {_MAX_VERDICT_BYTES} bytes, got more",))
    if child.returncode < 0:
        return Verdict(problems=(f"canary: killed by {_signal_name(-child.returncode)}",))
    try:
        return jsontext.decode(answer, Verdict)
    except MessageError:
        return Verdict(problems=(f"canary: ended with code {child.returncode} and no verdict",))


def isolated(program: str) -> list[str]:
    """Return the command that runs a Python program which can import this `edge` and what is installed, nothing else.

    A checkout need not be installed: its package is named to the child, not its folder.
    """
    package = Path(edge.__file__).resolve().parent
    return [sys.executable, "-I", "-B", "-c", _FIND_EDGE + program, os.fspath(package)]


@contextlib.contextmanager
def for_anybody(bundle: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Hand over the name of a copy in memory that a child without rights can open, where the system has such files."""
    if not hasattr(os, "memfd_create") or not Path("/proc/self/fd").exists() or not bundle.is_file():
        yield os.fspath(bundle.absolute()), ()
        return
    handle = os.memfd_create("bundle")
    try:
        with bundle.open("rb") as source, os.fdopen(os.dup(handle), "wb") as copy:
            shutil.copyfileobj(source, copy)
        yield f"/proc/self/fd/{handle}", (handle,)
    finally:
        os.close(handle)


def _listen(child: subprocess.Popen[bytes], keys: bytes, limit_s: float) -> bytes:
    """Return what the child writes until it ends, cut off one byte above `_MAX_VERDICT_BYTES`.

    Raises:
        subprocess.TimeoutExpired: it has not ended in time.
    """
    assert child.stdin is not None
    assert child.stdout is not None
    until_s = time.monotonic() + limit_s
    os.set_blocking(child.stdin.fileno(), False)  # keys fit into a pipe; a child that reads none must not hang us
    with contextlib.suppress(OSError):
        child.stdin.write(keys)
    with contextlib.suppress(OSError):
        child.stdin.close()
    answer = b""
    while len(answer) <= _MAX_VERDICT_BYTES:
        left_s = until_s - time.monotonic()
        if left_s <= 0 or not select.select([child.stdout], [], [], left_s)[0]:
            raise subprocess.TimeoutExpired(child.args, limit_s)
        more = os.read(child.stdout.fileno(), _MAX_VERDICT_BYTES + 1 - len(answer))
        if not more:
            child.wait(max(0.0, until_s - time.monotonic()))
            break
        answer += more
    return answer


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal has no name


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
    from edge.contract.bundle.bundle import read_bundle
    from edge.vision.model.loaded import load_model
    from edge.vision.model.runtime import runtime_name
    from edge.vision.rehearsal import rehearse

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
    from edge.vision.model.golden import NAMES, network_of, read_golden

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
    isolate()
    text = sys.stdin.read()
    keys = [f"{part.strip()}\n{_END_KEY}\n".encode() for part in text.split(_END_KEY) if part.strip()]
    begin = time.monotonic()
    try:
        verdict = examine(Path(sys.argv[1]), keys)
    except CageclockError as error:
        verdict = Verdict(problems=(str(error),))
    except MemoryError:
        verdict = Verdict(problems=(f"canary: out of memory after {time.monotonic() - begin:.1f} s",))
    except Exception as error:  # noqa: BLE001 - whatever a bundle makes our code or the runtime raise is its refusal
        verdict = Verdict(problems=(f"canary: {type(error).__name__}: {error}"[:1000],))
    sys.stdout.buffer.write(jsontext.encode(verdict))
    return 0
