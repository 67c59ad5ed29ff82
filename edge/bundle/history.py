"""What was installed and refused on this device, and the highest release of each channel: `bundles/history.json`.

Bundles are named by the digest of their signed manifest. Earlier versions named them by the digest of the file; what
they wrote stays, and `adopting` adds the new name wherever the file is still there to identify it by.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from edge.bundle.slots import FOLDER, write_durably
from edge.contract import jsontext
from edge.contract.base import Struct
from edge.contract.bundle.bundle import Bundle
from edge.contract.bundle.statement import Statement
from edge.errors import BundleError, MessageError

NAME = "history.json"
KEPT = 200
"""Entries; whoever can fill the inbox must not be able to fill the card."""


class Entry(Struct, frozen=True, kw_only=True):
    """One attempt to install, or to go back. `reason` is for people.

    A refused file that is no bundle has only its name and the reason.

    waiting: it could not be taken for a reason that is not the file's, and lies in the inbox still. floor reset: by
    hand, with the channel and its new floor as `release`. trust updated: newer trust statements are in force.

    shadow: it runs beside the active one from now on, or does so no longer.

    number: counts all attempts from 1, so that capture reports each of them once; 0 is from before they were counted.
    by: who decided; capture reports its own trial's verdict itself.
    left: the digest of the bundle that a rollback replaced.
    """

    at: datetime
    number: int = 0
    by: Literal["person", "trial"] = "person"
    result: Literal[
        "installed",
        "active already",
        "refused",
        "rolled back",
        "waiting",
        "floor reset",
        "trust updated",
        "shadow",
        "shadow ended",
    ]
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

    floor_of: per channel the bundle that raised the floor to where it is: it alone may be installed at that number
    again, because a power cut may have come between the floor and the switch.
    refused: digests that were once active and rolled back or condemned by their trial; they are not installed again.
    renamed: digests of files, as earlier versions named bundles, and what the same bundles are named now.
    channel: of the newest bundle that became the active one; where the settings name none, the device keeps to it.
    trust_version: of the newest trust statement whose floors and revocations were carried out; an older one never
    counts again. trusted_at: the latest time that was known for sure.
    """

    schema: Literal["cageclock/installs/1"] = "cageclock/installs/1"
    floors: dict[str, int] = msgspec.field(default_factory=dict)
    floor_of: dict[str, str] = msgspec.field(default_factory=dict)
    refused: tuple[str, ...] = ()
    renamed: dict[str, str] = msgspec.field(default_factory=dict)
    channel: str | None = None
    trust_version: int = 0
    trusted_at: datetime | None = None
    entries: tuple[Entry, ...] = ()

    def adding(self, entry: Entry) -> History:
        """Return the history with one more entry, the oldest dropped."""
        number = self.entries[-1].number + 1 if self.entries else 1
        entry = msgspec.structs.replace(entry, number=number)
        return msgspec.structs.replace(self, entries=(*self.entries, entry)[-KEPT:])

    def raised(self, bundle: Bundle) -> History:
        """Return the history with the floor of a bundle's channel at its release; it has passed `check_release`."""
        channel = bundle.manifest.channel
        floors = self.floors | {channel: bundle.manifest.release}
        return msgspec.structs.replace(self, floors=floors, floor_of=self.floor_of | {channel: bundle.sha256})

    def reset(self, channel: str, release: int) -> History:
        """Return the history with a channel's floor as a person set it."""
        floor_of = {name: sha256 for name, sha256 in self.floor_of.items() if name != channel}
        return msgspec.structs.replace(self, floors=self.floors | {channel: release}, floor_of=floor_of)

    def at_time(self, now: datetime) -> History:
        """Return the history with the latest time that was known for sure."""
        return msgspec.structs.replace(self, trusted_at=now)

    def obeying(self, statement: Statement) -> History:
        """Return the history with a new trust statement carried out: the floors that it takes back, its version."""
        history = self
        for channel, floor in statement.floors.items():
            if floor.reset and history.floors.get(channel, 0) >= floor.release:
                history = history.reset(channel, floor.release - 1)
        return msgspec.structs.replace(history, trust_version=statement.version)

    def adding_waiting(self, file: str, reason: str) -> History:
        """Return the history with the reason why a file waits, the same where that is its newest entry already."""
        entry = Entry(at=now(), result="waiting", file=printable(file), reason=reason[:500])
        last = next((one for one in reversed(self.entries) if one.file == entry.file), None)
        known = last is not None and (last.result, last.reason) == (entry.result, entry.reason)
        return self if known else self.adding(entry)

    def refusing(self, sha256: str) -> History:
        """Return the history with one more digest refused for good."""
        return msgspec.structs.replace(self, refused=tuple(sorted({*self.refused, sha256})))

    def allowing(self, bundle: Bundle) -> History:
        """Return the history with a bundle refused no longer, under whichever name."""
        left = tuple(sha256 for sha256 in self.refused if sha256 not in (bundle.sha256, bundle.file_sha256))
        return msgspec.structs.replace(self, refused=left)

    def refuses(self, bundle: Bundle) -> bool:
        """Return whether a bundle is refused for good, by its name or by the one that older versions gave it."""
        return not {bundle.sha256, bundle.file_sha256}.isdisjoint(self.refused)

    def adopting(self, bundle: Bundle) -> History:
        """Return the history with a bundle's name beside the one that an earlier version wrote; the same if none."""
        old, new = bundle.file_sha256, bundle.sha256
        known = old in self.refused or any(entry.sha256 == old for entry in self.entries)
        if not known or self.renamed.get(old) == new:
            return self
        adopted = self.refusing(new) if old in self.refused else self
        return msgspec.structs.replace(adopted, renamed=self.renamed | {old: new})


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
    """Return the wall clock for an entry; nothing is decided by it."""
    return datetime.now(UTC)


def printable(name: str) -> str:
    """Return a file's name as text that can be written; a name may be any bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def refusal(file: str, reason: str) -> Entry:
    """Return the entry of a file that was refused and could not be read."""
    return Entry(at=now(), result="refused", file=printable(file), reason=reason[:500])


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
