"""Plants the faults of mutants.toml one by one in a copy of the tree, and prints which test caught each.

    python tools/mutants.py [WORDS OF A NAME ...]

Each fault is a text that stands once in a file, and what is put in its place. Only the tests that are named for a fault
are run. Exit code 1 where a fault was not caught, 2 where one cannot be planted because its file has changed: correct
its text in mutants.toml then.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAULTS = ROOT / "tools" / "mutants.toml"
LIMIT_S = 1_200
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """One fault. tests: files or tests to run, in this order until one fails."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def main(words: list[str]) -> int:
    """Plant the faults whose names hold one of the words, all of them where there are none."""
    faults = [fault for fault in read_faults() if not words or any(word in fault.name for word in words)]
    wrong = [text for fault in faults if (text := why_not(fault))]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 2
    caught = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        scratch = Path(folder, "tree")
        copy_tree(scratch)
        for number, fault in enumerate(faults, start=1):
            began = time.monotonic()
            by = catch(fault, scratch)
            caught += by != ""
            spent_s = time.monotonic() - began
            print(f"{number:2}/{len(faults)} {fault.name}: {by or 'NOT CAUGHT'} ({spent_s:.0f} s)", flush=True)
    print(f"{caught} of {len(faults)} faults were caught")
    return 0 if caught == len(faults) else 1


def read_faults() -> list[Fault]:
    """Return the faults of the list."""
    found = tomllib.loads(FAULTS.read_text())["fault"]
    return [Fault(one["name"], one["file"], one["old"], one["new"], tuple(one["tests"])) for one in found]


def why_not(fault: Fault) -> str:
    """Return why a fault cannot be planted in the tree as it is, "" where it can."""
    path = ROOT / fault.file
    times = path.read_text().count(fault.old) if path.is_file() else 0
    if times != 1:
        return (
            f"{fault.name}: expected its text once in {fault.file}, found it {times} times; correct it in {FAULTS.name}"
        )
    missing = [test for test in fault.tests if not (ROOT / test.split("::")[0]).is_file()]
    return f"{fault.name}: there is no {missing[0]}" if missing else ""


def copy_tree(scratch: Path) -> None:
    """Copy every file that git knows, and those that it would take in."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.decode().split("\0"):
        source, target = ROOT / name, scratch / name
        if name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def catch(fault: Fault, scratch: Path) -> str:
    """Return the first test that fails with the fault in place, "" where none does."""
    path = scratch / fault.file
    whole = path.read_text()
    path.write_text(whole.replace(fault.old, fault.new))
    environment = {**os.environ, "PYTHONPATH": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *fault.tests]
    try:
        done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"{fault.tests[0]} does not end"
    finally:
        path.write_text(whole)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{fault.name}: the tests could not be run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    named = FAILED.search(done.stdout)
    return "" if done.returncode == 0 else named.group(1) if named else "a test"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
