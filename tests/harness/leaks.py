"""What a test leaves behind in its process: threads, child processes, open descriptors."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PROC = Path("/proc/self")
PATIENCE_S = 10.0
"""A thread that was asked to end, or a killed child, may need a moment on a busy machine."""
KEPT_THREADS = {
    "ThreadPoolExecutor": "asyncio's and joblib's pools are kept for the next use",
    "pydevd": "a debugger's",
    "execnet": "pytest-xdist's own talk with its workers",
    "tqdm_monitor": "started once by the first progress bar",
}
KEPT_FILES = {
    "/dev/urandom": "the interpreter's and the libraries' source of chance",
    "/dev/shm/": "shared memory of numerical libraries, mapped once",
    "/memfd:": "kernels that XNNPACK and TensorFlow compile once",
    "anon_inode:[eventpoll]": "TensorFlow's runtime starts its own once",
    "/sys/": "looked at once by numerical libraries",
    "/.hypothesis/": "the data base of Hypothesis",
    ".ttf": "matplotlib keeps the fonts that it has drawn with",
}
KEPT_CHILDREN = {
    "chromium --type=": "a browser starts and ends its own helpers; the browser itself has no type",
    "postgres: ": "a server starts and ends its own; the server itself has the path of its program",
}


@dataclass(frozen=True)
class Held:
    """What this process holds at one moment. files: descriptor -> what it leads to; children: pid -> command line."""

    threads: frozenset[threading.Thread]
    files: dict[int, str]
    children: dict[int, str]

    @classmethod
    def now(cls) -> Self:
        """Return what is held now; without Linux's /proc only the threads."""
        return cls(frozenset(threading.enumerate()), _files(), _children(os.getpid()))

    def left_by(self, later: Self) -> list[str]:
        """Return one line for each thing that is held later and was not held before, known pools apart."""
        lines = [
            f"thread {thread.name}"
            for thread in later.threads - self.threads
            if thread.is_alive() and not any(name in thread.name for name in KEPT_THREADS)
        ]
        lines += [
            f"descriptor {number}: {target}"
            for number, target in later.files.items()
            if number > 2 and self.files.get(number) != target and not any(part in target for part in KEPT_FILES)
        ]
        return lines + [
            f"process {pid}: {line}"
            for pid, line in later.children.items()
            if pid not in self.children and not any(part in line for part in KEPT_CHILDREN)
        ]


def left_since(before: Held, patience_s: float = PATIENCE_S) -> list[str]:
    """Return what is left after what ends by itself had time to end, one line each."""
    deadline_s = time.monotonic() + patience_s
    collected = False
    while lines := before.left_by(Held.now()):
        if time.monotonic() > deadline_s:
            return sorted(lines)
        if not collected:
            gc.collect()  # an object nobody holds closes its descriptor when it goes
            collected = True
        else:
            time.sleep(0.02)
    return []


def adopt_orphans() -> None:
    """Let grandchildren whose parent dies become this process's own (Linux), so that they are found."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def _files() -> dict[int, str]:
    found = {}
    with suppress(FileNotFoundError):
        for name in os.listdir(PROC / "fd"):
            with suppress(FileNotFoundError):  # the listing's own
                found[int(name)] = os.readlink(PROC / "fd" / name)
    return found


def _children(pid: int) -> dict[int, str]:
    """Return all descendants; an adopted one that has ended is taken note of, so that it goes."""
    found: dict[int, str] = {}
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for word in (task / "children").read_text().split():
                line = Path(f"/proc/{word}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if line:
                    found[int(word)] = line
                    found |= _children(int(word))
                elif pid == os.getpid():
                    with suppress(ChildProcessError):
                        os.waitpid(int(word), os.WNOHANG)
    return found
