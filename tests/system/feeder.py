"""Appends synthetic readings with the real outbox as fast as asked, and keeps a ledger of what `append` returned.

    python tests/system/feeder.py STATE_DIR DEVICE LEDGER PAUSE_S

A line of the ledger is written and fsynced after `append` has returned: each is a promise that the rig checks.
"""

import hashlib
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from edge.config.tree import Outbox as OutboxSettings
from edge.contract.reading import Reading
from edge.outbox.outbox import Outbox
from tests.station import samples

EVENT_EVERY, PICTURE_EVERY, MAINTAIN_EVERY = 7, 3, 50


def feed(state_dir: Path, device: str, ledger: Path, pause_s: float) -> None:
    """Append until SIGTERM."""
    stop: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.append(number)

    signal.signal(signal.SIGTERM, ask)
    outbox = Outbox.open(state_dir, OutboxSettings(), device_id=device, serial="rig")
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    number = 0
    while not stop:
        number += 1
        if number % EVENT_EVERY == 0:
            epoch, seq = outbox.append_record(
                samples.event(number, device=device, text=f"event {number}", at=datetime.now(UTC))
            )
        else:
            epoch, seq = outbox.append_reading(
                lambda epoch, seq: _reading(epoch, seq, device, with_picture=seq % PICTURE_EVERY == 0)
            ).key
        os.write(descriptor, f"{epoch} {seq}\n".encode())
        os.fsync(descriptor)
        if number % MAINTAIN_EVERY == 0:
            outbox.maintain()
        time.sleep(pause_s)
    os.close(descriptor)
    outbox.close()


def _reading(epoch: str, seq: int, device: str, *, with_picture: bool) -> tuple[Reading, bytes | None]:
    jpeg = samples.picture(seq, epoch=epoch, device=device) if with_picture else None
    # Each body is unlike any other: a lost and a doubled record cannot make up for each other.
    salt = int(hashlib.sha256(f"{epoch}{seq}".encode()).hexdigest()[:8], 16)
    age_days = 50.0 + salt % 90000 / 100
    # Of now: what is older than the ring's days goes once it is released, and the judge could not compare it.
    return samples.reading(seq, device=device, age_days=age_days, at=datetime.now(UTC), thumbnail=jpeg), jpeg


if __name__ == "__main__":
    feed(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))
