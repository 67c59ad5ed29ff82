"""`cageclock-station export`: tables for other programs."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

from edge.contract.service.subcommands import Commands, add_command
from station.command_options import add_data


def add_commands(commands: Commands) -> None:
    """Add it to the station's command line."""
    about = "tidy CSV files with a data dictionary, of all or of what is chosen"
    parser = add_command(commands, "export", _export, about)
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--subject", action="append", default=[], help="only this animal; may be repeated")
    parser.add_argument("--cage", action="append", default=[], help="only this cage; may be repeated")
    when = "a day of the room (2026-03-01), or a time with its offset from UTC (2026-03-01T08:00+01:00)"
    parser.add_argument("--since", metavar="TIME", help=f"only what was then or later: {when}")
    parser.add_argument("--until", metavar="TIME", help="only what was before; of a day all of it is meant")
    parser.add_argument("--accepted", action="store_true", help="only accepted estimates, and readings that have one")


def _export(options: argparse.Namespace) -> int:
    from station.export.choice import check_names, make_choice
    from station.export.write import export
    from station.store.readable_rows import warn_of_hidden
    from station.store.schema import open_for_reading

    choice = make_choice(options.subject, options.cage, options.since, options.until, accepted_only=options.accepted)
    with closing(open_for_reading(options.data)) as connection:
        check_names(connection, choice)
        done = export(connection, options.out, choice)
        warn_of_hidden(connection)
    if done.untimed:
        left = f"left out: {done.untimed} readings of which nobody knows when they were (their clock was never set)"
        print(left, file=sys.stderr)
    for name, count in done.counts.items():
        print(f"{count:>9} rows  {options.out / name}")
    return 0
