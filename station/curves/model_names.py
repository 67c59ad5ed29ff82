"""Which digests name the same model, as the devices' events say it.

Earlier versions named a model by its file's digest, later ones by its signed manifest's: that is no other model.
"""

from __future__ import annotations

import json
import sqlite3

_RENAMED = "SELECT device, detail FROM events WHERE code = 'model_changed' AND detail LIKE '%same_model%'"


class ModelNames:
    """The present digest of a model, by device and former digest."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read the devices' events; what is no such event is passed over."""
        self._present: dict[tuple[str, str], str] = {}
        for device, detail in connection.execute(_RENAMED).fetchall():
            try:
                found = json.loads(detail)
            except ValueError:
                continue
            if isinstance(found, dict) and found.get("same_model") is True:
                self._present[device, str(found.get("before"))] = str(found.get("now"))

    def present(self, device: str, sha256: str | None) -> str | None:
        """Return the digest by which the model of a reading is known today."""
        return None if sha256 is None else self._present.get((device, sha256), sha256)
