"""Where a secret lies: a file, or `credential:NAME`, which systemd's LoadCredential puts before one unit only."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import OperatorError

_PREFIX = "credential:"


def secret_path(place: str, key: str) -> Path:
    """Return the file that the setting `key` means by `place`. Only the path: nothing is read here.

    Raises:
        OperatorError: it is a credential, and this process runs in no unit that was given any.
    """
    if not place.startswith(_PREFIX):
        return Path(place)
    name = place.removeprefix(_PREFIX)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise OperatorError(
            f"{key}: {place} needs systemd's LoadCredential={name}:<file> in the unit; none is given. "
            "Outside of the unit, try it through systemd-run with the same LoadCredential"
        )
    return Path(folder) / name
