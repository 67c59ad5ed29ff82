"""What was installed and refused on this device, and the highest release of each channel: `bundles/history.json`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from edge.bundle.slots import FOLDER, write_durably
from edge.contract import jsontext
from edge.contract.base import Struct
from edge.errors import BundleError, MessageError
from edge.model.bundle import Bundle

NAME = "history.json"
KEPT = 200
"""Entries; whoever can fill the inbox must not be able to fill the card."""


class Entry(Struct, frozen=True, kw_only=True):
    """One attempt. `reason` is for people; a refused file that is no bundle has only its name and the reason.

    number: counts all attempts from 1, so that capture tells each of them once; 0 is from before they were counted.
    by: who decided; capture tells of its own trial's verdict itself. left: the digest that a way back went away from.
    """

    at: datetime
    number: int = 0
    by: Literal["person", "trial"] = "person"
    result: Literal["installed", "active already", "refused", "rolled back"]
    file: str
    reason: str = ""
    sha256: str | None = None
    name: str | None = None
    model_version: str | None = None
    channel: str | None = None
    release: int | None = None
    left: str | None = None


class History(Struct, frozen=True, kw_only=True):
    """The newest attempts, oldest first, and per channel the highest release that was ever active.

    refused: digests that were once active and rolled back or condemned by their trial; they are not installed again.
    """

    schema: Literal["cageclock/installs/1"] = "cageclock/installs/1"
    floors: dict[str, int] = msgspec.field(default_factory=dict)
    refused: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()

    def adding(self, entry: Entry) -> History:
        """Return the history with one more entry, the oldest dropped."""
        number = self.entries[-1].number + 1 if self.entries else 1
        entry = msgspec.structs.replace(entry, number=number)
        return msgspec.structs.replace(self, entries=(*self.entries, entry)[-KEPT:])

    def raised(self, channel: str, release: int) -> History:
        """Return the history with a channel's floor at least at `release`."""
        floors = self.floors | {channel: max(release, self.floors.get(channel, 0))}
        return msgspec.structs.replace(self, floors=floors)


def read_history(state_dir: Path) -> History:
    """Return the device's history; a device that never installed anything has an empty one.

    Raises:
        BundleError: the file is damaged. Without the floors an old release could come back, so nothing is installed.
    """
    path = state_dir / FOLDER / NAME
    try:
        return jsontext.decode(path.read_bytes(), History)
    except FileNotFoundError:
        return History()
    except (MessageError, OSError) as error:
        raise BundleError(f"{path}: cannot be read: {error}; move it aside to begin a new history") from error


def write_history(state_dir: Path, history: History) -> None:
    """Replace the file durably.

    Raises:
        OSError: it cannot be written.
    """
    write_durably(state_dir / FOLDER / NAME, jsontext.encode(history))


def now() -> datetime:
    """Return the wall clock for an entry; it labels and decides nothing."""
    return datetime.now(UTC)


def entry_of(result: str, file: str, bundle: Bundle, reason: str = "") -> Entry:
    """Return the entry of an attempt with a bundle that could be read."""
    manifest = bundle.manifest
    return Entry(
        at=now(),
        result=result,  # type: ignore[arg-type]
        file=file,
        reason=reason[:500],
        sha256=bundle.sha256,
        name=manifest.name,
        model_version=manifest.model_version,
        channel=manifest.channel,
        release=manifest.release,
    )
