"""Bundle files of the station: kept by their identity, served to the devices."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from edge.contract.bundle.bundle import Bundle
from edge.errors import StorageError
from station.fleet.keep.history import keep

FOLDER = "bundles"


@dataclass(frozen=True, slots=True)
class Kept:
    """One bundle. sha256: its identity. file_sha256, bytes: of the whole file.

    signatures: name of the key -> whose it is, and whether it counts.
    """

    sha256: str
    name: str
    channel: str
    release: int
    model_version: str
    file_sha256: str
    bytes: int
    signatures: dict[str, str]


def bundle_path(data: Path, sha256: str) -> Path:
    """Return where a bundle's file lies."""
    return data / FOLDER / f"{sha256}.bundle"


def keep_file(data: Path, file: Path, sha256: str) -> None:
    """Copy a file into the station's folder durably, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    place = bundle_path(data, sha256)
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(mode=0o750, exist_ok=True)
        with temporary.open("wb") as out:
            out.write(file.read_bytes())
            out.flush()
            os.fsync(out.fileno())
        temporary.chmod(0o640)
        os.replace(temporary, place)
        handle = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"{place}: cannot be written: {error.strerror}") from error


def keep_bundle(
    connection: sqlite3.Connection, now_s: float, who: str, bundle: Bundle, size: int, signatures: dict[str, str]
) -> None:
    """Keep what a bundle is, in the caller's transaction; a second time only its signatures may differ."""
    manifest = bundle.manifest
    known = connection.execute("SELECT 1 FROM bundles WHERE sha256 = ?", (bundle.sha256,)).fetchone()
    row = (
        bundle.sha256, manifest.name, manifest.channel, manifest.release, manifest.model_version, bundle.file_sha256,
        size, now_s, who, json.dumps(signatures, sort_keys=True),
    )  # fmt: skip
    connection.execute("INSERT OR REPLACE INTO bundles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    if known is None:
        keep(connection, now_s, who, "bundle", f"{manifest.name} {manifest.model_version}, release {manifest.release}")


def load_bundle(connection: sqlite3.Connection, sha256: str) -> Kept | None:
    """Return a bundle that the station keeps, None where it has none of this identity."""
    row = connection.execute("SELECT * FROM bundles WHERE sha256 = ?", (sha256,)).fetchone()
    if row is None:
        return None
    return Kept(
        row["sha256"], row["name"], row["channel"], row["release"], row["model_version"], row["file_sha256"],
        row["bytes"], json.loads(row["signatures"]),
    )  # fmt: skip
