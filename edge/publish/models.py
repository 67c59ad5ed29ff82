"""What the lab wishes of the model and sends of its keys: handed on to those who may act on it.

Publish believes none of it. A wish goes into a small file for the fetcher; statements and the online key's word go into
the inbox, where the bundle unit verifies them. What was handed on once is remembered, because a retained message comes
again with each connection.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from edge.bundle.wish import INBOX, keep_wish
from edge.config.state_folder import publish_folder
from edge.config.tree import Config
from edge.contract.desired import read_desired
from edge.contract.model_trust import read_model_trust
from edge.errors import MessageError

_HANDED = "models-handed.txt"
_CHAIN, _WORD = "lab.trust.json", "lab.freshness.json"


class Models:
    """Acts on `model/desired` and `model/trust`."""

    def __init__(self, config: Config) -> None:
        """Nothing has come yet since the start; what an earlier process handed on is remembered."""
        self._config, self._state_dir = config, Path(config.state_dir)
        self.unreadable = ""
        """Why the newest wish is none, "" while it can be read."""
        self._handed = self._read_handed()

    def desire(self, payload: bytes) -> None:
        """Hand a wish on. One that cannot be read takes the one before away: nobody wishes for that any more.

        Raises:
            MessageError: it is none, or another device's.
        """
        self.unreadable = ""
        try:
            read_desired(payload, self._config.device_id)
        except MessageError as error:
            self.unreadable = str(error)
            self._keep(b"")
            raise
        self._keep(payload)

    def learn(self, payload: bytes) -> None:
        """Lay new statements, and a new word of the online key, into the inbox.

        Raises:
            MessageError: it is no such message, or it cannot be written now.
        """
        message = read_model_trust(payload)
        if message is None or self._config.bundle.trust is None:
            return
        self._hand(_CHAIN, message.chain_file())
        if message.freshness is not None:
            self._hand(_WORD, message.freshness.encode("ascii", "replace"))

    def _keep(self, payload: bytes) -> None:
        try:
            keep_wish(self._state_dir, payload)
        except OSError as error:
            raise MessageError(f"the wish cannot be kept: {error.strerror}") from error

    def _hand(self, name: str, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        if self._handed.get(name) == digest:
            return
        inbox = self._state_dir / INBOX
        fresh = inbox / f".{name}"
        try:
            inbox.mkdir(mode=0o770, exist_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, inbox / name)
        except OSError as error:
            raise MessageError(f"{inbox}: {error.strerror}") from error
        self._handed[name] = digest
        # Not durable: after a power cut it is handed on once more, and is known there.
        with contextlib.suppress(OSError):
            lines = "".join(f"{one} {sha256}\n" for one, sha256 in sorted(self._handed.items()))
            (publish_folder(self._state_dir) / _HANDED).write_text(lines)

    def _read_handed(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError):
            lines = (publish_folder(self._state_dir) / _HANDED).read_text().splitlines()[:10]
            return {line.split()[0]: line.split()[1] for line in lines if len(line.split()) == 2}
        return {}
