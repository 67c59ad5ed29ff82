"""The newest word of the lab's online key on this device, `bundles/freshness.json`, and what its absence stops.

It stops installations and nothing else. By a clock that is not set nothing is ever late (`trust_store.judge_time`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from edge.bundle.slots import FOLDER, write_durably
from edge.config.tree import Config
from edge.contract.bundle.freshness import MAX_FRESHNESS_BYTES, Freshness, read_freshness
from edge.contract.bundle.statement import Statement
from edge.errors import BundleError

NAME = "freshness.json"
_AHEAD = timedelta(hours=1)


def read_word(config: Config, newest: Statement) -> Freshness | None:
    """Return the word that is held; None where there is none that the newest statement's online key has signed."""
    try:
        with _path(config).open("rb") as file:
            return read_freshness(file.read(MAX_FRESHNESS_BYTES + 1), newest)
    except (OSError, BundleError):
        return None


def write_word(config: Config, envelope: bytes) -> None:
    """Keep a word that was accepted.

    Raises:
        OSError: it cannot be written.
    """
    write_durably(_path(config), envelope)


def accept_word(
    held: Freshness | None, envelope: bytes, newest: Statement, judged: tuple[datetime, str]
) -> Freshness | None:
    """Return a word that is newer than the one held; None where it is the same.

    judged: the time, and a sentence where that is not the clock's, from `judge_time`.

    Raises:
        BundleError: not signed as it takes; older than what is held; of the future or over by a clock that is set.
    """
    word = read_freshness(envelope, newest)
    if held is not None and word == held:
        return None
    if held is not None and _to_come(held, judged):
        held = None  # signed by a station whose clock ran ahead, taken while this device's clock was not set
    if held is not None and (word.signed_at, word.trust_version) < (held.signed_at, held.trust_version):
        raise BundleError(
            f"freshness: older: one of {held.signed_at.isoformat(timespec='seconds')} is held, got one of "
            f"{word.signed_at.isoformat(timespec='seconds')}"
        )
    at, note = judged
    if _to_come(word, judged):
        raise BundleError(
            f"freshness: it was signed at {word.signed_at.isoformat(timespec='seconds')}, which is still to come by "
            f"this device's clock ({at.isoformat(timespec='seconds')}); correct the station's clock"
        )
    if not note and word.expires_at <= at:
        raise BundleError(
            f"freshness: it held until {word.expires_at.isoformat(timespec='seconds')}, which is over; have the "
            "station sign a new one, or correct its clock"
        )
    return word


def why_frozen(word: Freshness | None, newest: Statement, judged: tuple[datetime, str]) -> str:
    """Return why nothing is installed, beginning with `frozen:` or `behind:`; "" where nothing keeps it."""
    at, _ = judged
    if isinstance(newest.online, msgspec.UnsetType):
        return ""
    if word is None or _to_come(word, judged):
        return "frozen: no word of the lab's online key has reached this device; let the station send one (model/trust)"
    if word.trust_version > newest.version:
        return (
            f"behind: trust statement {word.trust_version} exists, and this device holds {newest.version}: somebody or "
            "something keeps the newer one from it; send trust.json"
        )
    if at >= word.expires_at:
        until = word.expires_at.isoformat(timespec="seconds")
        return (
            f"frozen: the last word of the lab's online key held until {until}; "
            "somebody or something keeps newer ones from this device, or the station is off"
        )
    return ""


def _to_come(word: Freshness, judged: tuple[datetime, str]) -> bool:
    at, note = judged
    return not note and word.signed_at > at + _AHEAD


def _path(config: Config) -> Path:
    return Path(config.state_dir) / FOLDER / NAME
