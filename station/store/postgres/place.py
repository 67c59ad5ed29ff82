"""`database.yaml` in a station's folder: that its log lies on PostgreSQL, and where.

The folder itself stays: the pictures lie there, `station.json`, and the page's own database. Every command that is
given the folder finds the log by this file. It holds no password.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import yaml

from edge.contract.service.settings.document import read_document
from edge.errors import OperatorError
from station.store.postgres.address import Address, read_address

FILE = "database.yaml"
_ABOUT = "# Where the log of this folder lies; written by cageclock-station, read by every command on the folder.\n"


def find_address(data: Path) -> Address | None:
    """Return where the log of a folder lies on PostgreSQL, None where the folder says nothing.

    Raises:
        OperatorError: the file cannot be read, or says something that cannot be used.
    """
    path = data / FILE
    if not os.path.exists(path):
        return None
    return read_address(read_document(path).values, path)


def keep_address(data: Path, address: Address) -> None:
    """Have the folder say where its log lies, from now on.

    Raises:
        OperatorError: it says something else, or the folder cannot be written.
    """
    known = find_address(data)
    if known == address:
        return
    path = data / FILE
    if known is not None and known.database != address.database:
        raise OperatorError(
            f"{path}: the log of this folder lies in {known.shown}, the settings say {address.shown}; a log is moved "
            "by `cageclock-station copy`; to give the same one another address, change the file too"
        )
    try:
        data.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(FILE + ".tmp")
        values = {key: value for key, value in msgspec.to_builtins(address).items() if value not in (None, "checked")}
        temporary.write_text(_ABOUT + yaml.safe_dump(values, sort_keys=True), encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise OperatorError(f"{path}: expected a folder that can be written, got {error}") from error
