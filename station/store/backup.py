"""A backup of a log, made beside a running station, and the log that is made of one.

A restored log has another identity (`station_db`): the devices then send again what they still hold, which fills the
hole between the backup and now.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from edge.errors import OperatorError, StorageError
from station.store import schema
from station.store.copy_log import digest_devices
from station.store.postgres.address import Address
from station.store.postgres.place import find_address, keep_address

ABOUT: Final = "backup.json"
DUMP: Final = "station.dump"
PICTURES: Final = "SELECT path, sha256 FROM main.thumbnails WHERE path NOT LIKE 'removed:%'"
"""Those that have a file: not what retention removed."""
_FORM: Final = "cageclock/backup/1"
_PAGES: Final = 2000
"""Of SQLite a step, so that the logger finds its turn."""


def back_up(data: Path, out: Path) -> dict[str, Any]:
    """Return what the backup's own description says. out: a new folder; it is complete once `backup.json` is there.

    Raises:
        OperatorError: there is no log, or the folder is there already.
        StorageError: the backup could not be made.
    """
    if not schema.has_log(data):
        raise OperatorError(f"{data}: expected a station's folder, found no log")
    address = find_address(data)
    try:
        out.mkdir(parents=True)
    except FileExistsError as error:
        raise OperatorError(f"{out}: expected a folder that is not there yet, to write a backup into it") from error
    except OSError as error:
        raise OperatorError(f"{out}: cannot be made: {error}") from error
    if address is None:
        _back_up_sqlite(data, out)
        with closing(sqlite3.connect(f"file:{out / schema.DATABASE}?mode=ro", uri=True)) as copy:
            devices, pictures = digest_devices(copy), _pictures(copy)
    else:
        _pg(
            "pg_dump", address, "-Fc", "--no-owner", "--no-privileges", "-n", "main", "-n", "readable", "-f", out / DUMP
        )
        with closing(schema.open_for_reading(data)) as connection:
            devices, pictures = digest_devices(connection), _pictures(connection)
    missing = copy_pictures(data, out, pictures)
    about = {
        "schema": _FORM,
        "made_at": datetime.now(UTC).isoformat(),
        "database": "sqlite" if address is None else "postgresql",
        "devices": {device: {"records": number, "sha256": digest} for device, (number, digest) in devices.items()},
        "pictures": len(pictures) - len(missing),
        "missing_pictures": len(missing),
    }
    _write_durably(out / ABOUT, json.dumps(about, indent=2, ensure_ascii=False).encode())
    return about


def restore(backup: Path, data: Path, address: Address | None) -> dict[str, Any]:
    """Return what the backup says of itself, once its log is in place. address: where a log of PostgreSQL is to lie.

    Raises:
        OperatorError: it is no complete backup, the folder holds a log already, or the database is not empty.
        StorageError: the log could not be made.
    """
    about = _read_about(backup)
    if schema.has_log(data):
        raise OperatorError(f"{data}: expected a folder without a log, found one; move it aside first")
    if (about["database"] == "postgresql") != (address is not None):
        wanted = "--database URL of an empty database" if address is None else "no --database: it is a log on SQLite"
        raise OperatorError(f"{backup}: expected {wanted}; `cageclock-station copy` moves a log from one to the other")
    data.mkdir(parents=True, exist_ok=True)
    pictures = [path.relative_to(backup).as_posix() for path in (backup / "thumbnails").rglob("*.jpg")]
    copy_pictures(backup, data, [(path, None) for path in pictures])
    if address is None:
        _restore_sqlite(backup, data)
    else:
        _restore_postgres(backup, data, address)
    return about


def copy_pictures(source: Path, target: Path, pictures: list[tuple[str, str | None]]) -> list[str]:
    """Return the pictures (path and digest, None for any) that are not there, or not what they should be.

    What the target has already is left; all of it is on disk when this returns.
    """
    missing, folders = [], set()
    for path, digest in pictures:
        place = target / path
        try:
            content = (source / path).read_bytes()
            if digest is not None and hashlib.sha256(content).hexdigest() != digest:
                missing.append(path)
                continue
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                _write_durably(place, content)
                folders |= {place.parent, *place.parent.relative_to(target).parents}
        except FileNotFoundError:
            missing.append(path)
        except OSError as error:
            raise StorageError(f"{place}: cannot be copied: {error}") from error
    for folder in folders:
        _sync(target / folder)
    return missing


def _back_up_sqlite(data: Path, out: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{data / schema.DATABASE}?mode=ro", uri=True)) as source:
            with closing(sqlite3.connect(out / schema.DATABASE)) as target:
                source.backup(target, pages=_PAGES, sleep=0.01)
                target.execute("PRAGMA journal_mode=DELETE")
        _sync(out / schema.DATABASE)
    except sqlite3.Error as error:
        raise StorageError(f"{data}: could not be backed up: {error}") from error


def _restore_sqlite(backup: Path, data: Path) -> None:
    part = data / f"{schema.DATABASE}.part"
    try:
        shutil.copyfile(backup / schema.DATABASE, part)
        with closing(sqlite3.connect(part)) as connection:
            _give_identity(connection)
            connection.commit()
        _sync(part)
        os.replace(part, data / schema.DATABASE)
        _sync(data)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{data}: could not be restored: {error}") from error


def _restore_postgres(backup: Path, data: Path, address: Address) -> None:
    try:
        with closing(schema.on_postgres(address, reading=True)):
            raise OperatorError(f"{address.shown}: expected an empty database, found a log")
    except OperatorError as error:
        if "found none" not in str(error):
            raise
    words = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
    _pg("pg_restore", address, *words, "-d", address.database, backup / DUMP)
    with closing(schema.on_postgres(address, reading=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        _give_identity(connection)
        connection.execute("COMMIT")
    keep_address(data, address)


def _give_identity(connection: sqlite3.Connection) -> None:
    """Have the devices know it for another log, which asks them for what they still hold."""
    connection.execute("UPDATE meta SET value = ? WHERE key = 'station_db'", (secrets.token_hex(16),))
    connection.execute("DELETE FROM meta WHERE key = 'verify'")


def _pictures(connection: sqlite3.Connection) -> list[tuple[str, str | None]]:
    return [(row[0], row[1]) for row in connection.execute(PICTURES).fetchall()]


def _read_about(backup: Path) -> dict[str, Any]:
    path = backup / ABOUT
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path}: expected a complete backup, got {error}") from error
    if not isinstance(found, dict) or found.get("schema") != _FORM:
        raise OperatorError(f"{path}: expected {_FORM}, got something else; use the program that made it")
    return found


def _pg(program: str, address: Address, *words: object) -> None:
    """Run a program of PostgreSQL's.

    Raises:
        OperatorError: it is not installed.
        StorageError: it failed; its own words are given.
    """
    connection = ["-d", address.database] if program == "pg_dump" else []
    command = [_find(program), *connection, "--no-password", *map(str, words)]
    environment = os.environ | address.environment() | {"PGAPPNAME": "cageclock-station", "LC_ALL": "C"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StorageError(f"{address.shown}: {program}: {' '.join(done.stderr.split()) or done.returncode}")


def _find(program: str) -> str:
    """Return the newest one: an older pg_dump refuses a newer server."""
    folders = [path for path in Path("/usr/lib/postgresql").glob("[0-9]*/bin") if (path / program).is_file()]
    if folders:
        return str(max(folders, key=lambda path: int(path.parent.name.partition(".")[0])) / program)
    found = shutil.which(program)
    if found is None:
        raise OperatorError(f"{program} is not installed; on Debian: apt-get install postgresql-client")
    return found


def _write_durably(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
