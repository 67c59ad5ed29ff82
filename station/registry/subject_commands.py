"""`cageclock-station subjects import | list | template | zone`: the lab's table of animals."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from edge.contract.service.exit_codes import MACHINE
from edge.contract.service.subcommands import Commands, add_command, add_group
from edge.errors import OperatorError
from station.command_options import add_data
from station.printable import printable


def add_commands(commands: Commands) -> None:
    """Add them to the station's command line."""
    actions = add_group(commands, "subjects", "the lab's table of animals")
    exits = {2: "the file is wrong, or rows of it; each is named, and the others were taken"} | MACHINE
    text = "read animals from a CSV or XLSX file: what it names is added or changed, nothing else is touched"
    parser = add_command(actions, "import", _import_subjects, text, exits=exits)
    text = "columns: subject, strain, sex, date_of_birth, date_of_arrival, cage, ..."
    parser.add_argument("file", type=Path, help=text)
    add_data(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be added and changed, write nothing")
    parser = add_command(actions, "list", _list_subjects, "print the table as CSV")
    add_data(parser)
    parser.add_argument("--json", action="store_true", help="a JSON list instead of CSV")
    text = "write an example of the table as CSV, to be filled in and imported"
    parser = add_command(actions, "template", _template, text)
    parser.add_argument("file", type=Path, help="a file that is not there yet")
    text = "the time zone in which the dates of the table are days (UTC until it is set)"
    parser = add_command(actions, "zone", _zone, text)
    parser.add_argument(
        "zone", nargs="?", help="IANA name such as Europe/Zurich, or +01:00; without one, what is set is printed"
    )
    add_data(parser)
    parser.add_argument("--device", help="only for the room of this device")


def _import_subjects(options: argparse.Namespace) -> int:
    from station.registry.merge import draw_import
    from station.registry.subjects import decisions, import_subjects
    from station.registry.unmatched import doubtful_names

    found = import_subjects(options.file, options.data, dry_run=options.dry_run)
    if not options.dry_run:
        _settle_days(options.data)
    for sentence in [*decisions(options.file), *doubtful_names(options.data, found.added)]:
        print(printable(f"warning: {sentence}"), file=sys.stderr)
    for sentence in found.refused:
        print(printable(f"cageclock-station: {sentence}"), file=sys.stderr)
    print(draw_import(found, dry_run=options.dry_run))
    return OperatorError.exit_code if found.refused else 0


def _template(options: argparse.Namespace) -> int:
    from station.registry.subjects import write_template

    write_template(options.file, datetime.now(UTC).date())
    print(
        f"{options.file}: fill it in, then `cageclock-station subjects import {options.file} --data FOLDER --dry-run`"
    )
    return 0


def _zone(options: argparse.Namespace) -> int:
    from station.registry.zones import load_zones, set_zone
    from station.store.schema import open_for_reading

    if options.zone is not None:
        set_zone(options.data, options.zone, options.device)
        _settle_days(options.data)
    with closing(open_for_reading(options.data)) as connection:
        zones = load_zones(connection)
    print(f"{options.device or 'all devices not named below'}: {zones.of(options.device)}")
    if options.device is None:
        for device, zone in sorted(zones.devices.items()):
            print(printable(f"{device}: {zone}"))
    return 0


def _list_subjects(options: argparse.Namespace) -> int:
    from station.registry.subjects import load_subjects, write_subjects
    from station.store.schema import open_for_reading

    with closing(open_for_reading(options.data)) as connection:
        if options.json:
            print(json.dumps([asdict(subject) for subject in load_subjects(connection)], indent=2))
        else:
            write_subjects(connection, sys.stdout)
    return 0


def _settle_days(data: Path) -> None:
    """Make the days anew that a change of animals or zones touches; a running station goes on taking records."""
    from station.days.keep import settle_all
    from station.store.schema import open_for_writing

    with closing(open_for_writing(data)) as connection:
        settle_all(connection)
