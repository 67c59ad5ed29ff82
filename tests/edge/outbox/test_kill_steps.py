"""Killed between any two steps of an append, the outbox has all that was acknowledged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge.outbox import Outbox
from tests.edge.outbox.reading_back import SMALL, rows_of

KILLED = """
import os, sys
from pathlib import Path
from tests.edge.outbox.conftest import make_reading
from edge.config import tree
from edge.outbox import Outbox
at, count = sys.argv[2], 0
def step(name):
    if name == at and count >= 3:
        os._exit(9)
outbox = Outbox.open(Path(sys.argv[1]), tree.Outbox(reserve_mb=0), device_id="cage07", serial="s", step=step)
for count in range(6):
    print(*outbox.append_reading(make_reading()).key, flush=True)
"""


@pytest.mark.parametrize(
    "at",
    [
        "built",
        "thumbnail opened",
        "thumbnail written",
        "thumbnail synced",
        "thumbnail named",
        "row inserted",
        "committed",
    ],
)
def test_killed_between_any_two_steps_nothing_appended_is_lost_and_no_row_names_a_missing_file(tmp_path, at):
    script = KILLED.format(tests=str(Path(__file__).parent))
    child = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), at], capture_output=True, text=True, check=False
    )
    assert child.returncode == 9, child.stderr
    acknowledged = [int(line.split()[1]) for line in child.stdout.splitlines()]
    outbox = Outbox.open(tmp_path, SMALL, device_id="cage07", serial="s")
    rows = rows_of(tmp_path)
    assert acknowledged == [1, 2, 3]
    assert [row.seq for row in rows] == list(range(1, (4 if at == "committed" else 3) + 1))
    outbox.maintain()
    assert {path.name for path in (tmp_path / "thumbnails").iterdir()} == {f"{row.thumbnail}.jpg" for row in rows}
    outbox.close()
