"""The newest `model/desired`, as publish leaves it for the fetcher, and what the fetcher says of it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from edge.bundle.slots import write_durably
from edge.config.state_folder import publish_folder
from edge.contract import jsontext
from edge.contract.base import Struct
from edge.contract.desired import MAX_DESIRED_BYTES, Desired, read_desired
from edge.errors import MessageError

WISH = "model-desired.json"
FOLDER = "fetch"
STATE = "state.json"
INBOX = "inbox"
REVERT = ".revert"
"""A file of such a name in the inbox holds the digest of the bundle to go back from."""
_MAX_STATE_BYTES = 100_000


class FetchState(Struct, frozen=True, kw_only=True):
    """How far the fetcher is with one wish.

    wish: see `name_of_wish`.
    state: `done` once the bundle unit has carried the wish out; what became of it stands in its history.
    handed: number of the newest entry of the history when the file was laid into the inbox, None before.
    wrong: how often a whole file came that was not the one wished for. gate: what a refusal that may pass depends on.
    bytes, size: of the file, so far.
    """

    schema: Literal["cageclock/fetch/1"] = "cageclock/fetch/1"
    wish: str = ""
    digest: str = ""
    state: Literal["none", "waiting", "fetching", "installing", "refused", "done"] = "none"
    reason: str = ""
    advice: str = ""
    since: datetime | None = None
    handed: int | None = None
    wrong: int = 0
    gate: str = ""
    bytes: int = 0
    size: int = 0

    def is_of(self, wish: Desired) -> bool:
        """Return whether it is about this wish."""
        return self.wish == name_of_wish(wish)


def name_of_wish(wish: Desired) -> str:
    """Return what names a wish with everything that it says: one whose address was corrected is another one."""
    return hashlib.sha256(jsontext.encode(wish)).hexdigest()


def keep_wish(state_dir: Path, payload: bytes) -> None:
    """Leave a message for the fetcher, or take the one before away where it is empty.

    Raises:
        OSError: it cannot be written.
    """
    path = publish_folder(state_dir) / WISH
    if payload:
        write_durably(path, payload)
    else:
        path.unlink(missing_ok=True)


def read_wish(state_dir: Path, device_id: str) -> Desired | None:
    """Return the wish that publish left; None where there is none that can be read."""
    try:
        with (publish_folder(state_dir) / WISH).open("rb") as file:
            return read_desired(file.read(MAX_DESIRED_BYTES + 1), device_id)
    except (OSError, MessageError):
        return None


def read_fetch_state(state_dir: Path) -> FetchState:
    """Return what the fetcher says; nothing where the file is missing or damaged."""
    try:
        with (state_dir / FOLDER / STATE).open("rb") as file:
            return jsontext.decode(file.read(_MAX_STATE_BYTES), FetchState)
    except (OSError, MessageError):
        return FetchState()


def write_fetch_state(state_dir: Path, state: FetchState) -> None:
    """Keep it durably.

    Raises:
        OSError: it cannot be written.
    """
    folder = state_dir / FOLDER
    folder.mkdir(mode=0o750, exist_ok=True)
    write_durably(folder / STATE, jsontext.encode(msgspec.structs.replace(state, advice=state.advice[:1000])))
