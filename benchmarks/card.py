"""What reaches the card for each reading: KiB and flushes at the block device, and what that wears in a year.

Counted by the kernel at a loop device with a fresh ext4 (the card's file system) on it, which needs root; elsewhere the
rows say so. `/proc/PID/io` counts only what a process writes itself and misses the journal of the file system, which is
the larger part. Readings and pictures are of the size that the demo makes. Between readings the file system is synced
(`syncfs`): at minutes from one reading to the next, its own commits every five seconds write all that is left, too.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.table import Row
from edge.capture.status import CaptureStatus, write_status
from edge.config import tree
from edge.contract.ranges import RangeSet
from edge.contract.reading import Light, Model, Outcome, Reading, Thumbnail, Trigger
from edge.outbox import Outbox
from edge.outbox.publish_file import PublishFile
from edge.outbox.stored_reading import Build
from edge.outbox.watermarks import Released

READINGS, WARM_UP = 60, 20
PICTURE_BYTES, TEXT_BYTES = 5_900, 1_900
LIMIT_KIB, LIMIT_FLUSHES = 90, 4
_SECTOR = 512
Count = tuple[float, float]
"""KiB written and flushes, a reading."""


def rows() -> list[Row]:
    """Return a row for each of what writes, for all together, and for a year at each interval."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        return [Row("written at the block device", "not measured", "", "needs root, mkfs.ext4 and loop devices")]
    try:
        with _card() as (folder, device):
            found = _measure(folder, device)
    except (subprocess.CalledProcessError, OSError) as error:
        return [Row("written at the block device", "not measured", "", f"no loop device: {error}")]
    whole = found["all of a reading"]
    return [
        *(
            Row(name, f"{kib:.1f} KiB", "", f"{flushes:.1f} flushes")
            for name, (kib, flushes) in found.items()
            if name != "all of a reading"
        ),
        Row("all of a reading", f"{whole[0]:.1f} KiB", f"{whole[0] / LIMIT_KIB:.2f}", f"to the goal of {LIMIT_KIB}"),
        Row("", f"{whole[1]:.1f} flushes", f"{whole[1] / LIMIT_FLUSHES:.2f}", f"to the goal of {LIMIT_FLUSHES}"),
        *(
            Row(f"a year at a reading every {minutes} min", f"{whole[0] * 525_600 / minutes / 2**20:.0f} GiB")
            for minutes in (1, 5, 15)
        ),
    ]


@contextmanager
def _card() -> Iterator[tuple[Path, str]]:
    """Yield a folder on a fresh ext4 of 4 GB, with the blocks of a large card, and the name of its block device."""
    with tempfile.TemporaryDirectory() as name:
        image, folder = Path(name) / "card.img", Path(name) / "card"
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(4_000_000_000)  # sparse
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-T", "default", str(image))
        _run("mount", "-o", "loop,noatime", str(image), str(folder))
        try:
            device = _run("findmnt", "-n", "-o", "SOURCE", str(folder)).strip()
            yield folder, Path(device).name
        finally:
            _run("umount", str(folder))


def _measure(folder: Path, device: str) -> dict[str, Count]:
    outbox = Outbox.open(folder, tree.Outbox(), device_id="bench", serial="bench")
    delivery = PublishFile.open(folder, device_id="bench")
    chance = random.Random(1)
    status = _status()

    def append(picture: bool) -> None:
        jpeg = chance.randbytes(PICTURE_BYTES) if picture else None
        outbox.append_reading(_reading(jpeg, chance))
        outbox.maintain()

    def acknowledge() -> None:
        through = RangeSet([(1, max(1, outbox.last_seq))])
        delivery.set_released({outbox.epoch: Released(through, through)}, "db-1")

    def whole() -> None:
        append(True)
        write_status(folder, status)
        acknowledge()

    def watermark() -> None:
        outbox_seq[0] += 1
        through = RangeSet([(1, outbox_seq[0])])
        delivery.set_released({outbox.epoch: Released(through, through)}, "db-1")

    outbox_seq = [10_000]
    try:
        return {
            "reading without a picture": _count(lambda: append(False), folder, device),
            "reading with its picture": _count(lambda: append(True), folder, device),
            "capture.json": _count(lambda: write_status(folder, status), folder, device),
            "publish's watermark": _count(watermark, folder, device),
            "all of a reading": _count(whole, folder, device),
        }
    finally:
        outbox.close()
        delivery.close()


def _count(job: Callable[[], None], folder: Path, device: str) -> Count:
    """Return what one job, and the sync after it, costs the device: the mean of many."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    sync = ctypes.CDLL(None, use_errno=True).syncfs
    try:
        before = 0.0, 0.0
        for number in range(WARM_UP + READINGS):
            if number == WARM_UP:
                before = _counters(device)
            job()
            sync(handle)
        after = _counters(device)
    finally:
        os.close(handle)
    return (after[0] - before[0]) / READINGS, (after[1] - before[1]) / READINGS


def _counters(device: str) -> Count:
    """Return KiB written to and flushes of a block device so far (Documentation/block/stat.rst)."""
    fields = [int(field) for field in Path(f"/sys/block/{device}/stat").read_text().split()]
    return fields[6] * _SECTOR / 1024, float(fields[15])


def _reading(jpeg: bytes | None, chance: random.Random) -> Build:
    """Return what builds a reading of about 2.7 kB, which an animal's estimate, here a text, makes the most of."""
    detail, thumbnail = chance.randbytes(TEXT_BYTES // 2).hex(), None
    if jpeg is not None:
        thumbnail = Thumbnail(sha256=hashlib.sha256(jpeg).hexdigest(), bytes=len(jpeg), width=320, height=240)

    def build(_epoch: str, _seq: int) -> tuple[Reading, bytes | None]:
        reading = Reading(
            device_id="bench",
            cage_id="bench",
            captured_at=datetime.now(UTC),
            boot_id="b" * 32,
            monotonic_s=1.0,
            clock_synced=True,
            light=Light.DARK,
            zeitgeber_h=13.0,
            trigger=Trigger.SCHEDULE,
            outcome=Outcome.NO_MOUSE,
            detail=detail,
            accepted=False,
            age_days=None,
            animals=(),
            expected_animals=1,
            strain=None,
            frames=1,
            px_per_mm=None,
            quality=None,
            camera=None,
            model=None,
            thumbnail=thumbnail,
            config_sha256="0" * 64,
        )
        return reading, jpeg

    return build


def _status() -> CaptureStatus:
    now = datetime(2025, 9, 1, tzinfo=UTC)
    model = Model(
        name="cageclock-demo",
        model_version="0.1.0",
        release=1,
        sha256="0" * 64,
        preprocess_version="3",
        runtime="ai-edge-litert 2.0",
        notice="trained on simulated mice; no biological claim",
    )
    counters = dict.fromkeys(("flushes", "reopens", "restarts", "reboots", "failed_slots", "stale_frames"), 0)
    camera = {
        "backend": "picamera",
        "model": "imx708_noir",
        "width": 2028,
        "height": 1520,
        "tuning_file": "imx708.json",
    }
    return CaptureStatus(
        device_id="bench",
        version="0",
        boot_id="0" * 32,
        pid=1,
        first_started_at=now,
        started_at=now,
        updated_at=now,
        monotonic_s=1.0,
        last_due_s=1.0,
        config_sha256="0" * 64,
        camera=dict(camera),
        model=model,
        last_fresh_frame_at=now,
        last_fresh_frame_monotonic_s=1.0,
        recovery=counters,
        failed_in_a_row=0,
        restarts_in_a_row=0,
        unsynced=None,
        clock_synced=True,
        ended="",
        problem="",
    )


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
