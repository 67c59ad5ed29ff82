"""An appending process that is killed at any moment: what was acknowledged to it is there, whole, with its picture."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

from edge.config import tree
from edge.contract import identity
from edge.outbox import Outbox
from edge.outbox.reader import Reader

REPOSITORY = Path(__file__).parents[3]
APPENDING = """
import sys
from pathlib import Path
from edge.config import tree
from edge.outbox import Outbox
from tests.edge.outbox.conftest import make_reading

settings = tree.Outbox(min_free_mb=0, reserve_mb=0)
outbox = Outbox.open(Path(sys.argv[1]), settings, device_id="cage07", serial="1")
while True:
    for _ in range(7):
        epoch, seq = outbox.append_reading(make_reading(b"j" * 3000)).key
        print(epoch, seq, flush=True)
    outbox.maintain()
"""
ROUNDS = 12


def test_a_kill_at_any_moment_costs_nothing_that_was_told(tmp_path: Path) -> None:
    chance, acknowledged = random.Random(7), set()
    for _ in range(ROUNDS):
        child = subprocess.Popen(
            [sys.executable, "-c", APPENDING, str(tmp_path), str(Path(__file__).parent / "conftest.py")],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        lines = [child.stdout.readline()]  # it is under way
        time.sleep(chance.uniform(0.0, 0.12))
        child.kill()
        lines += child.communicate()[0].splitlines()
        whole = [line.split() for line in lines if len(line.split()) == 2]
        acknowledged |= {(epoch, int(seq)) for epoch, seq in whole if len(epoch) == 32}
    outbox = Outbox.open(tmp_path, tree.Outbox(min_free_mb=0, reserve_mb=0), device_id="cage07", serial="1")
    outbox.maintain()
    outbox.close()
    reader = Reader(tmp_path / "outbox.db")
    reader.changed()
    epochs = reader.epochs()
    every = {(row.epoch, row.seq): row for of in epochs for row in reader.rows(of.epoch, 1, of.last)}
    rows = {key: row for key, row in every.items() if row.kind == "reading"}
    assert len(acknowledged) >= ROUNDS
    assert acknowledged <= set(rows), "what was acknowledged is there"
    assert len(every) == sum(of.last for of in epochs), "and no number is missing"
    assert len(epochs) <= ROUNDS
    for row in rows.values():
        assert identity.digest(row.body) == row.digest
        picture = reader.picture(row.thumbnail)
        assert picture is not None
        assert hashlib.sha256(picture).hexdigest() == row.thumbnail
    reader.close()
    files = {path.name for path in (tmp_path / "thumbnails").iterdir()}
    assert files == {f"{row.thumbnail}.jpg" for row in rows.values()}, "and no orphan is left"
