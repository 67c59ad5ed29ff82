"""`cageclock-station export`: tables for other programs."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from edge.contract.service.subcommands import Commands, add_command
from station.command_options import add_data


def add_commands(commands: Commands) -> None:
    """Add it to the station's command line."""
    parser = add_command(commands, "export", _export, "tidy CSV files with a data dictionary")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")


def _export(options: argparse.Namespace) -> int:
    from station.export.write import export
    from station.store.readable_rows import warn_of_hidden
    from station.store.schema import open_for_reading

    with closing(open_for_reading(options.data)) as connection:
        counts = export(connection, options.out)
        warn_of_hidden(connection)
    for name, count in counts.items():
        print(f"{count:>9} rows  {options.out / name}")
    return 0
