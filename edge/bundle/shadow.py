"""The candidate that runs beside the active bundle: `shadow.bundle` and how long it is to run; never the active one.

Only the bundle unit writes these two. Capture runs the candidate in a child process and counts its hours in a file of
its own (`edge.capture.shadow`); publish reports both.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

from edge.bundle.slots import FOLDER, write_durably
from edge.config.state_folder import capture_folder
from edge.contract import jsontext
from edge.contract.base import Struct
from edge.errors import MessageError

NAME = "shadow.json"
STATE = "shadow-run.json"
DEFAULT_HOURS = 24.0
MOST_HOURS = 1440.0
_MAX_BYTES = 10_000
T = TypeVar("T", bound=Struct)
_ASKS = re.compile(r".*\.shadow(?:-([0-9]{1,4}(?:\.[0-9]{1,3})?)h)?\.bundle", re.DOTALL)


class ShadowOrder(Struct, frozen=True, kw_only=True):
    """Which candidate is to run beside the active bundle, and for how many hours of work."""

    schema: Literal["cageclock/shadow/1"] = "cageclock/shadow/1"
    sha256: str
    name: str
    model_version: str
    channel: str
    release: int
    hours: float
    since: datetime


class ShadowState(Struct, frozen=True, kw_only=True):
    """How far capture is with it. fault: why it does not run any more, "" while it does or has run to its end.

    begun: the candidate is at work, or was when the process ended. failures: in a row.
    """

    schema: Literal["cageclock/shadow-state/1"] = "cageclock/shadow-state/1"
    sha256: str = ""
    minutes: float = 0.0
    captures: int = 0
    failures: int = 0
    begun: bool = False
    fault: str = ""


def hours_asked(file: str) -> float | None:
    """Return for how long a file's name asks to run it in the shadow: `x.shadow-36h.bundle`; None where it does not.

    `x.shadow.bundle` asks for DEFAULT_HOURS.
    """
    found = _ASKS.fullmatch(file)
    if found is None:
        return None
    return DEFAULT_HOURS if found[1] is None else min(max(float(found[1]), 0.001), MOST_HOURS)


def name_asking(stem: str, hours: float) -> str:
    """Return the file name that asks for so many hours in the shadow."""
    return f"{stem}.shadow-{min(max(hours, 0.001), MOST_HOURS):.3f}h.bundle"


def read_order(state_dir: Path) -> ShadowOrder | None:
    """Return which candidate is to run; None where there is none, or the file is damaged."""
    return _read(state_dir / FOLDER / NAME, ShadowOrder)


def write_order(state_dir: Path, order: ShadowOrder) -> None:
    """Keep which candidate is to run.

    Raises:
        OSError: it cannot be written.
    """
    write_durably(state_dir / FOLDER / NAME, jsontext.encode(order))


def read_shadow_state(state_dir: Path) -> ShadowState:
    """Return how far capture is with a candidate; a damaged or missing file counts from the beginning."""
    return _read(state_path(state_dir), ShadowState) or ShadowState()


def state_path(state_dir: Path) -> Path:
    """Return where capture keeps it: in its own folder."""
    return capture_folder(state_dir) / STATE


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        with path.open("rb") as file:
            return jsontext.decode(file.read(_MAX_BYTES), kind)
    except (OSError, MessageError):
        return None
