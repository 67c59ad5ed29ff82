"""What capture keeps on disk beside the outbox: its status, the reference view, the archive of crops."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edge.capture.archive import Archive
from edge.capture.reading import jpeg_size
from edge.capture.reference import Reference
from edge.capture.status import CaptureStatus, read_status, write_status
from edge.config.state_folder import CAPTURE_STATUS
from edge.config.tree import Archive as ArchiveSettings
from edge.contract.reading import Light, Outcome
from edge.footage.picture import read_image
from edge.vision.image import encode_jpeg
from edge.vision.quality import shift_against

AT = datetime(2024, 1, 1, tzinfo=UTC)
RNG = np.random.default_rng(7)


def status(**changes: object) -> CaptureStatus:
    fields: dict[str, object] = {
        "device_id": "a",
        "version": "1",
        "boot_id": "b",
        "pid": 1,
        "first_started_at": AT,
        "started_at": AT,
        "updated_at": AT,
        "monotonic_s": 1.0,
        "last_due_s": None,
        "config_sha256": "c",
        "camera": {"backend": "simulated"},
        "model": None,
        "last_fresh_frame_at": None,
        "last_fresh_frame_monotonic_s": None,
        "recovery": {"flushes": 2},
        "failed_in_a_row": 0,
        "restarts_in_a_row": 1,
        "unsynced": None,
        "clock_synced": True,
        "ended": "",
        "problem": "",
    }
    return CaptureStatus(**(fields | changes))  # type: ignore[arg-type]


def test_the_status_is_read_back(tmp_path: Path) -> None:
    write_status(tmp_path, status())
    assert read_status(tmp_path) == status()
    assert [path.name for path in tmp_path.iterdir()] == [CAPTURE_STATUS]


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff\xfe", b'{"device_id": 3}'])
def test_a_status_that_a_power_cut_damaged_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CAPTURE_STATUS).write_bytes(content)
    assert read_status(tmp_path) is None


def test_a_status_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    write_status(tmp_path / "none", status())
    assert read_status(tmp_path / "none") is None


def test_the_first_usable_picture_of_a_light_is_its_reference(tmp_path: Path) -> None:
    first, second = (RNG.integers(0, 255, (120, 160)).astype(np.uint8) for _ in range(2))
    reference = Reference(tmp_path)
    assert reference.of(Light.LIGHT) is None
    reference.offer(Light.LIGHT, Outcome.DARK, second)
    reference.offer(Light.UNKNOWN, Outcome.OK, second)
    reference.offer(Light.LIGHT, Outcome.NO_MOUSE, first)
    reference.offer(Light.LIGHT, Outcome.OK, second)
    kept = Reference(tmp_path)
    spectrum = kept.of(Light.LIGHT)
    assert spectrum is not None
    assert shift_against(first, spectrum) == 0.0
    assert shift_against(np.roll(first, 12, axis=1), spectrum) == pytest.approx(12.0)
    assert kept.of(Light.DARK) is None
    assert kept.of(Light.UNKNOWN) is None


def test_a_damaged_reference_is_taken_anew(tmp_path: Path) -> None:
    (tmp_path / "reference-light.npy").write_bytes(b"nonsense")
    assert Reference(tmp_path).of(Light.LIGHT) is None


def test_a_crop_is_kept_exactly_under_its_digest(tmp_path: Path) -> None:
    crop = RNG.integers(0, 255, (40, 64, 1)).astype(np.uint8)
    (digest,) = Archive(tmp_path, ArchiveSettings(enabled=True)).keep([crop])
    kept = read_image(tmp_path / "archive" / f"{digest}.png")
    assert (kept[..., 0] == crop[..., 0]).all()


def test_an_archive_that_is_off_keeps_nothing(tmp_path: Path) -> None:
    crop = np.zeros((4, 4, 1), np.uint8)
    assert Archive(tmp_path, ArchiveSettings(enabled=False)).keep([crop]) == ()
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_crops_go_first_at_the_ceiling(tmp_path: Path) -> None:
    archive = Archive(tmp_path, ArchiveSettings(enabled=True, max_mb=1))
    digests = [
        digest for _ in range(30) for digest in archive.keep([RNG.integers(0, 255, (256, 256, 1)).astype(np.uint8)])
    ]
    kept = {path.stem for path in (tmp_path / "archive").iterdir()}
    assert sum(path.stat().st_size for path in (tmp_path / "archive").iterdir()) <= 1_000_000
    assert digests[-1] in kept
    assert digests[0] not in kept


@pytest.mark.parametrize("width", [64, 200])
def test_a_jpegs_size_is_read_from_its_header(width: int) -> None:
    jpeg = encode_jpeg(np.zeros((100, 200, 3), np.uint8), width=width, quality=70, max_bytes=10_000)
    assert jpeg_size(jpeg) == (width, width // 2)
    with pytest.raises(ValueError, match="JPEG"):
        jpeg_size(b"\xff\xd8")
