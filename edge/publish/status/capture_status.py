"""What capture says of itself in `capture.json`, as far as publish shows it; every field may be missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from edge.config.state_folder import CAPTURE_STATUS, capture_folder, outbox_path
from edge.contract import jsontext
from edge.contract.base import Scalar
from edge.contract.reading import Model
from edge.errors import MessageError
from edge.outbox.lock import is_held
from edge.outbox.two_slots import read_slots


@dataclass(frozen=True, slots=True)
class CaptureState:
    """The newest state of the capture process.

    problem: a sentence, "" while all is well. ended: how the last process ended, "" while one runs or was killed.
    """

    camera: dict[str, Scalar] = field(default_factory=dict)
    model: Model | None = None
    config_sha256: str = ""
    last_fresh_frame_at: datetime | None = None
    recovery: dict[str, int] = field(default_factory=dict)
    problem: str = ""
    ended: str = ""


def capture_runs(state_dir: Path) -> bool:
    """Return whether a capture process has this state directory."""
    return is_held(capture_folder(state_dir) / "outbox.lock")


def capture_has_begun(state_dir: Path) -> bool:
    """Return whether a capture process ever wrote here."""
    return outbox_path(state_dir).exists() or (capture_folder(state_dir) / CAPTURE_STATUS).exists()


def read_capture_state(state_dir: Path) -> CaptureState:
    """Return what the file says; nothing where it is missing or a power cut has damaged it."""
    try:
        found: Any = jsontext.parse(read_slots(capture_folder(state_dir) / CAPTURE_STATUS))
    except (OSError, MessageError):
        return CaptureState()
    if not isinstance(found, dict):
        return CaptureState()
    return CaptureState(
        camera=_field(found, "camera", dict[str, Scalar], {}),
        model=_field(found, "model", Model | None, None),
        config_sha256=_field(found, "config_sha256", str, ""),
        last_fresh_frame_at=_field(found, "last_fresh_frame_at", datetime | None, None),
        recovery=_field(found, "recovery", dict[str, int], {}),
        problem=_field(found, "problem", str, ""),
        ended=_field(found, "ended", str, ""),
    )


def _field(found: dict[str, Any], key: str, kind: Any, default: Any) -> Any:
    try:
        return msgspec.convert(found.get(key, default), kind)
    except msgspec.ValidationError:
        return default
