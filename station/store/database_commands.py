"""`cageclock-station copy | backup | restore | database init`: the commands that move a log, or make one ready."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from edge.contract.service.subcommands import Commands, add_command, add_group
from edge.errors import OperatorError
from station.command_options import add_data
from station.printable import printable

SAY_EVERY_S = 5.0


def add_commands(commands: Commands) -> None:
    """Add them to the station's command line."""
    text = "copy a log, beside a running station too; interrupted or repeated it goes on, until both are the same"
    command = add_command(commands, "copy", copy, text)
    command.add_argument("source", metavar="FROM", help="a station's folder, or postgresql://USER@HOST/DATABASE")
    command.add_argument("target", metavar="TO", help="likewise; empty, or an unfinished copy of FROM")
    _add_password(command)
    text = "write database and pictures into a new folder, beside a running station too"
    command = add_command(commands, "backup", backup, text)
    add_data(command)
    command.add_argument("--out", type=Path, required=True, help="folder to make; complete once backup.json is in it")
    text = "make a log of a backup; it is another one for the devices, which send again what they still hold"
    command = add_command(commands, "restore", restore, text)
    command.add_argument("backup", type=Path, help="the folder that `backup` has made")
    command.add_argument("--data", type=Path, required=True, help="the station's folder, without a log")
    _add_database(command, required=False)
    actions = add_group(commands, "database", "a log on PostgreSQL, made ready by its owner")
    text = "as the owner of the log: make the tables in an empty database, or bring older ones up to date"
    command = add_command(actions, "init", init, text)
    _add_database(command, required=True)
    command.add_argument(
        "--roles", choices=["print", "grant"], help="print or run the statements that part logger, reader and retention"
    )


def _add_database(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument("--database", metavar="URL", required=required, help="postgresql://USER@HOST/DATABASE")
    _add_password(command)


def _add_password(command: argparse.ArgumentParser) -> None:
    command.add_argument("--database-password-file", metavar="FILE", help="file with the database's password")
    command.add_argument(
        "--database-durability",
        choices=["checked", "relaxed"],
        help="relaxed: take a server that may lose its last commits in a power cut (default checked)",
    )


def copy(options: argparse.Namespace) -> int:
    """Copy a log and print the counts of each device; return 0."""
    from station.store.backup import PICTURES, copy_pictures
    from station.store.copy_log import copy_log
    from station.store.place import read_place

    source, target = (read_place(text, _values(options)) for text in (options.source, options.target))
    if not source.has_log():
        raise OperatorError(f"{source}: expected a station's folder, found no log")
    said_s = time.monotonic()

    def progress(table: str, written: int) -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= SAY_EVERY_S:
            said_s = time.monotonic()
            print(f"{table}: {written} rows written", flush=True)

    with source.reading() as one, target.writing() as two:
        done = copy_log(one, two, progress)
        pictures = [(row[0], row[1]) for row in one.execute(PICTURES).fetchall()]
    missing: list[str] = []
    folders = source.folder, target.folder
    if folders[0] is None or folders[1] is None:
        if pictures:
            print("pictures are not copied, as a URL has no folder: they lie in thumbnails/ of the station's folder")
    elif folders[0].resolve() != folders[1].resolve():
        missing = copy_pictures(folders[0], folders[1], pictures)
        print(f"{len(pictures) - len(missing)} pictures, {len(missing)} of them missing or damaged in {source}")
    for device, (number, digest) in sorted(done.devices.items()):
        print(printable(f"{device}: {number} records, the same in both (sha256 {digest[:16]})"))
    print(f"{sum(done.written.values())} rows written to {target}; both hold the same")
    return 0


def backup(options: argparse.Namespace) -> int:
    """Make a backup and print what is in it; return 0."""
    from station.store.backup import back_up

    about = back_up(options.data, options.out)
    for device, found in sorted(about["devices"].items()):
        print(printable(f"{device}: {found['records']} records (sha256 {found['sha256'][:16]})"))
    print(f"{about['pictures']} pictures, {about['missing_pictures']} missing or damaged; {options.out} is complete")
    return 0


def restore(options: argparse.Namespace) -> int:
    """Make a log of a backup; return 0."""
    from station.store.backup import restore as restore_from

    address = None
    if options.database is not None:
        from station.store.postgres.address import read_address

        address = read_address(_values(options), "--database")
    about = restore_from(options.backup, options.data, address)
    number = sum(found["records"] for found in about["devices"].values())
    print(
        f"{number} records of {len(about['devices'])} devices, as of {about['made_at']}; the devices send what is newer"
    )
    return 0


def init(options: argparse.Namespace) -> int:
    """Make the tables, and the roles where that is asked for; return 0."""
    from station.store.postgres.address import read_address

    address = read_address(_values(options), "--database")
    try:
        from station.store.postgres.opening import prepare
        from station.store.postgres.roles import role_statements
    except ModuleNotFoundError as error:
        raise OperatorError(f"database: {error.name} is not installed: pip install 'cageclock[postgres]'") from error
    if options.roles == "print":
        print(";\n".join(role_statements()) + ";")
        return 0
    made = prepare(address, roles=options.roles == "grant")
    print(f"{address.shown}: {'made' if made else 'the tables are there'}{'; roles granted' if options.roles else ''}")
    return 0


def _values(options: argparse.Namespace) -> dict[str, str]:
    names = ("database", "database_password_file", "database_durability")
    return {name: value for name in names if (value := getattr(options, name, None)) is not None}
